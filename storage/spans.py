"""Computes what an erasure removes from audio, peaks and segments of a recording. Pure (numpy).

Spans are on the call's clock. A channel's positions follow its sender's clock, so audio that is heard in a span may be
stored slightly beside it. A `Cut` covers both the span's own positions and those heard in it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from storage.alignment import Alignment
from storage.runs import ANCHOR, AUDIO, TICKS_PER_S, pack, parse
from storage.types import Peaks, Segment, SegmentKind

SLOT_TICKS = TICKS_PER_S // 10
"""Ticks of one peak."""
_LOOK_EVERY_TICKS = 80
_END_OF_TIME = 1 << 62

Cut = tuple[int, int]
"""Positions [from, to) of one channel, ticks."""
Cuts = tuple[tuple[Cut, ...], tuple[Cut, ...]]
"""Cuts of the left and of the right channel; ascending and disjoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A span to erase.

    Attributes:
        start_s: Start, seconds on the recording's clock, at least 0.
        end_s: End, after ``start_s``; None is the end of the recording.
        reason: The reason of the erased segment.
        by: Who ordered it.
    """

    start_s: float
    end_s: float | None
    reason: str
    by: str


class Survey:
    """A first pass over the blocks, which collects the anchors of each channel."""

    def __init__(self) -> None:
        self._anchors: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
        self._timestamps: tuple[list[int], list[int]] = ([], [])
        self._end = 0

    def take(self, block: bytes) -> None:
        """Take a block."""
        for run in parse(block):
            if run.kind == ANCHOR:
                self._anchors[run.channel].append((run.start, run.aux))
                self._timestamps[run.channel].append(run.length)
            else:
                self._end = max(self._end, run.start + run.length)

    def cuts(self, spans: Sequence[Span]) -> Cuts:
        """Return the cuts of each channel for some spans."""
        left, right = map(Alignment, self._anchors, self._timestamps)
        return (
            _merged(self._cut(span, left) for span in spans),
            _merged(self._cut(span, right) for span in spans),
        )

    def _cut(self, span: Span, alignment: Alignment) -> Cut:
        begin = math.floor(span.start_s * TICKS_PER_S)
        end = max(self._end, begin + 1) if span.end_s is None else math.ceil(span.end_s * TICKS_PER_S)
        last = max(min(end, self._end), begin)
        times = np.append(np.arange(begin, last, _LOOK_EVERY_TICKS, dtype=np.int64), last)
        heard = alignment.positions(times)
        upto = _END_OF_TIME if span.end_s is None else max(end, int(heard.max()))
        return max(min(begin, int(heard.min())), 0), upto


def _merged(cuts: Iterable[Cut]) -> tuple[Cut, ...]:
    merged: list[Cut] = []
    for begin, end in sorted(cuts):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((begin, end))
    return tuple(merged)


def parts_left(begin: int, end: int, cuts: Sequence[Cut]) -> list[Cut]:
    """Return the parts of [begin, end) that no cut touches, in order."""
    parts = []
    for cut_begin, cut_end in cuts:
        if cut_end <= begin:
            continue
        if cut_begin >= end:
            break
        if cut_begin > begin:
            parts.append((begin, cut_begin))
        begin = max(begin, cut_end)
    return [*parts, (begin, end)] if begin < end else parts


def without(block: bytes, cuts: Cuts) -> bytes:
    """Return a block without the audio and losses that the cuts touch; may be empty.

    All other bytes keep their positions. Anchors stay, since they align the rest.
    """
    kept = bytearray()
    for run in parse(block):
        if run.kind == ANCHOR:
            kept += pack(ANCHOR, run.channel, run.codec, run.start, length=run.length, aux=run.aux)
            continue
        for begin, end in parts_left(run.start, run.start + run.length, cuts[run.channel]):
            payload = bytes(run.payload[begin - run.start : end - run.start]) if run.kind == AUDIO else b""
            kept += pack(run.kind, run.channel, run.codec, begin, payload=payload, length=end - begin, aux=run.aux)
    return bytes(kept)


def ticks_within(block: bytes, cuts: Cuts) -> tuple[int, int]:
    """Return the ticks of audio within the cuts, by channel."""
    found = [0, 0]
    for run in parse(block):
        if run.kind == AUDIO:
            left = sum(end - begin for begin, end in parts_left(run.start, run.start + run.length, cuts[run.channel]))
            found[run.channel] += run.length - left
    return found[0], found[1]


def peaks_without(peaks: Peaks, cuts: Cuts) -> Peaks:
    """Return the peaks, with 0 for each 0.1 s that a cut touches."""
    left, right = (_flattened(of_channel, of_cuts) for of_channel, of_cuts in zip(peaks, cuts, strict=True))
    return left, right


def _flattened(peaks: bytes, cuts: Sequence[Cut]) -> bytes:
    flat = bytearray(peaks)
    for begin, end in cuts:
        first, upto = begin // SLOT_TICKS, min(-(-end // SLOT_TICKS), len(flat))
        flat[first:upto] = bytes(max(upto - first, 0))
    return bytes(flat)


def segments_without(segments: Sequence[Segment], spans: Sequence[Span]) -> tuple[Segment, ...]:
    """Return the segments with recorded parts of the spans as ``erased``; other kinds, such as pauses, stay."""
    found = list(segments)
    for span in spans:
        found = [part for segment in found for part in _erased(segment, span)]
    return tuple(found)


def _erased(segment: Segment, span: Span) -> list[Segment]:
    end_s = segment.end_s if span.end_s is None else span.end_s
    begin, end = round(max(span.start_s, segment.start_s), 4), round(min(end_s, segment.end_s), 4)
    if segment.kind is not SegmentKind.RECORDING or begin >= end:
        return [segment]
    # It keeps its officers, who may still be told that a part of their call was erased.
    erased = replace(segment, start_s=begin, end_s=end, kind=SegmentKind.ERASED, reason=span.reason, by=span.by)
    parts = [replace(segment, end_s=begin), erased, replace(segment, start_s=end)]
    return [part for part in parts if part.end_s > part.start_s]


def recorded_seconds(segments: Iterable[Segment]) -> float:
    """Return the total length of the recorded segments, seconds."""
    return round(sum(s.end_s - s.start_s for s in segments if s.kind is SegmentKind.RECORDING), 3)
