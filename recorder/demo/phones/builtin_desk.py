"""The built-in phone at a desk: it sends and hears by a `Line`, and a person answers."""

import math
from collections.abc import Callable

from audio.codecs import decode, encode
from audio.types import Codec
from recorder.demo.phones.builtin_device import BuiltinDevice
from recorder.demo.phones.builtin_media import RtpStream
from recorder.demo.phones.device import Say
from recorder.demo.phones.line import Line
from recorder.demo.phones.messages import PhoneError


class _LineStream(RtpStream):
    """A call's audio that is the line's in both directions."""

    def __init__(self, line: Line, host: str, digit: Callable[[str], None]) -> None:
        super().__init__(host, played=lambda: None, pressed=lambda _key, _at: None, digit=digit)
        self._line = line

    def frame(self, payload: bytes) -> bytes:
        """Return the next 20 ms of the line."""
        return encode(self.codec, self._line.next())

    def hear(self, codec: Codec, payload: bytes) -> None:
        """Hand what has arrived to the line."""
        self._line.put(decode(codec, payload))


class BuiltinDesk(BuiltinDevice):
    """The built-in phone at a desk; `shut_down` leaves the line open."""

    def __init__(self, report: Say, user: str, line: Line, *, host: str, port: int) -> None:
        """Listen, and ring when somebody calls.

        Raises:
            PhoneError: The address cannot be bound.
        """
        self._line = line
        try:
            super().__init__(report, user, host=host, port=port)
        except OSError as error:
            raise PhoneError(f"{host}:{port} cannot be used: {error.strerror}") from error
        self.do_auto_answer(math.inf, None)

    def do_answer(self) -> None:
        """Answer the call that rings; without one, do nothing."""
        if self._answer_at is not None:
            self._answer_at = 0.0

    def _new_stream(self) -> RtpStream:
        return _LineStream(self._line, self._ip, lambda key: self.say("digit", text=key))
