"""A recording's waveform as SVG shapes: a lane of peaks per channel, and bands where nothing was recorded. Pure.

It is drawn from peaks that the daemon stored during the call, so nothing is decrypted, and no speech can be recovered.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from storage.types import RecordingRow, Segment, SegmentKind

WIDTH, LANE = 1000, 60
"""Width of the drawing, and half the height of a channel's lane, in units of the drawing."""
MOST_BARS = 500
"""Most bars; more cannot be distinguished on a page."""
SLOTS_PER_S = 10

PLAIN = frozenset({SegmentKind.RECORDING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A span that is not plain recording; ``x`` and ``width`` in units of the drawing."""

    x: float
    width: float
    segment: Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class Waveform:
    """The drawing.

    Attributes:
        left: Path of the caller's lane, ``d`` of an SVG path.
        right: Path of the officer's lane.
        bands: Marked spans.
        length_s: Length of the whole width, seconds.
    """

    left: str
    right: str
    bands: tuple[Band, ...]
    length_s: float


def waveform_of(row: RecordingRow) -> Waveform | None:
    """Return the waveform of a recording; None if it has no container or no peaks."""
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
    """Return the largest peak of each of at most `MOST_BARS` equal parts of the length."""
    slots = max(round(length_s * SLOTS_PER_S), 1)
    count = min(slots, MOST_BARS)
    edges = [slots * bar // count for bar in range(count + 1)]
    return [max(peaks[begin:end], default=0) for begin, end in itertools.pairwise(edges)]


def _path(bars: Sequence[int], middle: int) -> str:
    """Return the outline of a lane: along the tops, and back along the bottoms."""
    step = WIDTH / len(bars)
    heights = [
        max((bar / 255) ** 0.5 * (LANE - 4), 0.5) for bar in bars
    ]  # square root, because most speech is far below the loudest sample
    tops = [f"{index * step:.1f} {middle - height:.1f}" for index, height in enumerate(heights)]
    bottoms = [f"{index * step:.1f} {middle + height:.1f}" for index, height in reversed(list(enumerate(heights)))]
    return "M" + "L".join([*tops, *bottoms]) + "Z"
