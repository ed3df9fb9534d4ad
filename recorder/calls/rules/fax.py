"""When what is heard on a line is taken for a fax: its tones persist, and nobody speaks. Pure (ITU-T T.30).

Tones alone are worth nothing: whoever is on the line can whistle, or play them. A suspicion ends with the first voice.
"""

from dataclasses import dataclass

BURSTS = 3
"""Bursts of a calling tone that make a machine: a person does not whistle them in its time."""
APART_S = (2.8, 4.2)
"""From the end of one burst to the end of the next, seconds: 3.5 s, and 15 % and a packet more or less."""
QUIET_S = 2.0
"""How long nobody may have spoken, on either side, after the tones have persisted."""


@dataclass(slots=True)
class FaxRule:
    """What has been heard of one call; times are seconds, monotonic."""

    _bursts: int = 0
    _last_s: float = 0.0
    _quiet_from_s: float | None = None

    def heard(self, kind: str, now_s: float) -> bool:
        """Take a tone; tell whether tones have persisted, so that it is to be found out whether anybody speaks.

        Args:
            kind: ``cng``, one burst of a calling tone (1100 Hz); ``ced``, an answering tone (2100 Hz) that has lasted.
            now_s: When.
        """
        if kind == "cng":
            is_in_time = APART_S[0] <= now_s - self._last_s <= APART_S[1]
            self._bursts, self._last_s = (self._bursts + 1 if is_in_time else 1), now_s
            if self._bursts < BURSTS:
                return False
        if self._quiet_from_s is None:
            self._quiet_from_s = now_s
        return True

    def spoken(self) -> None:
        """Somebody speaks: it is no fax, whatever was heard before."""
        self._bursts, self._quiet_from_s = 0, None

    def is_fax(self, now_s: float) -> bool:
        """Tell whether tones have persisted and nobody has spoken since for long enough."""
        return self._quiet_from_s is not None and now_s - self._quiet_from_s >= QUIET_S
