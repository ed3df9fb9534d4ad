"""baresip's audio in both directions: two named pipes of raw audio, paced at the speed of the call.

baresip's sound card is ALSA's ``file`` plugin over two pipes. Its own module aufile does not do: it records in 1.1.0
only, starts its recording again at each hold, ends the call at the end of the file that it plays, and loses time when
another file is played, which the receiver must conceal in the middle of a word. Only the other ends of the pipes pace
such an ALSA device. So these classes move 16,000 bytes per second, and catch up after a stall.
"""

import array
import contextlib
import fcntl
import os
import termios
import time
import wave
from pathlib import Path

from recorder.demo.phones.messages import RATE

_BYTES_A_SECOND = 2 * RATE
_FRAME = _BYTES_A_SECOND // 50
"""20 ms, which baresip reads at once; a shorter read would give a frame with a gap."""
_LONGEST_STALL_S = 1.0
"""Longest stall that is caught up, seconds."""
_PIPE_BYTES = 4096
"""Smallest size of a pipe on Linux: audio in a pipe is ahead of the call, or behind it."""


class Pace:
    """Computes how many bytes are due. Pure."""

    def __init__(self, now: float) -> None:
        self._due, self._asked_at, self._moved_at = 0.0, now, now

    def due(self, now: float) -> int:
        """Return how many bytes may be moved; at most a frame if none were moved lately, because there is no call."""
        self._due += (now - self._asked_at) * _BYTES_A_SECOND
        self._asked_at = now
        is_in_call = now - self._moved_at < _LONGEST_STALL_S
        self._due = min(self._due, _BYTES_A_SECOND * _LONGEST_STALL_S if is_in_call else _FRAME)
        return int(self._due) // 2 * 2

    def moved(self, size: int, now: float) -> None:
        """Record that bytes have been moved."""
        if size:
            self._due -= size
            self._moved_at = now


class Mouth:
    """Writing end of the audio that baresip sends: a WAV's audio, or silence. Not for several threads."""

    def __init__(self, pipe: Path) -> None:
        """Make the pipe."""
        self._pipe = _make_pipe(pipe)
        self._pace = Pace(time.monotonic())
        self._audio = b""
        self.has_played = False
        """Whether the audio was played to its end."""

    def play(self, audio: bytes) -> None:
        """Replace the audio that is sent; b"" is silence."""
        self._audio, self.has_played = audio, False

    def speak(self) -> None:
        """Write the bytes that are due."""
        now = time.monotonic()
        while self._pace.due(now) >= _FRAME and self._waiting() <= _FRAME:
            os.write(self._pipe, self._audio[:_FRAME].ljust(_FRAME, b"\0"))
            self._pace.moved(_FRAME, now)
            if self._audio:
                self._audio = self._audio[_FRAME:]
                self.has_played = not self._audio

    def _waiting(self) -> int:
        count = array.array("i", [0])
        fcntl.ioctl(self._pipe, termios.FIONREAD, count)
        return count[0]

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._pipe)


class Ear:
    """Reading end of the audio that baresip receives, and the WAV that it is recorded to. Not for several threads."""

    def __init__(self, pipe: Path) -> None:
        """Make the pipe."""
        self._pipe = _make_pipe(pipe)
        self._pace = Pace(time.monotonic())
        self._wav: Path | None = None
        self._file: wave.Wave_write | None = None

    def listen(self) -> None:
        """Read the bytes that are due."""
        now = time.monotonic()
        self._pace.moved(self._read(self._pace.due(now)), now)

    def record(self, wav: Path) -> None:
        """Record received audio to a WAV from now on; finish the present one."""
        self.finish()
        self._wav = wav

    def finish(self) -> None:
        """Read the rest, and finish the WAV if there is one."""
        while self._read(_PIPE_BYTES):
            pass
        if self._file is not None:
            self._file.close()
        self._file = self._wav = None

    def close(self) -> None:
        """Finish, and close the pipe."""
        self.finish()
        os.close(self._pipe)

    def _read(self, size: int) -> int:
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._pipe, size)
        if data and self._wav is not None:
            if self._file is None:
                self._file = wave.open(str(self._wav), "wb")  # noqa: SIM115 - open as long as the call
                self._file.setparams((1, 2, RATE, 0, "NONE", ""))
            self._file.writeframes(data)
        return len(data)


def _make_pipe(path: Path) -> int:
    os.mkfifo(path, 0o600)
    # Opened for both directions: baresip closes its device at each hold, and the pipe must not end then.
    pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return pipe
