"""What is worked out of the audio as it passes, before it is sealed: peaks, speech per side, clipping, drift, one-way.

Positions are ticks (8000 a second) since the tap opened; a *slot* is 0.1 s. `audio.speech` has how speech is found.
"""

from dataclasses import dataclass

import numpy as np

from audio.blocks import AudioRun
from audio.codecs import decode
from audio.speech import FIRST_FLOOR, FLOOR_RISE, SpeechSampler
from audio.stream_clock import StreamClock
from audio.types import TICKS_PER_S, Codec

SLOT_TICKS = TICKS_PER_S // 10
"""Ticks of one peak."""
_SLOTS_PER_S = TICKS_PER_S // SLOT_TICKS
_LARGEST_G722 = 32_000
"""Samples of G.722 from this magnitude on are clipped."""
SPEECH_MIN_PEAK = 6
"""Peak (of 255) below which nothing is taken for speech by its peaks alone: about -33 dBFS."""
SPEECH_OVER_NOISE = 2.5
"""A slot is taken for speech by its peaks alone when its peak is this many times (8 dB) above the noise floor."""
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
        clipped: Share of its samples that have the codec's largest value, in [0, 1].
        stream_s: Seconds by the recorder's clock over which ``drift_s`` was measured.
        drift_s: Seconds by which the sender's clock ran ahead in them; negative: it was slow.
        packets: Packets that came while the gate was open.
        packets_lost: Packets that were missing between them.
    """

    peaks: bytes
    speech_s: float
    recorded_s: float
    codecs: tuple[Codec, ...] = ()
    clipped: float = 0.0
    stream_s: float = 0.0
    drift_s: float = 0.0
    packets: int = 0
    packets_lost: int = 0


def peaks_of(run: AudioRun) -> tuple[int, bytes]:
    """Return the first slot that a run touches, and the peak of each slot of its audio: magnitude // 128."""
    return levels_of(run)[:2]


def levels_of(run: AudioRun) -> tuple[int, bytes, int]:
    """Return what `peaks_of` does, and how many ticks of a run of G.722 are clipped; 0 for other codecs."""
    magnitudes = np.abs(decode(run.codec, run.payload).astype(np.int32))
    if run.codec is Codec.G722:
        magnitudes = magnitudes[: len(magnitudes) // 2 * 2].reshape(-1, 2).max(axis=1)
    clipped = int((magnitudes >= _LARGEST_G722).sum()) if run.codec is Codec.G722 else 0
    first, lead = divmod(run.start, SLOT_TICKS)
    slots = -(-(lead + len(magnitudes)) // SLOT_TICKS)
    padded = np.zeros(slots * SLOT_TICKS, np.int32)
    padded[lead : lead + len(magnitudes)] = magnitudes
    peaks = np.minimum(padded.reshape(slots, SLOT_TICKS).max(axis=1) >> 7, 255).astype(np.uint8).tobytes()
    return first, peaks, clipped


def speech_seconds(peaks: bytes) -> float:
    """Return the seconds in which the peaks stand out of their own noise floor by 8 dB.

    The decision where no window could be judged, as in a recording of less than 0.5 s.
    """
    return speech_slots(peaks).count(1) / _SLOTS_PER_S


def speech_slots(peaks: bytes) -> bytes:
    """Return for each slot whether (1 or 0) its peak alone is taken for speech."""
    floor, speech = FIRST_FLOOR, bytearray(len(peaks))
    for slot, peak in enumerate(peaks):
        speech[slot] = peak >= SPEECH_MIN_PEAK and peak > floor * SPEECH_OVER_NOISE
        floor = max(min(float(peak), floor * FLOOR_RISE), 1.0)
    return bytes(speech)


class ChannelAnalysis:
    """Gathers what is measured of one channel; the order of its audio matters only to `speech` and `clock`.

    Attributes:
        speech: Which of its windows are judged for speech.
        clock: The sender's clock.
    """

    __slots__ = ("_clipped", "_codecs", "_packets", "_peaks", "_ticks", "clock", "speech")

    def __init__(self) -> None:
        self._peaks = bytearray()
        self._ticks = self._clipped = self._codecs = 0
        self._packets = (0, 0)
        self.speech = SpeechSampler()
        self.clock = StreamClock()

    def add_peaks(self, first_slot: int, peaks: bytes) -> None:
        """Take peaks from ``first_slot`` on; a slot that was there keeps the larger."""
        known = self._peaks
        shared = min(len(known) - first_slot, len(peaks))
        if shared < 0:
            known += bytes(-shared)
            shared = 0
        for slot in range(shared):
            known[first_slot + slot] = max(known[first_slot + slot], peaks[slot])
        known += peaks[shared:]

    def add_audio(self, ticks: int, codecs: int, clipped: int) -> None:
        """Count audio that was kept.

        Args:
            ticks: How much.
            codecs: A bit for the number of each of its codecs.
            clipped: How many of its ticks are clipped.
        """
        self._ticks += ticks
        self._codecs |= codecs
        self._clipped += clipped

    def set_packets(self, received: int, lost: int) -> None:
        """Take the numbers of packets at the end."""
        self._packets = (received, lost)

    def totals(self) -> ChannelTotals:
        """Return what there is so far."""
        peaks, speech_s = bytes(self._peaks), self.speech.seconds(self._peaks)
        stream_ticks, drift_ticks = self.clock.totals()
        packets, packets_lost = self._packets
        return ChannelTotals(
            peaks=peaks,
            speech_s=speech_seconds(peaks) if speech_s is None else speech_s,
            recorded_s=self._ticks / TICKS_PER_S,
            codecs=tuple(codec for codec in Codec if self._codecs >> codec & 1),
            clipped=self._clipped / self._ticks if self._ticks else 0.0,
            stream_s=stream_ticks / TICKS_PER_S,
            drift_s=drift_ticks / TICKS_PER_S,
            packets=packets,
            packets_lost=packets_lost,
        )


def is_one_way(left: ChannelTotals, right: ChannelTotals) -> bool:
    """Tell whether one side was heard and the other not: less than a second of speech in a call of five or more.

    A recording in which nobody speaks is not one-way but silent; one that is too short is not judged.
    """
    if max(left.recorded_s, right.recorded_s) < MIN_CALL_S:
        return False
    return (left.speech_s >= MIN_SPEECH_S) != (right.speech_s >= MIN_SPEECH_S)


def is_silent(left: ChannelTotals, right: ChannelTotals) -> bool:
    """Tell whether nobody spoke on either side of a recording of five seconds or more."""
    if max(left.recorded_s, right.recorded_s) < MIN_CALL_S:
        return False
    return max(left.speech_s, right.speech_s) < MIN_SPEECH_S


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
