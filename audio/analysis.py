"""What is worked out of the audio as it passes, before it is sealed: peaks, speech per side, one-way.

Pure. Positions are ticks (8000 a second) since the tap opened; a *slot* is 0.1 s. Speech is judged from the peaks
alone, once at the end, so that a second of a call costs microseconds.
"""

from dataclasses import dataclass

import numpy as np

from audio.blocks import AudioRun
from audio.codecs import decode
from audio.types import TICKS_PER_S, Codec

SLOT_TICKS = TICKS_PER_S // 10
"""Ticks of one peak."""
_SLOTS_PER_S = TICKS_PER_S // SLOT_TICKS
SPEECH_MIN_PEAK = 6
"""Peak (of 255) below which nothing is speech: about -33 dBFS."""
SPEECH_OVER_NOISE = 2.5
"""A slot is speech when its peak is this many times (8 dB) above the noise floor."""
_FLOOR_RISE = 1.03
"""The floor falls at once and rises 3 % a slot, 26 dB in 10 s: it finds the pauses between words, not the words."""
MIN_SPEECH_S = 1.0
"""Less than this is no speaker: clicks, a cough."""
MIN_CALL_S = 5.0
"""Shorter recordings are not judged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelTotals:
    """What one channel came to.

    Attributes:
        peaks: Largest sample of each 0.1 s from the start of the recording, in [0, 255].
        speech_s: Seconds of speech.
        recorded_s: Seconds of audio that were kept.
        codecs: Of the audio that was kept, by number.
    """

    peaks: bytes
    speech_s: float
    recorded_s: float
    codecs: tuple[Codec, ...] = ()


def peaks_of(run: AudioRun) -> tuple[int, bytes]:
    """Return the first slot that a run touches, and the peak of each slot of its audio: magnitude // 128."""
    magnitudes = np.abs(decode(run.codec, run.payload).astype(np.int32))
    if run.codec is Codec.G722:
        magnitudes = magnitudes[: len(magnitudes) // 2 * 2].reshape(-1, 2).max(axis=1)
    first, lead = divmod(run.start, SLOT_TICKS)
    slots = -(-(lead + len(magnitudes)) // SLOT_TICKS)
    padded = np.zeros(slots * SLOT_TICKS, np.int32)
    padded[lead : lead + len(magnitudes)] = magnitudes
    return first, np.minimum(padded.reshape(slots, SLOT_TICKS).max(axis=1) >> 7, 255).astype(np.uint8).tobytes()


def speech_seconds(peaks: bytes) -> float:
    """Return the seconds in which the peaks stand out of their own noise floor."""
    floor = float(SPEECH_MIN_PEAK)
    slots = 0
    for peak in peaks:
        slots += peak >= SPEECH_MIN_PEAK and peak > floor * SPEECH_OVER_NOISE
        floor = max(min(float(peak), floor * _FLOOR_RISE), 1.0)
    return slots / _SLOTS_PER_S


class ChannelAnalysis:
    """Gathers the peaks, the length and the codecs of one channel; order does not matter."""

    __slots__ = ("_codecs", "_peaks", "_ticks")

    def __init__(self) -> None:
        self._peaks = bytearray()
        self._ticks = 0
        self._codecs = 0

    def add_peaks(self, first_slot: int, peaks: bytes) -> None:
        """Take peaks from ``first_slot`` on; a slot that was there keeps the larger."""
        shared = min(len(self._peaks) - first_slot, len(peaks))
        for slot in range(shared):
            self._peaks[first_slot + slot] = max(self._peaks[first_slot + slot], peaks[slot])
        if shared < 0:
            self._peaks += bytes(-shared)
        self._peaks += peaks[max(shared, 0) :]

    def add_ticks(self, ticks: int) -> None:
        """Count audio that was kept."""
        self._ticks += ticks

    def add_codecs(self, found: int) -> None:
        """Note codecs of audio that was kept: a bit for the number of each."""
        self._codecs |= found

    def totals(self) -> ChannelTotals:
        """Return what there is so far."""
        peaks, recorded_s = bytes(self._peaks), self._ticks / TICKS_PER_S
        codecs = tuple(codec for codec in Codec if self._codecs >> codec & 1)
        return ChannelTotals(peaks=peaks, speech_s=speech_seconds(peaks), recorded_s=recorded_s, codecs=codecs)


def is_one_way(left: ChannelTotals, right: ChannelTotals) -> bool:
    """Tell whether one side was heard and the other not: less than a second of speech in a call of five or more.

    A recording in which nobody speaks is not one-way but silent; one that is too short is not judged.
    """
    if max(left.recorded_s, right.recorded_s) < MIN_CALL_S:
        return False
    return (left.speech_s >= MIN_SPEECH_S) != (right.speech_s >= MIN_SPEECH_S)


class RecordingAnalysis:
    """The analysis of both channels of one recording."""

    __slots__ = ("channels",)

    def __init__(self) -> None:
        self.channels = (ChannelAnalysis(), ChannelAnalysis())
        """Left, then right: by the value of `Channel`."""

    def totals(self) -> tuple[ChannelTotals, ChannelTotals]:
        """Return what both channels came to, left then right."""
        left, right = self.channels
        return left.totals(), right.totals()
