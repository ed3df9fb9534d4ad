"""What baresip says and hears: two named pipes of raw audio, written and read at the speed of the call.

baresip's sound card is ALSA's ``file`` plugin over two pipes. aufile, its own way from and to files, records in 1.1.0
only, begins its recording again at each hold, ends the call where the file that it plays ends, and loses time whenever
another file is played, which a receiver has to make up for in the middle of a word. Nothing paces such an ALSA device
but the other ends of its pipes. So these move 16,000 bytes for each second that has passed, and catch up after a stall.
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
"""20 ms, what baresip reads at once: of less than that it would make a frame with a gap."""
_LONGEST_STALL_S = 1.0
"""What is caught up at once."""
_PIPE_BYTES = 4096
"""The smallest that Linux gives: what is in a pipe is ahead of the call, or behind it."""


class Pace:
    """How many bytes are due. Pure."""

    def __init__(self, now: float) -> None:
        self._due, self._asked_at, self._moved_at = 0.0, now, now

    def due(self, now: float) -> int:
        """Return how many bytes may be moved; little when none have been for a while, because there is no call."""
        self._due += (now - self._asked_at) * _BYTES_A_SECOND
        self._asked_at = now
        is_in_call = now - self._moved_at < _LONGEST_STALL_S
        self._due = min(self._due, _BYTES_A_SECOND * _LONGEST_STALL_S if is_in_call else _FRAME)
        return int(self._due) // 2 * 2

    def moved(self, size: int, now: float) -> None:
        """Note that bytes have been moved."""
        if size:
            self._due -= size
            self._moved_at = now


class Mouth:
    """The writing end of what baresip says: a WAV's audio, or silence. Not for several threads."""

    def __init__(self, pipe: Path) -> None:
        """Make the pipe."""
        self._pipe = _make_pipe(pipe)
        self._pace = Pace(time.monotonic())
        self._audio = b""
        self.has_played = False
        """The audio has come to its end."""

    def play(self, audio: bytes) -> None:
        """Say this from now on, instead of what is being said; nothing is silence."""
        self._audio, self.has_played = audio, False

    def speak(self) -> None:
        """Write what is due."""
        now = time.monotonic()
        while self._pace.due(now) >= _FRAME and self._waiting() <= _FRAME:
            os.write(self._pipe, self._audio[:_FRAME].ljust(_FRAME, b"\0"))
            self._pace.moved(_FRAME, now)
            if self._audio:
                self._audio = self._audio[_FRAME:]
                self.has_played = not self._audio

    def _waiting(self) -> int:
        """Return how many bytes baresip has not taken."""
        count = array.array("i", [0])
        fcntl.ioctl(self._pipe, termios.FIONREAD, count)
        return count[0]

    def close(self) -> None:
        """Close the pipe."""
        os.close(self._pipe)


class Ear:
    """The reading end of what baresip hears, and the recording that is being written. Not for several threads."""

    def __init__(self, pipe: Path) -> None:
        """Make the pipe."""
        self._pipe = _make_pipe(pipe)
        self._pace = Pace(time.monotonic())
        self._wav: Path | None = None
        self._file: wave.Wave_write | None = None

    def listen(self) -> None:
        """Read what is due."""
        now = time.monotonic()
        self._pace.moved(self._read(self._pace.due(now)), now)

    def record(self, wav: Path) -> None:
        """Write what is heard from now on to a WAV; one that is being written is finished."""
        self.finish()
        self._wav = wav

    def finish(self) -> None:
        """Read what is left, and finish the recording if there is one."""
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
    # For reading and writing: the pipe never ends when baresip closes its device, as it does at each hold.
    pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return pipe
