"""Microphones and loudspeakers of this machine, by PyAudio (PortAudio), for programs at a desk.

The recorder itself needs no sound device. PyAudio is the optional extra ``desk`` and imported only when a device is
opened or listed. Reading and writing block for as long as the sound lasts, without the GIL.
"""

import contextlib
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from audio.portaudio import (
    SoundDevice,
    SoundError,
    chosen,
    listed,
    open_library,
    pyaudio_module,
    quiet,
    reason_of,
    started,
)

Samples = NDArray[np.int16]

FRAME_S = 0.02
"""Time that PortAudio handles at once, seconds: a packet of a telephone."""
STEADY_FRAME_S = 0.1
"""The same for sound that nobody answers: a busy machine then leaves no gaps."""
_LEAD_IN_S, _TAIL_S = 0.1, 0.3
"""Silence before and after the sound: a sound server drops the first and last moments of a stream."""


def sound_devices() -> list[SoundDevice]:
    """Return the sound devices of this machine; none is no error.

    Raises:
        SoundError: PyAudio or PortAudio is missing.
    """
    with open_library() as opened:
        return listed(opened)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """Direction and form of a stream."""

    is_input: bool
    rate_hz: int
    channels: int
    frame_s: float

    @property
    def kind(self) -> str:
        return "microphone" if self.is_input else "loudspeaker"


class _Stream:
    """An open stream of one sound device; it owns PortAudio's handle. A context manager; for one thread at a time."""

    def __init__(self, shape: _Shape, wanted: str) -> None:
        self._shape = shape
        with quiet():
            self._library: Any = started()
            try:
                self.device = chosen(listed(self._library), shape.kind, wanted)
                """The device that was chosen."""
                self._stream: Any = self._opened()
            except BaseException:
                self._library.terminate()
                raise

    def _opened(self) -> Any:  # noqa: ANN401 - PyAudio has no types
        way = "input" if self._shape.is_input else "output"
        try:
            return self._library.open(
                self._shape.rate_hz, self._shape.channels, pyaudio_module().paInt16,
                frames_per_buffer=round(self._shape.rate_hz * self._shape.frame_s),
                **{way: True, f"{way}_device_index": self.device.index},
            )  # fmt: skip
        except (OSError, ValueError) as error:
            raise SoundError(
                f"The sound device {self.device.name} cannot be opened at {self._shape.rate_hz} Hz: "
                f"{reason_of(error)}. "
                "Close the program that uses it, or choose another device."
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop at once and close the device; what was not played yet is dropped. Idempotent."""
        stream, self._stream = self._stream, None
        library, self._library = self._library, None
        if library is None:
            return
        with quiet():
            with contextlib.suppress(OSError):  # a device that was unplugged
                stream.close()
            library.terminate()

    def _gone(self, error: OSError) -> SoundError:
        return SoundError(f"The sound device {self.device.name} has failed: {reason_of(error)}.")


class Microphone(_Stream):
    """An open microphone, one channel. Made by `open_microphone`."""

    def read(self, samples: int) -> Samples:
        """Return the next samples, int16; waits for them.

        Samples that nobody read in time are lost: the device keeps less than a second.

        Raises:
            SoundError: The device has failed.
        """
        try:
            data = self._stream.read(samples, exception_on_overflow=False)
        except OSError as error:
            raise self._gone(error) from error
        return np.frombuffer(data, dtype=np.int16)


class Loudspeaker(_Stream):
    """An open loudspeaker. Made by `open_loudspeaker`."""

    def write(self, samples: Samples) -> None:
        """Play samples, int16, shape (n,) or, of several channels, (n, channels); waits until the device took them.

        The array is handed over as it is: PyAudio makes no copy, so that the caller can wipe it afterwards. A late
        write leaves a gap; PyAudio can report that only by closing the stream, so it is not asked to.

        Raises:
            SoundError: The device has failed.
        """
        frames = np.ascontiguousarray(samples, dtype=np.int16)
        try:
            self._stream.write(frames, num_frames=len(frames), exception_on_underflow=False)
        except OSError as error:
            raise self._gone(error) from error

    def write_silence(self, seconds: float) -> None:
        """Play nothing for so long.

        Raises:
            SoundError: The device has failed.
        """
        self.write(np.zeros((round(seconds * self._shape.rate_hz), self._shape.channels), dtype=np.int16))

    def finish(self) -> None:
        """Wait until everything that was written has been played; nothing can be written after it.

        Silence follows it, so that the buffers of device and sound server hold nothing of it any more.

        Raises:
            SoundError: The device has failed.
        """
        self.write_silence(_TAIL_S)
        try:
            self._stream.stop_stream()
        except OSError as error:
            raise self._gone(error) from error


def open_microphone(rate_hz: int, *, device: str = "") -> Microphone:
    """Open a microphone; it records at once.

    Args:
        rate_hz: Sampling rate, Hz: 8000, or 16000 for wideband.
        device: Name of the device or a part of it that fits one only, in any case; the default one if empty.

    Raises:
        SoundError: There is no such device, or it cannot be opened.
    """
    return Microphone(_Shape(is_input=True, rate_hz=rate_hz, channels=1, frame_s=FRAME_S), device)


def open_loudspeaker(
    rate_hz: int, *, channels: int = 1, device: str = "", frame_s: float = STEADY_FRAME_S
) -> Loudspeaker:
    """Open a loudspeaker; it plays a moment of silence first.

    Args:
        rate_hz: Sampling rate, Hz: 8000, or 16000 for wideband.
        channels: 1, or 2 for left and right.
        device: As for `open_microphone`.
        frame_s: Time that the device handles at once, seconds: shorter is sooner heard, longer has fewer gaps.

    Raises:
        SoundError: There is no such device, or it cannot be opened.
    """
    shape = _Shape(is_input=False, rate_hz=rate_hz, channels=channels, frame_s=frame_s)
    loudspeaker = Loudspeaker(shape, device)
    loudspeaker.write_silence(_LEAD_IN_S)
    return loudspeaker
