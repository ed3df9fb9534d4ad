"""The spans of a recording, put together from what happened when. Pure."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from storage.types import Officer, Segment, SegmentKind

DIGITS = "digits"
"""Why a span is silenced."""
OVERRUN = "writer_overrun"
"""Why a span is lost that found no room in a ring."""


@dataclass(slots=True)
class SegmentList:
    """Segments in the making: each begins where the one before ends.

    Positions are seconds on the call's clock from the moment the tap was opened.
    """

    operator: str = ""
    """Whose call it is now; the segments that begin from here on are theirs."""
    extension: str = ""
    officers: tuple[Officer, ...] = ()
    """Everybody on the call whose calls are recorded."""
    _begun: list[Segment] = field(default_factory=list)

    def begin(self, start_s: float, kind: SegmentKind, *, reason: str = "", by: str = "") -> None:
        """Begin a segment at ``start_s``, which may reach back over earlier ones (look-back erase).

        What an erase reaches back over is no longer what it was: the earlier segment is cut, and those that lie wholly
        after ``start_s`` are dropped.
        """
        start_s = round(max(start_s, 0.0), 4)
        while self._begun and self._begun[-1].start_s >= start_s:
            self._begun.pop()
        new = Segment(
            start_s=start_s,
            end_s=start_s,
            kind=kind,
            reason=reason,
            by=by,
            operator=self.operator,
            extension=self.extension,
            officers=self.officers,
        )
        if not self._begun or _sort_of(self._begun[-1]) != _sort_of(new):
            self._begun.append(new)

    def hand_over(
        self, start_s: float, operator: str, extension: str, *, officers: tuple[Officer, ...] = (), by: str = ""
    ) -> None:
        """Go on as before for another operator, or with other officers, in a segment of its own."""
        self.belongs_to(operator, extension, officers)
        if self._begun:
            last = self._begun[-1]
            self.begin(start_s, last.kind, reason=last.reason, by=by)

    def belongs_to(self, operator: str, extension: str, officers: tuple[Officer, ...] = ()) -> None:
        """Set whose the segments are that begin from here on."""
        self.operator, self.extension, self.officers = operator, extension, officers

    def add_reason(self, reason: str) -> None:
        """Add a reason to the segment that is being made; reasons are sorted and joined by commas."""
        last = self._begun[-1]
        self._begun[-1] = replace(last, reason=joined({*last.reason.split(","), reason}))

    @property
    def current(self) -> SegmentKind | None:
        """Return the kind of the segment that is being made, or None before the first."""
        return self._begun[-1].kind if self._begun else None

    @property
    def theirs_since_s(self) -> float:
        """Return from when on the call was that of everybody whose it is now, as far as something was recorded."""
        since_s, now = 0.0, frozenset(self.officers)
        for segment, after in itertools.pairwise(self._begun):
            if segment.kind is SegmentKind.RECORDING and not now <= frozenset(segment.officers):
                since_s = after.start_s
        return since_s

    def finish(
        self,
        end_s: float,
        lost: Iterable[tuple[float, float]] = (),
        why_lost: str = OVERRUN,
        *,
        silenced: Iterable[tuple[float, float]] = (),
    ) -> tuple[Segment, ...]:
        """Return the segments from 0 to ``end_s`` without a gap, with lost and silenced spans cut out of recorded ones.

        Args:
            end_s: Where the last one ends.
            lost: Spans that are lost.
            why_lost: Why.
            silenced: Spans that are silent since digits were keyed; a span that is both is lost.
        """
        if not self._begun:
            return ()
        end_s = round(end_s, 4)
        spans: list[Segment] = []
        # A resume takes effect a packet later: a call may end before that.
        ends = [min(segment.start_s, end_s) for segment in self._begun[1:]] + [end_s]
        for segment, end in zip(self._begun, ends, strict=True):
            if end > segment.start_s:
                spans.append(_spanning(segment, segment.start_s, end))
        for start, end in sorted(lost):
            spans = [part for span in spans for part in _cut(span, start, end, SegmentKind.LOST, why_lost)]
        for start, end in silenced:
            spans = [part for span in spans for part in _cut(span, start, end, SegmentKind.SILENCED, DIGITS)]
        return tuple(spans)


def joined(reasons: Iterable[str]) -> str:
    """Return a set of reasons as a segment carries it."""
    return ",".join(sorted(reasons))


def seconds_of(segments: Iterable[Segment], kind: SegmentKind) -> float:
    """Return how long the segments of one kind are in all."""
    return round(sum(segment.end_s - segment.start_s for segment in segments if segment.kind is kind), 3)


def _sort_of(segment: Segment) -> tuple[SegmentKind, str, str, str, tuple[Officer, ...]]:
    """Return what two segments have in common that are one."""
    return segment.kind, segment.reason, segment.operator, segment.extension, segment.officers


def _spanning(segment: Segment, start_s: float, end_s: float) -> Segment:
    return replace(segment, start_s=start_s, end_s=end_s)


def _cut(span: Segment, start: float, end: float, kind: SegmentKind, why: str) -> list[Segment]:
    if span.kind is not SegmentKind.RECORDING or end <= span.start_s or start >= span.end_s:
        return [span]
    start, end = round(max(start, span.start_s), 4), round(min(end, span.end_s), 4)
    cut = Segment(
        start_s=start,
        end_s=end,
        kind=kind,
        reason=why,
        operator=span.operator,
        extension=span.extension,
        officers=span.officers,
    )
    parts = [_spanning(span, span.start_s, cut.start_s), cut, _spanning(span, cut.end_s, span.end_s)]
    return [part for part in parts if part.end_s > part.start_s]
