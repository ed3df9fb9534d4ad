"""Aligns the positions of a channel with the call's clock, by its anchors. Pure (numpy).

Stored positions follow the sender's clock, which drifts (docs/media-core.md). An anchor says when a position arrived,
so ``lead = position - arrival`` is how far the sender is ahead of the call's clock. Leads are smoothed over
SMOOTH_ANCHORS and interpolated, but not across a step (a new stream). An anchor has the largest lead of a second, but
the first one is the channel's first packet, which may have been read late: the second one counts for it. At time ``t``
the position ``t + lead(t)`` is played, which doubles or drops single samples, at most one in a few hundred.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SMOOTH_ANCHORS = 15
"""Anchors (one a second) that are averaged, so that packet jitter is not heard as wobble."""
STEP_TICKS = 160
"""A larger change of the lead between two anchors is a new stream, not drift: 20 ms in a second."""


_TIMESTAMPS = 1 << 32


class Alignment:
    """Maps times of the call to positions of one channel.

    Args:
        anchors: Pairs (position in ticks, arrival in ns since the tap opened), ascending; empty means no drift.
        timestamps: Their RTP timestamps, which tell whether the first two are of one stream.
    """

    def __init__(self, anchors: Sequence[tuple[int, int]], timestamps: Sequence[int] = ()) -> None:
        arrivals = np.array([arrival * 8 // 1_000_000 for _, arrival in anchors], dtype=np.int64)
        positions = np.array([position for position, _ in anchors], dtype=np.int64)
        order = np.argsort(arrivals, kind="stable")
        arrivals, leads = arrivals[order], (positions - arrivals)[order].astype(np.float64)
        if _are_of_one_clock(positions, timestamps):
            leads[0] = max(leads[0], leads[1])
        starts = np.flatnonzero(np.abs(np.diff(leads)) > STEP_TICKS) + 1
        pieces = [
            _Piece(times, _smooth(lead))
            for times, lead in zip(np.split(arrivals, starts), np.split(leads, starts), strict=True)
            if len(times)
        ]
        self._pieces = pieces

    @property
    def largest_ticks(self) -> int:
        """The largest shift in either direction, ticks."""
        return max((int(np.ceil(np.abs(piece.leads).max())) for piece in self._pieces), default=0)

    def end_time(self, position: int) -> int:
        """Return the time at which the last position is heard, ticks."""
        return position - (int(np.rint(self._pieces[-1].leads[-1])) if self._pieces else 0)

    def positions(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the position that is heard at each time, ticks; times must ascend."""
        shift = np.zeros(len(times))
        for number, piece in enumerate(self._pieces):
            inside = slice(None) if number == 0 else slice(int(np.searchsorted(times, piece.times[0])), None)
            shift[inside] = np.interp(times[inside], piece.times, piece.leads)
        positions: NDArray[np.int64] = times + np.rint(shift).astype(np.int64)
        return positions


def _are_of_one_clock(positions: NDArray[np.int64], timestamps: Sequence[int]) -> bool:
    """Tell whether the first two anchors are of one stream, whose positions follow its timestamps."""
    if len(timestamps) < 2:
        return False
    return (timestamps[1] - timestamps[0]) % _TIMESTAMPS == int(positions[1] - positions[0])


class _Piece:
    def __init__(self, times: NDArray[np.int64], leads: NDArray[np.float64]) -> None:
        self.times = times
        self.leads = leads


def _smooth(leads: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smooth by a local linear fit at each anchor, so that the ends do not lag."""
    half = SMOOTH_ANCHORS // 2
    smooth = np.empty_like(leads)
    for at in range(len(leads)):
        low, high = max(at - half, 0), min(at + half + 1, len(leads))
        near = np.arange(low, high, dtype=np.float64) - at
        if len(near) < SMOOTH_ANCHORS // 2:
            smooth[at] = leads[low:high].mean()
            continue
        slope = ((near - near.mean()) * leads[low:high]).sum() / ((near - near.mean()) ** 2).sum()
        smooth[at] = leads[low:high].mean() - slope * near.mean()
    return smooth
