"""Builds the segments of a recording from events in time order. Pure."""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from storage.types import Officer, Segment, SegmentKind

DIGITS = "digits"
"""Reason of a silenced segment."""
OVERRUN = "writer_overrun"
"""Reason of a lost segment that found no room in a ring buffer."""


@dataclass(slots=True)
class SegmentList:
    """The segments of a recording in progress; each begins where the one before it ends.

    Positions are seconds on the call's clock since the tap was opened.
    """

    operator: str = ""
    """The current officer, named in segments that begin from now on."""
    extension: str = ""
    officers: tuple[Officer, ...] = ()
    """Everybody on the call whose calls are recorded."""
    _begun: list[Segment] = field(default_factory=list)

    def begin(self, start_s: float, kind: SegmentKind, *, reason: str = "", by: str = "") -> None:
        """Begin a segment at ``start_s``, which may lie before the start of earlier ones (look-back erase).

        An earlier segment that reaches past ``start_s`` is cut there; those that begin at or after it are dropped.
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
        """Go on with the same kind in a new segment, for another operator or other officers."""
        self.belongs_to(operator, extension, officers)
        if self._begun:
            last = self._begun[-1]
            self.begin(start_s, last.kind, reason=last.reason, by=by)

    def belongs_to(self, operator: str, extension: str, officers: tuple[Officer, ...] = ()) -> None:
        """Set the operator and officers of segments that begin from now on."""
        self.operator, self.extension, self.officers = operator, extension, officers

    def add_reason(self, reason: str) -> None:
        """Add a reason to the current segment; reasons are sorted and joined by commas."""
        last = self._begun[-1]
        self._begun[-1] = replace(last, reason=joined({*last.reason.split(","), reason}))

    @property
    def current(self) -> SegmentKind | None:
        """Return the kind of the current segment, or None before the first."""
        return self._begun[-1].kind if self._begun else None

    @property
    def theirs_since_s(self) -> float:
        """Return the position from which all current officers were on the call, as far as it was recorded."""
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
        """Return the segments from 0 to ``end_s`` without gaps, with lost and silenced spans cut out of recorded ones.

        Args:
            end_s: Where the last one ends.
            lost: Lost spans.
            why_lost: Their reason.
            silenced: Spans silenced because digits were keyed; a span that is also lost counts as lost.
        """
        if not self._begun:
            return ()
        end_s = round(end_s, 4)
        spans: list[Segment] = []
        # A resume takes effect one packet later; the call may end before that.
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
    """Return a set of reasons as a segment holds them."""
    return ",".join(sorted(reasons))


def seconds_of(segments: Iterable[Segment], kind: SegmentKind) -> float:
    """Return the total length of the segments of one kind, seconds."""
    return round(sum(segment.end_s - segment.start_s for segment in segments if segment.kind is kind), 3)


def _sort_of(segment: Segment) -> tuple[SegmentKind, str, str, str, tuple[Officer, ...]]:
    """Return the fields that two adjacent segments share if they are one."""
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
