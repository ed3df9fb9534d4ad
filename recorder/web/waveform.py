"""A recording's waveform as shapes for an SVG: two lanes of peaks, and bands where nothing was recorded. Pure.

It is drawn of the peaks that the daemon made while the call went on, so nothing has to be decrypted, and drawing it
tells nobody what was said.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from storage.types import RecordingRow, Segment, SegmentKind

WIDTH, LANE = 1000, 60
"""Of the drawing, in its own units, and of half a channel's lane."""
MOST_BARS = 500
"""More cannot be told apart on a page."""
SLOTS_PER_S = 10

PLAIN = frozenset({SegmentKind.RECORDING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A span that is no plain recording: ``x`` and ``width`` in the drawing's units."""

    x: float
    width: float
    segment: Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Waveform:
    """What is drawn.

    Attributes:
        left: Path of the caller's lane, ``d`` of an SVG path.
        right: Path of the officer's lane.
        bands: Spans that are marked.
        length_s: What the whole width stands for, seconds.
    """

    left: str
    right: str
    bands: tuple[Band, ...]
    length_s: float


def waveform_of(row: RecordingRow) -> Waveform | None:
    """Return the waveform of a recording; None where nothing was kept of the call, or no peaks are known."""
    length_s = max(row.duration_s, max(map(len, row.peaks)) / SLOTS_PER_S)
    if row.path is None or not any(row.peaks) or length_s <= 0:
        return None
    per_s = WIDTH / length_s
    bands = tuple(
        Band(x=round(one.start_s * per_s, 1), width=round(max((one.end_s - one.start_s) * per_s, 1.0), 1), segment=one)
        for one in row.segments
        if one.kind not in PLAIN
    )
    left, right = (_path(_bars(peaks, length_s), (2 * lane + 1) * LANE) for lane, peaks in enumerate(row.peaks))
    return Waveform(left=left, right=right, bands=bands, length_s=length_s)


def _bars(peaks: bytes, length_s: float) -> Sequence[int]:
    """Return the largest peak of each of at most `MOST_BARS` equal parts of the whole length."""
    slots = max(round(length_s * SLOTS_PER_S), 1)
    count = min(slots, MOST_BARS)
    edges = [slots * bar // count for bar in range(count + 1)]
    return [max(peaks[begin:end], default=0) for begin, end in itertools.pairwise(edges)]


def _path(bars: Sequence[int], middle: int) -> str:
    """Return the outline of a lane: along the tops, and back along the bottoms."""
    step = WIDTH / len(bars)
    heights = [max((bar / 255) ** 0.5 * (LANE - 4), 0.5) for bar in bars]  # speech is soft beside the loudest sample
    tops = [f"{index * step:.1f} {middle - height:.1f}" for index, height in enumerate(heights)]
    bottoms = [f"{index * step:.1f} {middle + height:.1f}" for index, height in reversed(list(enumerate(heights)))]
    return "M" + "L".join([*tops, *bottoms]) + "Z"
