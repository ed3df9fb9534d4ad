"""How a sender's clock differs from the recorder's, by the anchors of a recording (docs/media-core.md). Pure."""

from audio.types import TICKS_PER_S

_STEP_TICKS = 160
"""A larger change of the lead between two anchors is another stream, or a step of its clock: 20 ms."""
_SHORTEST_TICKS = 10 * TICKS_PER_S
"""Of less than 10 s without a step nothing is told: jitter would be taken for drift."""


class StreamClock:
    """The clock of one side, from its anchors in order: one about every second, of the packet that was least late."""

    __slots__ = ("_began", "_drift", "_lead", "_measured", "_now")

    def __init__(self) -> None:
        self._drift = self._measured = 0
        self._began: tuple[int, int] | None = None
        self._now = self._lead = 0

    def take(self, position: int, arrival_ns: int) -> None:
        """Take an anchor.

        Args:
            position: Where the packet lies by the sender's clock, ticks.
            arrival_ns: When it arrived since the tap opened, nanoseconds.
        """
        now = arrival_ns * 8 // 1_000_000
        lead = position - now
        if self._began is None or abs(lead - self._lead) > _STEP_TICKS:
            self._measured, self._drift = self.totals()
            self._began = (now, lead)
        self._now, self._lead = now, lead

    def totals(self) -> tuple[int, int]:
        """Return the length of the stretches without a step, and by how much the sender's clock ran ahead in them.

        Both are in ticks by the recorder's clock; a slow clock gives a negative number.
        """
        if self._began is None:
            return self._measured, self._drift
        began, lead = self._began
        if self._now - began < _SHORTEST_TICKS:
            return self._measured, self._drift
        return self._measured + self._now - began, self._drift + self._lead - lead
