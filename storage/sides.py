"""Renders the two channels of a copy on one clock, a second at a time, in constant memory. Numpy only.

`ExactSide` keeps every stored byte at its position; `DecodedSide` decodes samples and aligns them by the anchors.
"""

from collections.abc import Iterator
from typing import Protocol

import numpy as np
import soxr
from numpy.typing import NDArray

from storage.alignment import Alignment
from storage.errors import ExportError
from storage.g711 import SILENCE, TRANSCODE, Decoder
from storage.runs import AUDIO, G722, TICKS_PER_S, Run, parse

CHUNK_TICKS = TICKS_PER_S
"""Length of a rendered chunk."""
WINDOW_TICKS = 120 * TICKS_PER_S
"""Audio in memory for each channel; bounds how far the channels' positions may be apart in the file."""
CONTEXT_TICKS = 400
"""Context before and after a chunk that is resampled, so that its edges cannot be heard."""


class Blocks(Protocol):
    """The source of an export; `storage.reader.RecordingReader` implements it."""

    def blocks(self) -> Iterator[bytes]:
        """Yield the blocks of runs from the first, each time it is called."""


class _Window:
    """The newest WINDOW_TICKS of one channel, addressed by sample; unwritten samples are silence."""

    def __init__(self, *, silence: int, dtype: type[np.generic], per_tick: int, begin: int) -> None:
        self.per_tick = per_tick
        self._silence = silence
        self._ring = np.full(WINDOW_TICKS * per_tick, silence, dtype=dtype)
        self._floor = self._base = begin * per_tick

    def write(self, position: int, values: NDArray[np.generic]) -> None:
        begin = position * self.per_tick
        if begin < self._floor:
            values, begin = values[self._floor - begin :], self._floor
        if begin < self._base or begin + len(values) > self._base + len(self._ring):
            raise ExportError(
                f"the channels lie more than {WINDOW_TICKS // TICKS_PER_S // 2} s apart at tick {position}"
            )
        self._ring[np.arange(begin, begin + len(values)) % len(self._ring)] = values

    def read(self, indices: NDArray[np.int64]) -> NDArray[np.generic]:
        values = self._ring[indices % len(self._ring)]
        values[(indices < self._base) | (indices >= self._base + len(self._ring))] = self._silence
        return values

    def forget(self, position: int) -> None:
        """Drop the samples before a position, so that later ones can use their space."""
        upto = position * self.per_tick
        if upto > self._base:
            count = min(upto - self._base, len(self._ring))
            self._ring[np.arange(upto - count, upto) % len(self._ring)] = self._silence
            self._base = upto


class ChannelAudio(Protocol):
    """One channel of a copy."""

    window: _Window

    def take(self, run: Run) -> None:
        """Take a run of audio; runs come in order of position."""

    def render(self, begin: int, end: int) -> NDArray[np.generic]:
        """Return the samples of [begin, end), ticks."""


class ExactSide:
    """One channel as stored bytes at their positions, all in one law."""

    def __init__(self, law: int, begin: int) -> None:
        self._law = law
        self.window = _Window(silence=SILENCE[law], dtype=np.uint8, per_tick=1, begin=begin)

    def take(self, run: Run) -> None:
        """See `ChannelAudio`."""
        codes = np.frombuffer(run.payload, np.uint8)
        self.window.write(run.start, codes if run.codec == self._law else TRANSCODE[run.codec, self._law][codes])

    def render(self, begin: int, end: int) -> NDArray[np.generic]:
        """See `ChannelAudio`: one byte for each tick."""
        return self.window.read(np.arange(begin, end))


class DecodedSide:
    """One channel as samples on the call's clock, at the rate of the copy; silent outside the copy's span."""

    def __init__(
        self, alignment: Alignment, codecs: list[int], rate_hz: int, span: tuple[int, int], begin: int
    ) -> None:
        self._alignment = alignment
        self._rate_hz = rate_hz
        self._span = span
        self._decoder = Decoder()
        per_tick = 2 if G722 in codecs else 1
        self.window = _Window(silence=0, dtype=np.int16, per_tick=per_tick, begin=begin)

    def take(self, run: Run) -> None:
        """See `ChannelAudio`."""
        samples = self._decoder.decode(run.codec, run.payload)
        if self.window.per_tick == 2 and run.codec != G722:  # the codec changed within the channel
            samples = soxr.resample(samples, 8000, 16000)
        self.window.write(run.start, samples)

    def render(self, begin: int, end: int) -> NDArray[np.generic]:
        """See `ChannelAudio`: one or two samples for each tick, by the rate."""
        if self.window.per_tick * TICKS_PER_S == self._rate_hz:
            return self._read(begin, end)
        wide = self._read(begin - CONTEXT_TICKS, end + CONTEXT_TICKS)
        doubled: NDArray[np.int16] = soxr.resample(wide, 8000, 16000)
        return doubled[2 * CONTEXT_TICKS : 2 * CONTEXT_TICKS + 2 * (end - begin)]

    def _read(self, begin: int, end: int) -> NDArray[np.generic]:
        times = np.arange(begin, end)
        per_tick = self.window.per_tick
        positions = self._alignment.positions(times)
        values = self.window.read((positions[:, None] * per_tick + np.arange(per_tick)).ravel())
        values[np.repeat((times < self._span[0]) | (times >= self._span[1]), per_tick)] = 0
        return values


def ready_spans(
    source: Blocks, sides: tuple[ChannelAudio, ChannelAudio], span: tuple[int, int], reach: int
) -> Iterator[tuple[int, int]]:
    """Feed both sides, and yield spans [from, to) that can be rendered, in order.

    A span is ready once either channel is half a window beyond it. The other channel is never that far behind; if it
    is, the window raises an error.
    """
    at, end = span
    for block in source.blocks():
        for run in parse(block):
            run_end = run.start + run.length
            if run.kind != AUDIO or run_end <= span[0] - reach or run.start >= end + reach:
                continue
            while at < end and run_end - at > WINDOW_TICKS // 2:
                yield at, (at := min(at + CHUNK_TICKS, end))
                _forget(sides, at - reach)
            sides[run.channel].take(run)
    while at < end:
        yield at, (at := min(at + CHUNK_TICKS, end))
        _forget(sides, at - reach)


def _forget(sides: tuple[ChannelAudio, ChannelAudio], before: int) -> None:
    for side in sides:
        side.window.forget(max(before, 0))
