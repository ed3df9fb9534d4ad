"""What baresip hears: read from a named pipe at the speed of the call, and written to a WAV.

baresip plays to an ALSA device that writes into the pipe. aufile, its own way to a file, can record in 1.1.0 only, and
begins its file again at each hold. Nothing paces such an ALSA device but its reader: baresip's player takes as much as
the pipe takes. So the reader may take 16,000 bytes for each second that has passed. After a stall it catches up, with
what baresip has buffered meanwhile.
"""

import contextlib
import fcntl
import os
import time
import wave
from pathlib import Path

from recorder.demo.phones.messages import RATE

_BYTES_A_SECOND = 2 * RATE
_LONGEST_STALL_S = 1.0
"""What is caught up at once; baresip's buffer holds two seconds."""
_FRAME_S = 0.02
_PIPE_BYTES = 4096
"""The smallest that Linux gives: what is in the pipe is ahead of the call."""


class Ear:
    """The reading end of the pipe, and the recording that is being written. Not for several threads."""

    def __init__(self, pipe: Path) -> None:
        """Make the pipe."""
        os.mkfifo(pipe, 0o600)
        # For writing too: the pipe never ends when baresip closes its device, as it does at each hold.
        self._pipe = os.open(pipe, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        self._wav: Path | None = None
        self._file: wave.Wave_write | None = None
        self._allowance, self._asked_at = 0.0, time.monotonic()
        self._heard_at = self._asked_at

    def listen(self) -> None:
        """Read what may be read by now."""
        now = time.monotonic()
        self._allowance += (now - self._asked_at) * _BYTES_A_SECOND
        self._asked_at = now
        is_in_call = now - self._heard_at < _LONGEST_STALL_S
        self._allowance = min(self._allowance, _BYTES_A_SECOND * (_LONGEST_STALL_S if is_in_call else _FRAME_S))
        if size := self._read(int(self._allowance) // 2 * 2):
            self._allowance -= size
            self._heard_at = now

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
