"""Which positions may be written: the closed spans of a channel; rules in docs/media-core.md, "Gate".

Pure and integers only. Each channel has spans of its own since the channels' clocks differ; the tap closes and opens
both in one step. When in doubt, closed.
"""

MAX_SPANS = 64
PACKET = 160
"""Ticks that a packet carries from before its arrival, at least."""
GUARD = 1600
"""Ticks after an opening in which a stream that begins is not trusted."""
DOUBT = 5600
"""Ticks for which a clock that may be one of the closed time is not trusted, since it last gained on the call's."""
STRETCH = 80
"""Ticks of a stretch of arrival time, whose positions are remembered together: 10 ms."""
SPARE = 8
"""Stretches that are remembered beyond the look-back."""

Span = tuple[int, int]


class ClosedSpans:
    """The finished closed spans [start, end) of one channel: ascending, disjoint, not touching, at most 64."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def add(self, start: int, end: int) -> None:
        """Close [start, end), merging what it overlaps or touches; empty spans are nothing.

        With 64 in the list and none to merge with, the two lowest become one that covers both and what lies between.
        """
        if start >= end:
            return
        touching = [span for span in self.spans if span[0] <= end and start <= span[1]]
        if not touching and len(self.spans) == MAX_SPANS:
            if start < self.spans[0][0]:
                touching = [self.spans[0]]
            else:
                self.spans[:2] = [(self.spans[0][0], self.spans[1][1])]
                touching = [span for span in self.spans[:1] if start <= span[1]]
        apart = [span for span in self.spans if span not in touching]
        merged = (min([start, *(span[0] for span in touching)]), max([end, *(span[1] for span in touching)]))
        self.spans = sorted([*apart, merged])

    def drop_before(self, edge: int) -> None:
        """Forget the spans that end at or below ``edge``: nothing can be written there any more."""
        self.spans = [span for span in self.spans if span[1] > edge]

    def open_parts(self, start: int, end: int) -> list[Span]:
        """Return the parts of [start, end) that lie in no span, ascending."""
        parts: list[Span] = []
        for closed_start, closed_end in self.spans:
            if start < min(closed_start, end):
                parts.append((start, min(closed_start, end)))
            start = max(start, closed_end)
        if start < end:
            parts.append((start, end))
        return parts


class Arrivals:
    """Where the payloads that were written lately went, so that they are found however their timestamps have jumped.

    Args:
        look_back_ticks: How far back it must reach at least; it reaches a little further.
    """

    def __init__(self, look_back_ticks: int) -> None:
        self._count = look_back_ticks // STRETCH + 1 + SPARE
        self._slots: dict[int, tuple[int, int, int, bool]] = {}

    @property
    def reach(self) -> int:
        """Return how many ticks back everything is known."""
        return (self._count - 1) * STRETCH

    def note(self, here: int, start: int, end: int) -> None:
        """Remember that a payload for [start, end) arrived at ``here``, and was written."""
        here = max(here, 0)
        _, low, high, _ = self._slots.get(here // STRETCH, (here, start, end, False))
        self._slots[here // STRETCH] = here, min(low, start), max(high, end), here // STRETCH in self._slots

    def since(self, start: int, here: int, end: int | None = None) -> list[Span]:
        """Return the positions of what arrived in [start, here], in order of arrival.

        With an ``end``, of what was said before it as far as arrival tells. Of payloads that share a stretch
        it is not known which of them came when: all of it is returned.
        """
        first = max(max(start, 0) // STRETCH, here // STRETCH - self._count + 1)
        last = (here if end is None else min(here, end)) // STRETCH
        slots = [self._slots[at] for at in sorted(self._slots) if first <= at <= last]
        return [
            (low, high if end is None or is_shared else min(high, low + end - newest))
            for newest, low, high, is_shared in slots
            if newest >= start
        ]
