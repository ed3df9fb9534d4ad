"""The signalling of the built-in phone: what it answers, and when its media begin and end. Not for several threads."""

import re
import socket
import time
from pathlib import Path

from recorder.demo.phones.builtin_dialog import (
    ANSWERED_BY,
    Address,
    Dialog,
    DialogStage,
    Resender,
    direction_of,
    formats_of,
    remote_media,
)
from recorder.demo.phones.builtin_media import RtpStream
from recorder.demo.phones.device import Say
from recorder.demo.phones.messages import PhoneError, PhoneEvent
from recorder.demo.phones.sip_messages import Message, WireError, build_response, parse

HOST = "127.0.0.1"


class BuiltinSignalling:
    """One call at a time, over UDP; `recorder.demo.phones.builtin_device` has the commands."""

    def __init__(self, report: Say, user: str, *, srtp: bool = False, host: str = HOST, port: int = 0) -> None:
        """Listen at an address of this machine; port 0 is a free one.

        Raises:
            OSError: The address cannot be bound.
            PhoneError: Encryption is wanted, which it does not have.
        """
        if srtp:
            raise PhoneError("the built-in phone has no encryption: install baresip or pjsua2")
        self._report, self._user = report, user
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((host, port))
        except OSError:
            self._socket.close()
            raise
        self._ip = host
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]
        self._host = f"{host}:{self.port}"
        self._resender = Resender(self._transmit, self._given_up)
        self._call: Dialog | None = None
        self._stream: RtpStream | None = None
        self._answer: tuple[float, str | None] | None = None
        self._answer_at: float | None = None
        self._wav: str | None = None
        self._recording: str | None = None
        self._offers: list[str] = []
        """Directions to offer by re-INVITE; the first is on its way."""

    def say(self, name: str, code: int = 0, text: str = "") -> None:
        """Report an event."""
        self._report(PhoneEvent(name=name, code=code, text=text))

    def _send_offer(self, call: Dialog, stream: RtpStream) -> None:
        call.version += 1
        invite = call.request("INVITE", bytes(stream.media(self._offers[0], call.version)))
        self._resender.send(invite.branch, bytes(invite), call.peer)

    def do_hang_up(self) -> None:
        """End the call, if there is one."""
        call = self._call
        if call is None:
            return
        if call.stage is DialogStage.CONFIRMED:
            bye = call.request("BYE")
            self._resender.send(bye.branch, bytes(bye), call.peer)
            self._finish(200, "OK")
        elif not call.is_ours:
            self._send_final(call, call.invite, 486)
            self._finish(486, "Busy Here")
        elif not call.is_cancelled:
            call.is_cancelled = True
            if call.stage is DialogStage.EARLY:  # no CANCEL before a provisional response (RFC 3261 section 9.1)
                self._cancel(call)

    # --- media

    def _open_media(self) -> RtpStream:
        self._stream = stream = self._new_stream()
        if self._recording is not None:
            stream.record(Path(self._recording))
            self._recording = None
        return stream

    def _new_stream(self) -> RtpStream:
        return RtpStream(
            self._ip,
            played=lambda: self.say("played"),
            pressed=lambda key, at: self.say("pressed", at, key),
            digit=lambda key: self.say("digit", text=key),
        )

    def _connect(self, sdp: bytes) -> str:
        """Send to where the other side wants its audio; return the direction of our answer."""
        remote, formats = remote_media(sdp), formats_of(sdp)
        direction = ANSWERED_BY[direction_of(sdp)]
        if self._stream is None or remote is None or formats is None:
            return direction
        is_first = self._stream.next_at is None
        self._stream.agree(*formats)
        self._stream.talk(remote, is_sending="send" in direction)
        if is_first and self._wav is not None:
            self._stream.play(Path(self._wav))
        return direction

    def _end_media(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()

    # --- messages

    def _transmit(self, data: bytes, to: Address) -> None:
        try:
            self._socket.sendto(data, to)
        except OSError:
            return  # as good as lost on the way: it is sent again

    def _given_up(self) -> None:
        if self._call is not None:
            self._finish(408, "Request Timeout")

    def _read(self) -> None:
        for _ in range(64):
            try:
                data, source = self._socket.recvfrom(65_535)
                message = parse(data)
            except WireError:
                continue
            except OSError:  # nothing more, or a port is closed at the other end
                return
            if message.status:
                self._take_response(message)
            else:
                self._take_request(message, source)

    def _take_response(self, response: Message) -> None:
        key = f"CANCEL {response.branch}" if response.method == "CANCEL" else response.branch
        if response.status >= 200 or response.method == "INVITE":
            self._resender.stop(key)
        call = self._call
        if call is None or response.call_id != call.invite.call_id or response.method != "INVITE":
            return
        is_first = response.cseq == 1 and call.is_ours
        if response.status >= 200:
            is_repeat = response.cseq in call.acks
            self._transmit(call.ack(response), call.peer)
            if is_repeat:
                return
        if response.status < 200:
            self._progress(call, response)
        elif is_first and response.status >= 300:
            self._finish(response.status, response.phrase)
        else:
            self._answered_offer(call, response, is_first=is_first)

    def _answered_offer(self, call: Dialog, response: Message, *, is_first: bool) -> None:
        if response.status < 300:
            self._connect(response.body)
        if is_first:
            self._confirm(call)
        elif self._offers:
            self._offers.pop(0)
            if self._offers and self._stream is not None:
                self._send_offer(call, self._stream)

    def _progress(self, call: Dialog, response: Message) -> None:
        if response.body:
            self._connect(response.body)
        if call.stage is DialogStage.CALLING and call.is_ours:
            call.stage = DialogStage.EARLY
            if call.is_cancelled:
                self._cancel(call)
        if response.status > 100:
            self.say("early", response.status, response.phrase)

    def _confirm(self, call: Dialog) -> None:
        call.stage = DialogStage.CONFIRMED
        if call.is_cancelled:  # the answer crossed our CANCEL
            self.do_hang_up()
            return
        self.say("confirmed", 200, "OK")

    def _cancel(self, call: Dialog) -> None:
        self._resender.send(f"CANCEL {call.invite.branch}", bytes(call.cancel()), call.peer)

    def _take_request(self, request: Message, source: Address) -> None:
        call = self._call
        if call is None or request.call_id != call.invite.call_id:
            self._take_new(request, source)
        elif request.method == "ACK":
            self._resender.stop("final")
            if request.body:
                self._connect(request.body)
            if not call.is_ours and call.stage is DialogStage.EARLY:
                self._confirm(call)
        elif (earlier := call.answered(request)) is not None:
            self._transmit(earlier, source)
        elif request.method in ("INVITE", "UPDATE"):
            self._re_offered(call, request)
        else:
            self._transmit(call.respond(request, 200), source)
            if request.method == "CANCEL":
                self._send_final(call, call.invite, 487)
                self._finish(487, "Request Terminated")
            elif request.method == "BYE":
                self._finish(200, "OK")

    def _take_new(self, request: Message, source: Address) -> None:
        if request.method == "ACK":
            return
        if request.method != "INVITE" or ";tag=" in request.value("To"):
            status = 200 if request.method == "OPTIONS" else 481
            self._transmit(bytes(build_response(self._host, request, status)), source)
            return
        caller = re.search(r"<([^>]*)>", request.value("From"))
        text = caller[1] if caller else request.value("From")
        if self._call is not None or self._answer is None or (request.body and formats_of(request.body) is None):
            status = 488 if self._call is None and self._answer is not None else 486
            self._transmit(
                bytes(build_response(self._host, request, status, to=f"{request.value('To')};tag=busy")), source
            )
            if self._call is None:
                self.say("refused", status, text)
            return
        after_s, self._wav = self._answer
        self._call = call = Dialog.called(self._host, request, source)
        self._open_media()
        self.say("incoming", text=text)
        call.stage = DialogStage.EARLY
        self._transmit(call.respond(request, 180), source)
        self.say("early", 180, "Ringing")
        self._answer_at = time.monotonic() + after_s

    def _accept(self) -> None:
        call, stream = self._call, self._stream
        if call is None or stream is None:
            return
        direction = self._connect(call.offer) if call.offer else "sendrecv"
        self._send_final(call, call.invite, 200, bytes(stream.media(direction)))

    def _re_offered(self, call: Dialog, request: Message) -> None:
        assert self._stream is not None
        call.version += 1
        direction = self._connect(request.body) if request.body else "sendrecv"
        if request.method == "UPDATE":
            sdp = bytes(self._stream.media(direction, call.version)) if request.body else b""
            self._transmit(call.respond(request, 200, sdp), call.peer)
        else:
            self._send_final(call, request, 200, bytes(self._stream.media(direction, call.version)))

    def _send_final(self, call: Dialog, request: Message, status: int, sdp: bytes = b"") -> None:
        """Send a final response to an INVITE, again until its ACK."""
        self._resender.send("final", call.respond(request, status, sdp), call.peer)

    def _finish(self, status: int, phrase: str) -> None:
        self._call = self._answer_at = None
        self._offers.clear()
        self._end_media()
        self.say("disconnected", status, phrase)
