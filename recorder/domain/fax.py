"""When what is heard on a line is a fax. Pure (ITU-T T.30)."""

from dataclasses import dataclass

CALLING_WITHIN_S = 12.0
"""A calling tone comes every 3.5 s: a second one so soon is a machine, a single one may be anybody's whistle."""


@dataclass(slots=True)
class FaxRule:
    """The tones of one call: an answering tone says so at once, a calling tone when it comes again."""

    _called_s: float | None = None

    def heard(self, kind: str, now_s: float) -> bool:
        """Take a tone; tell whether it is a fax.

        Args:
            kind: ``cng`` (calling, 1100 Hz) or ``ced`` (answering, 2100 Hz).
            now_s: When, seconds, monotonic.
        """
        if kind == "ced":
            return True
        before, self._called_s = self._called_s, now_s
        return before is not None and now_s - before <= CALLING_WITHIN_S
