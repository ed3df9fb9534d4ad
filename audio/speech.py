"""Whether somebody speaks on one side of a recording, judged by samples of its audio (docs/adr/0064).

Judging all audio of all calls would cost a quarter of what recording costs. So windows of 0.5 s are judged: close
together at first, then up to 20 s apart; until a second of speech was found, also what is louder than those before.
Which slots (0.1 s) are loud is known of the whole recording, by their peaks. The share of loud slots that was speech
in the windows, times the loud slots of the recording, is its speech.

A window is judged in two steps. Level and sign changes of speech move from one 20 ms to the next, those of hum, tones,
most music and noise hardly do: a window in which they do not is no speech, and costs little. The others go to the voice
activity detector of WebRTC, which on its own takes tones, music and loud noise for speech.
"""

from collections.abc import Callable

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from audio._relay import speech_features

Samples = NDArray[np.int16]

SLOTS_PER_S = 10
WINDOW_SLOTS = 5
WINDOW_SAMPLES = 4000
"""Samples of a window, at 8000 Hz."""
LOUD_PEAK = 4
"""Peak (of 255) below which nothing is speech: about -36 dBFS."""
LOUD_OVER_NOISE = 1.6
"""A slot is loud when its peak is this many times (4 dB) above the noise floor."""
FLOOR_RISE = 1.03
"""The floor falls at once and rises 3 % a slot, 26 dB in 10 s: it finds the pauses between words, not the words."""
FIRST_FLOOR = 6.0
"""Peak that is taken for the noise floor before anything was heard."""

_RATE = 8000
_FRAME_BYTES = 320
_FRAMES_PER_SLOT = 5
_MODE = 3
"""The detector's strictest mode."""
_MOST_STEADY = 0.6
"""Share of frames like their neighbours in level and sign changes: above it is a tone."""
_LEAST_MOVEMENT = 0.015
"""Swing of the level (dB, plus 1) by the squared deviation of sign changes (plus 0.01): below it nobody speaks."""

_SPOKEN_SLOTS = 10
"""After so many slots of speech a side is known to speak: one second."""
_GAP_SLOTS = 5
_WINDOWS_TO_DOUBLE = 2
"""Until then windows are 0.5 s apart at first, and twice as far after every two."""
_MOST_DOUBLINGS = 6
_MOST_GAP_SLOTS = 200
"""The farthest that windows are apart, 20 s."""
_LOUDER = 1.6
"""Audio this many times (4 dB) louder than the windows so far is judged at once, until a second of speech was found.

A window counts by the median of its peaks: a click is no measure."""
_LOUDER_AGAIN = 1.1
"""Each time it takes so much more, so that noise with many peaks leads to fifty windows more at most."""
NEVER = 256
"""A peak that there is not."""
_LEAST_SHARE = 0.25
"""A smaller share of speech in the loud slots is nobody's: music and noise are taken for speech now and then."""


def loud_slots(peaks: bytes | bytearray) -> bytes:
    """Return for each slot whether (1 or 0) it stands out of the noise before it."""
    floor, loud = FIRST_FLOOR, bytearray(len(peaks))
    for slot, peak in enumerate(peaks):
        if peak >= LOUD_PEAK and peak >= floor * LOUD_OVER_NOISE:
            loud[slot] = 1
        floor *= FLOOR_RISE
        if peak < floor:  # noqa: PLR1730 - calling min and max takes most of the time, and a minute has 600 slots
            floor = peak
        if floor < 1.0:  # noqa: PLR1730
            floor = 1.0
    return bytes(loud)


def moves_like_speech(window: Samples) -> bool:
    """Tell whether a window may be speech, by its movement: hum, tones, digits, most noise and music are not."""
    swing_db, crossings, steady, digits = speech_features(window)
    return digits == 0 and steady < _MOST_STEADY and (1 + swing_db) * (crossings + 0.01) ** 2 > _LEAST_MOVEMENT


class SpeechDetector:
    """The detector of one side: it gets to know the side's noise from the windows that it is given."""

    __slots__ = ("_vad",)

    def __init__(self) -> None:
        self._vad: webrtcvad.Vad | None = None

    def slots(self, window: Samples) -> tuple[bool, ...]:
        """Return for each slot of a window whether somebody speaks in it: with its first frame that is speech.

        Args:
            window: `WINDOW_SAMPLES` samples at 8000 Hz; nothing of it is kept but the detector's estimates.
        """
        if not moves_like_speech(window):
            return (False,) * WINDOW_SLOTS
        if self._vad is None:
            self._vad = webrtcvad.Vad(_MODE)
        is_speech, frames = self._vad.is_speech, window.data.cast("B")
        return tuple(
            any(
                is_speech(frames[at : at + _FRAME_BYTES], _RATE)
                for at in range(start, start + _FRAMES_PER_SLOT * _FRAME_BYTES, _FRAME_BYTES)
            )
            for start in range(0, len(frames), _FRAMES_PER_SLOT * _FRAME_BYTES)
        )


Reader = Callable[[int], Samples | None]
"""Reads the window that begins with a slot; None if not enough of it is there."""


class SpeechSampler:
    """Chooses which windows of one side are judged, and keeps what was found in them."""

    __slots__ = ("_detector", "_judged", "_spoken", "due", "louder")

    def __init__(self) -> None:
        self._detector = SpeechDetector()
        self._judged: list[tuple[int, tuple[bool, ...]]] = []
        self._spoken = 0
        self.due = 0
        """Slot before which nothing is judged, unless it is louder than what was judged."""
        self.louder = LOUD_PEAK
        """Peak from which on it is; `NEVER` once the side is known to speak."""

    def is_due(self, first_slot: int, peaks: bytes) -> bool:
        """Tell whether there may be a window to judge in a stretch of audio."""
        return self.due < first_slot + len(peaks) or (self.louder < NEVER and max(peaks) >= self.louder)

    def take(self, first_slot: int, peaks: bytes, read: Reader) -> None:
        """Judge the windows that are due in a stretch of audio.

        Args:
            first_slot: Slot of the stretch's beginning.
            peaks: Peak of each of its slots.
            read: Gives the audio of a window; it is called for windows within the stretch that begin with a loud slot.
        """
        loudest, slot = max(peaks), max(self.due, first_slot)
        if loudest < LOUD_PEAK:
            return
        if loudest >= self.louder:
            slot = self._first_louder(first_slot, peaks)
            self.louder = int(self.louder * _LOUDER_AGAIN) + 1
        while slot + WINDOW_SLOTS <= first_slot + len(peaks):
            at = slot - first_slot
            window = read(slot) if peaks[at] >= LOUD_PEAK else None
            if window is None:
                slot += 1
                continue
            self._note(slot, self._detector.slots(window), sorted(peaks[at : at + WINDOW_SLOTS])[WINDOW_SLOTS // 2])
            slot = self.due

    def seconds(self, peaks: bytes | bytearray) -> float | None:
        """Return the seconds of speech; None if there was no window to judge.

        Args:
            peaks: Of the whole side, from slot 0.
        """
        if not self._judged:
            return None
        loud = loud_slots(peaks)
        heard = spoken = 0
        for slot, found in self._judged:
            for is_loud, is_speech in zip(loud[slot : slot + WINDOW_SLOTS], found, strict=False):
                heard += is_loud
                spoken += is_loud and is_speech
        share = spoken / heard if heard else 0.0
        return sum(loud) * share / SLOTS_PER_S if share >= _LEAST_SHARE else 0.0

    def _first_louder(self, first_slot: int, peaks: bytes) -> int:
        """Return the first slot that is louder than the windows so far, or the last that a window can begin with."""
        at = next(at for at, peak in enumerate(peaks) if peak >= self.louder)
        return first_slot + max(min(at, len(peaks) - WINDOW_SLOTS), 0)

    def _note(self, slot: int, found: tuple[bool, ...], median: int) -> None:
        self._judged.append((slot, found))
        self._spoken += sum(found)
        self.due = slot + WINDOW_SLOTS + self._gap()
        speaks = self._spoken >= _SPOKEN_SLOTS
        self.louder = NEVER if speaks else max(self.louder, int(median * _LOUDER) + 1)

    def _gap(self) -> int:
        if self._spoken >= _SPOKEN_SLOTS:
            return _MOST_GAP_SLOTS
        doublings = min(len(self._judged) // _WINDOWS_TO_DOUBLE, _MOST_DOUBLINGS)
        return min(_GAP_SLOTS << doublings, _MOST_GAP_SLOTS)


def speech_kept(before_s: float, peaks_before: bytes, peaks_after: bytes) -> float:
    """Return the seconds of speech that are left after a part was erased: in proportion to the loud slots."""
    loud = sum(loud_slots(peaks_before))
    return before_s * min(sum(loud_slots(peaks_after)) / loud, 1.0) if loud else 0.0
