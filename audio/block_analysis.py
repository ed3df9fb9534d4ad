"""Sums up blocks of recordings before they are sealed: levels, speech, clipping, clocks. The writer's thread only."""

import numpy as np

from audio._relay import peaks as core_peaks
from audio._relay import samples as core_samples
from audio.analysis import SLOT_TICKS, ChannelAnalysis, RecordingAnalysis, levels_of
from audio.blocks import AudioRun, decode_block
from audio.codecs import decode
from audio.speech import WINDOW_SAMPLES, Samples
from audio.types import Codec

_G722 = 1 << Codec.G722
"""Its bit in a survey."""
_SETTLING_TICKS = 400
"""G.722 has memory: so much before a window is decoded with it."""
_LEAST_SAMPLES = WINDOW_SAMPLES * 4 // 5
"""A window of which more is missing is not judged."""

Survey = tuple[int, tuple[int, int], int, tuple[int, int], tuple[int, int], tuple[tuple[int, int], tuple[int, int]]]
"""What `audio._relay.survey` says of a block: where it ends, and by channel: ticks of audio; records of loss; a bit for
the number of each codec; samples of G.711 that are clipped; position and arrival of the last anchor, -1 if none."""
Peaks = list[tuple[int, bytes]]
"""``(first slot, peaks)`` of stretches of audio, in any order."""


def reference_peaks(block: bytes | bytearray | memoryview, channel: int) -> Peaks:
    """Return the peaks of one channel of a block, in numpy: what `audio._relay.peaks` does for G.711."""
    return _levels(block, channel)[0]


def _levels(block: bytes | bytearray | memoryview, channel: int) -> tuple[Peaks, int]:
    found = [levels_of(run) for run in decode_block(block) if isinstance(run, AudioRun) and run.channel == channel]
    return [(first, peaks) for first, peaks, _ in found], sum(clipped for *_, clipped in found)


class BlockAnalyser:
    """Sums up blocks of many recordings.

    It owns the one buffer in which windows are decoded to be judged for speech, and wipes it after each.

    Args:
        judges_speech: False leaves speech to what the peaks alone tell, to measure what judging costs.
    """

    def __init__(self, *, judges_speech: bool = True) -> None:
        self._judges_speech = judges_speech
        self._window: Samples = np.zeros(WINDOW_SAMPLES, np.int16)

    def take(self, analysis: RecordingAnalysis, block: memoryview, survey: Survey) -> None:
        """Add a block to what is known of its recording.

        Args:
            analysis: What is known of it.
            block: Audio that was kept, and nothing else.
            survey: Of the block.
        """
        _end, ticks, _lost, codecs, clipped, anchors = survey
        has_g722 = (codecs[0] | codecs[1]) & _G722
        for channel, side in enumerate(analysis.channels):
            found, clipped_g722 = _levels(block, channel) if has_g722 else (core_peaks(block, channel), 0)
            side.add_audio(ticks[channel], codecs[channel], clipped[channel] + clipped_g722)
            position, arrival_ns = anchors[channel]
            if position >= 0:
                side.clock.take(position, arrival_ns)
            for first_slot, peaks in found:
                side.add_peaks(first_slot, peaks)
                if self._judges_speech and side.speech.is_due(first_slot, peaks):
                    self._judge(side, block, channel, first_slot, peaks)

    def _judge(self, side: ChannelAnalysis, block: memoryview, channel: int, first_slot: int, peaks: bytes) -> None:
        def read(slot: int) -> Samples | None:
            there = core_samples(block, channel, slot * SLOT_TICKS, self._window)
            if there < _LEAST_SAMPLES:
                there += _read_g722(block, channel, slot * SLOT_TICKS, self._window)
            return self._window if there >= _LEAST_SAMPLES else None

        try:
            side.speech.take(first_slot, peaks, read)
        finally:
            self._window.fill(0)


def _read_g722(block: memoryview, channel: int, start: int, out: Samples) -> int:
    """Put what there is of G.722 in a window at 8000 Hz into ``out``; return how many samples."""
    there, end = 0, start + len(out)
    for run in decode_block(block):
        if not isinstance(run, AudioRun) or run.channel != channel or run.codec is not Codec.G722:
            continue
        first, last = max(run.start, start), min(run.end, end)
        if first >= last:
            continue
        before = max(first - _SETTLING_TICKS, run.start)
        decoded = decode(run.codec, run.payload[before - run.start : last - run.start])
        out[first - start : last - start] = decoded.reshape(-1, 2).mean(axis=1)[first - before :]
        there += last - first
    return there
