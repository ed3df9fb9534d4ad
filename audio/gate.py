"""Which positions may be written: the closed spans of a tap; rules in docs/media-core.md, "Gate".

Pure and integers only. A span has a start and an end per channel, since the channels' clocks differ; spans are
closed on both channels in one step. When in doubt, closed.
"""

from dataclasses import dataclass

MAX_SPANS = 64
PACKET = 160
"""Ticks that a packet carries from before its arrival."""
GUARD = 1600
"""Ticks after an opening in which a stream that begins is not trusted."""
FOREVER = 1 << 62
"""End of the span that is still closed."""

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Span:
    """Closed positions [start, end) of both channels."""

    start: Pair
    end: Pair

    def touches(self, other: "Span") -> bool:
        """Tell whether both overlap or adjoin, on both channels."""
        return all(self.start[c] <= other.end[c] and other.start[c] <= self.end[c] for c in (0, 1))

    def merged(self, other: "Span") -> "Span":
        """Return the span that covers both."""
        return Span(
            (min(self.start[0], other.start[0]), min(self.start[1], other.start[1])),
            (max(self.end[0], other.end[0]), max(self.end[1], other.end[1])),
        )


class Gate:
    """The closed spans of a tap, oldest first. ``envelopes`` are those of both channels at ``here``."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.is_closed = False
        self.opened_here: int | None = None
        self._blocked_until = [0, 0]

    def close(self, here: int, envelopes: Pair, erase: int) -> Span:
        """Close, or extend what is closed downwards; returns the closed span as it now is."""
        start = (max(here + envelopes[0] - erase, 0), max(here + envelopes[1] - erase, 0))
        self.is_closed = True
        return self._add(Span(start, (FOREVER, FOREVER)))

    def open(self, here: int, envelopes: Pair) -> None:
        """End the closed span one packet after now; nothing happens if the gate is open."""
        if not self.is_closed:
            return
        self.is_closed = False
        self.opened_here = here
        open_ended = next(span for span in self.spans if span.end[0] >= FOREVER)
        self.spans.remove(open_ended)
        end = (
            max(here + envelopes[0] + PACKET, open_ended.start[0]),
            max(here + envelopes[1] + PACKET, open_ended.start[1]),
        )
        self._add(Span(open_ended.start, end))

    def mask(self, start: Pair, end: Pair) -> Span:
        """Add a finished span; returns the span that holds it now."""
        return self._add(Span(start, end))

    def begin_epoch(self, channel: int, here: int) -> None:
        """Note that a stream began: soon after an opening its audio may have been captured while closed."""
        if self.opened_here is not None and self.opened_here <= here < self.opened_here + GUARD:
            self._blocked_until[channel] = self.opened_here + GUARD

    def is_writable(self, channel: int, position: int) -> bool:
        """Tell whether a byte at ``position`` may be written now."""
        return (
            not self.is_closed
            and position >= self._blocked_until[channel]
            and not any(span.start[channel] <= position < span.end[channel] for span in self.spans)
        )

    def forget(self, edges: Pair) -> None:
        """Drop the spans that lie below the edge of both channels."""
        self.spans = [span for span in self.spans if span.end[0] > edges[0] or span.end[1] > edges[1]]

    def _add(self, span: Span) -> Span:
        while touching := [other for other in self.spans if other.touches(span)]:
            self.spans = [other for other in self.spans if other not in touching]
            for other in touching:
                span = span.merged(other)
        if len(self.spans) == MAX_SPANS:
            self.spans[:2] = [self.spans[0].merged(self.spans[1])]
        self.spans.append(span)
        return span
