"""pjsua2 as a phone at a desk: it sends and hears by a `Line`, and a person answers."""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pjsua2 as pj

from recorder.demo.phones.device import Say
from recorder.demo.phones.line import Line
from recorder.demo.phones.line_ends import FRAME, silence
from recorder.demo.phones.messages import RATE, PhoneError
from recorder.demo.phones.pjsua2_device import Pjsua2Device

_BUFFERS = (60, 400)
_BITS = 16
_STDOUT = 1


class _AudioPort(pj.AudioMediaPort):  # type: ignore[misc]  # pjsua2 has no types
    """Joins a call's audio with a line; pjsua2's media thread calls it every 20 ms."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line
        form = pj.MediaFormatAudio()
        form.init(pj.PJMEDIA_FORMAT_PCM, RATE, 1, FRAME * 1_000_000 // RATE, _BITS)
        self.createPort("desk", form)

    def onFrameRequested(self, frame: Any) -> None:  # noqa: ANN401, N802 - pjsua2's name
        samples = silence()
        with contextlib.suppress(Exception):  # an exception here would abort the process
            samples = self._line.next()
        frame.type, frame.buf = pj.PJMEDIA_FRAME_TYPE_AUDIO, pj.ByteVector(samples.tobytes())

    def onFrameReceived(self, frame: Any) -> None:  # noqa: ANN401, N802 - pjsua2's name
        with contextlib.suppress(Exception):
            self._line.put(np.frombuffer(bytes(frame.buf), dtype=np.int16))


class Pjsua2Desk(Pjsua2Device):
    """pjsua2 as a phone at a desk; `shut_down` leaves the line open."""

    def __init__(self, report: Say, user: str, line: Line, *, srtp: bool, host: str, port: int) -> None:
        """Listen, and ring when somebody calls.

        Raises:
            PhoneError: The address cannot be bound.
        """
        self._audio: _AudioPort | None = None
        with _quiet():
            try:
                super().__init__(report, user, srtp=srtp, host=host, port=port, buffers=_BUFFERS)
            except pj.Error as error:
                raise PhoneError(f"{host}:{port} cannot be used: {error.reason}") from error
        self._endpoint.codecSetPriority("PCMU/8000/1", 1)
        self._audio = _AudioPort(line)
        self.do_auto_answer(float("inf"), None)

    def connect_media(self) -> None:
        """Join the call's media with the line."""
        media = self._media()
        if media is not None and self._audio is not None:
            self._audio.startTransmit(media)
            media.startTransmit(self._audio)

    def do_answer(self) -> None:
        """Answer the call that rings; without one, do nothing."""
        if self._answer_at is not None:
            self._answer_at = 0.0

    def shut_down(self) -> None:
        """End the call and pjsua2."""
        with contextlib.suppress(pj.Error):
            self._endpoint.hangupAllCalls()
        self._audio = None
        super().shut_down()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep from standard output what pjlib prints before its log level can be set.

    C keeps it in a buffer, unless standard output is a terminal, and would write it after the command's own output.
    """
    kept, nowhere = os.dup(_STDOUT), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, _STDOUT)
        yield
    finally:
        ctypes.CDLL(None).fflush(None)
        os.dup2(kept, _STDOUT)
        os.close(nowhere)
        os.close(kept)
