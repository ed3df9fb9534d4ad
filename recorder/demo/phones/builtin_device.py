"""The built-in phone: SIP and RTP in plain Python, so that nothing has to be installed; see `device.Device`.

It shares no code with the recorder's SIP and media, so a call through the recorder proves something. PCMA and PCMU, no
encryption.
"""

import re
import select
import socket
import time
from pathlib import Path

from recorder.demo.phones.builtin_dialog import (
    Dialog,
    DialogStage,
)
from recorder.demo.phones.builtin_media import RtpStream
from recorder.demo.phones.builtin_signalling import BuiltinSignalling
from recorder.demo.phones.messages import PhoneError

_WAIT_S = 0.005
_FLUSH_S = 1.0
"""How long an end waits for the answer to its BYE."""
_URI = re.compile(r"sip:[^@]+@([^:;>]+)(?::(\d+))?")


class BuiltinDevice(BuiltinSignalling):
    """The built-in phone."""

    def turn(self) -> None:
        """Handle what has arrived and what is due; wait at most some milliseconds for it."""
        stream = self._stream
        wait_s = _WAIT_S
        if stream is not None and stream.next_at is not None:
            wait_s = min(wait_s, max(stream.next_at - time.monotonic(), 0.0))
        descriptors = [self._socket.fileno(), *(() if stream is None else (stream.fileno(),))]
        select.select(descriptors, [], [], wait_s)
        self._read()
        self._resender.send_due()
        if self._answer_at is not None and time.monotonic() >= self._answer_at:
            self._answer_at = None
            self._accept()
        if self._stream is not None:
            self._stream.receive()
            self._stream.send_due()

    def shut_down(self) -> None:
        """End the call and close the sockets."""
        if self._call is not None:
            self.do_hang_up()
            until = time.monotonic() + _FLUSH_S
            while self._resender.is_waiting and time.monotonic() < until:
                self.turn()
        self._end_media()
        self._socket.close()

    # --- commands

    def do_call(self, uri: str, wav: str | None) -> None:
        """Call a URI."""
        found = _URI.match(uri)
        if self._call is not None:
            raise PhoneError("there is a call already")
        if found is None:
            raise PhoneError(f"not a URI that this phone can call: {uri}")
        self._wav = wav
        stream = self._open_media()
        peer = (socket.gethostbyname(found[1]), int(found[2] or 5060))
        self._call = call = Dialog.calling(self._host, uri, peer, self._user, bytes(stream.media()))
        self.say("calling")
        self._resender.send(call.invite.branch, bytes(call.invite), peer)

    def do_auto_answer(self, after_s: float, wav: str | None) -> None:
        """Answer incoming calls."""
        self._answer = after_s, wav

    def do_reject(self) -> None:
        """Refuse incoming calls."""
        self._answer = None

    def do_play(self, wav: str) -> None:
        """Send a WAV in the call."""
        if self._stream is None:
            raise PhoneError("there is no call")
        self._stream.play(Path(wav))

    def do_record(self, wav: str) -> None:
        """Record received audio."""
        if self._stream is None:
            self._recording = wav
        else:
            self._stream.record(Path(wav))

    def do_send_dtmf(self, digits: str) -> None:
        """Send RFC 4733 events."""
        _, stream = self._answered()
        stream.press(digits)

    def do_hold(self, is_held: bool) -> None:
        """Hold the far side, or take it off hold."""
        call, stream = self._answered()
        self._offers.append("sendonly" if is_held else "sendrecv")
        if len(self._offers) == 1:  # else it follows when the offer before it is answered (RFC 3261 section 14.1)
            self._send_offer(call, stream)

    def _answered(self) -> tuple[Dialog, RtpStream]:
        if self._call is None or self._stream is None or self._call.stage is not DialogStage.CONFIRMED:
            raise PhoneError("there is no answered call")
        return self._call, self._stream
