"""What a phone at a desk can send and hear: microphone, tone or file; loudspeaker or file.

A phone asks for 20 ms at a time and hands over what arrives, and never waits for a sound device: those have threads.
"""

import threading
import wave
from collections import deque
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from audio.portaudio import SoundError
from audio.sound_devices import FRAME_S, Loudspeaker, Microphone
from recorder.demo.phones.messages import RATE, PhoneError

Samples = NDArray[np.int16]

FRAME = round(RATE * FRAME_S)
"""Samples of a packet."""
_TONE_LEVEL = 0.3
_STUCK_S = 2.0
"""A device that does not come back from reading or writing in this time is left alone at the end."""
_MOST_WAITING = 10
"""Frames between a device's thread and the phone; more would only be heard later. The oldest are dropped."""
_CUSHION = 3
"""Frames that a loudspeaker waits for after a gap, so that packets may come unevenly."""


def silence() -> Samples:
    """Return 20 ms without sound."""
    return np.zeros(FRAME, dtype=np.int16)


class Source(Protocol):
    """Gives what is sent."""

    def next(self) -> Samples:
        """Return the next 20 ms, int16 at 8 kHz; never waits."""

    def close(self) -> None:
        """Close a device. Idempotent."""


class Sink(Protocol):
    """Takes what is heard."""

    def put(self, samples: Samples) -> None:
        """Take samples, int16 at 8 kHz; never waits."""

    def close(self) -> None:
        """Close a device or a file. Idempotent."""


class Tone:
    """A tone without end."""

    def __init__(self, frequency_hz: float) -> None:
        self._frequency_hz, self._at = frequency_hz, 0

    def next(self) -> Samples:
        """Return the next 20 ms."""
        at = np.arange(self._at, self._at + FRAME)
        self._at += FRAME
        return (_TONE_LEVEL * 32767 * np.sin(2 * np.pi * self._frequency_hz * at / RATE)).astype(np.int16)

    def close(self) -> None:
        """Do nothing."""


class SoundFile:
    """A sound file, once; silence after it.

    Raises:
        PhoneError: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        try:
            samples, rate_hz = soundfile.read(path, dtype="float64", always_2d=True)
        except (OSError, soundfile.LibsndfileError) as error:
            reason = getattr(error, "error_string", "") or getattr(error, "strerror", "") or str(error)
            raise PhoneError(f"{path} is no WAV, FLAC or Ogg file that can be read: {reason}") from error
        mixed = samples.mean(axis=1)
        if rate_hz != RATE:
            mixed = soxr.resample(mixed, rate_hz, RATE)
        self._samples: Samples = (np.clip(mixed, -1, 1) * 32767).astype(np.int16)
        self._at = 0

    def next(self) -> Samples:
        """Return the next 20 ms."""
        frame = self._samples[self._at : self._at + FRAME]
        self._at += FRAME
        return np.concatenate([frame, np.zeros(FRAME - len(frame), dtype=np.int16)])

    def close(self) -> None:
        """Do nothing."""


class MicrophoneSource:
    """A microphone, read on a thread of its own."""

    def __init__(self, microphone: Microphone) -> None:
        self._microphone = microphone
        self._waiting: deque[Samples] = deque(maxlen=_MOST_WAITING)
        self._is_open = True
        self.problem: SoundError | None = None
        """Why nothing more comes; None while it works."""
        self._thread = threading.Thread(target=self._read, name="microphone", daemon=True)
        self._thread.start()

    def next(self) -> Samples:
        """Return the next 20 ms, silence if there is nothing yet."""
        try:
            return self._waiting.popleft()
        except IndexError:
            return silence()

    def close(self) -> None:
        """Stop recording and close the device."""
        self._is_open = False
        self._thread.join(_STUCK_S)
        self._waiting.clear()
        self._microphone.close()

    def _read(self) -> None:
        try:
            while self._is_open:
                self._waiting.append(self._microphone.read(FRAME))
        except SoundError as error:
            self.problem = error


class LoudspeakerSink:
    """A loudspeaker, played on a thread of its own: what arrives, and silence in between."""

    def __init__(self, loudspeaker: Loudspeaker) -> None:
        self._loudspeaker = loudspeaker
        self._waiting: deque[Samples] = deque(maxlen=_MOST_WAITING)
        self._is_open = True
        self.problem: SoundError | None = None
        """Why nothing more is heard; None while it works."""
        self._thread = threading.Thread(target=self._play, name="loudspeaker", daemon=True)
        self._thread.start()

    def put(self, samples: Samples) -> None:
        """Play samples after those that wait."""
        self._waiting.append(samples)

    def close(self) -> None:
        """Stop playing and close the device."""
        self._is_open = False
        self._thread.join(_STUCK_S)
        self._waiting.clear()
        self._loudspeaker.close()

    def _play(self) -> None:
        is_filling = True
        try:
            while self._is_open:
                is_filling = len(self._waiting) < _CUSHION if is_filling else not self._waiting
                self._loudspeaker.write(silence() if is_filling else self._waiting.popleft())
        except SoundError as error:
            self.problem = error


class Recording:
    """A new WAV file of what is heard, which only its owner may read. If nothing was heard there is none in the end.

    Raises:
        PhoneError: The file exists already, or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.touch(mode=0o600, exist_ok=False)
        except FileExistsError as error:
            raise PhoneError(f"{path} exists already; name another file") from error
        except OSError as error:
            raise PhoneError(f"{path} cannot be written: {error.strerror}") from error
        self._path, self._is_empty = path, True
        self._file = wave.open(str(path), "wb")  # noqa: SIM115 - open as long as the phone
        self._file.setparams((1, 2, RATE, 0, "NONE", ""))

    def put(self, samples: Samples) -> None:
        """Append samples."""
        self._is_empty = False
        self._file.writeframes(samples.astype("<i2").tobytes())

    def close(self) -> None:
        """Complete the file."""
        self._file.close()
        if self._is_empty:
            self._path.unlink(missing_ok=True)
