"""Scripted SIP user agents over UDP: they place and take many calls on one socket, with RFC 3261's retransmissions.

An agent has one thread, which owns its socket, its timers and the state of its calls. Others command it through the
methods of `Call` and `Agent`, and wait with `Call.wait_for`; both are safe from any thread. Callbacks of an agent run
on its thread and must not wait. Scripts, not phones: no authentication, no Record-Route, no TCP.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

from benchmarks.dialogs import GIVE_UP_S, T1_S, T2_S, Address, Answer, Call, Headers, Retransmission, State
from benchmarks.messages import Media, Message, WireError, build_request, build_response, media_address, parse
from benchmarks.peer_wire import SocketWire, Wire

__all__ = ["Address", "Agent", "Answer", "Call", "Caller", "Officer", "State"]


class Agent:
    """A SIP user agent, on a UDP socket of its own unless it is given a wire; a context manager that owns it.

    Args:
        listen: Local address; port 0 binds a free one.
        answer: What to do with a call that comes in; gets the INVITE. None refuses each with 480.
        on_confirmed: Told on the agent's thread when a call's ACK was sent or has arrived.
        on_ended: Told on the agent's thread when a call ended.
        media: The SDP a call has unless it is given another.
        wire: What carries its messages in the place of a socket of its own.
    """

    def __init__(
        self,
        listen: Address = ("127.0.0.1", 0),
        *,
        wire: Wire | None = None,
        answer: Callable[[Message], Answer] | None = None,
        on_confirmed: Callable[[Call], None] | None = None,
        on_ended: Callable[[Call], None] | None = None,
        media: Media | None = None,
    ) -> None:
        self._answer = answer or (lambda _invite: Answer(status=480))
        self._on_confirmed, self._on_ended = on_confirmed, on_ended
        self._wire = wire or SocketWire(listen)
        self.address: Address = self._wire.address
        self._host = f"{self.address[0]}:{self.address[1]}"
        self._media = media or Media(ip=self.address[0], port=9)  # 9 is discard: nobody listens
        self.calls: dict[str, Call] = {}
        self.malformed = 0
        self.changed = self._wire.changed
        self.patience_s = self._wire.patience_s
        self._wire.start(self._arrived)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.close()
        except RuntimeError:
            if kind is None:  # else what the test says matters more
                raise

    def close(self) -> None:
        """End the thread and close the socket; calls in progress are dropped without a word. Idempotent.

        Raises:
            RuntimeError: The peer had failed.
        """
        self._wire.close()

    def submit(self, act: Callable[[], None]) -> None:
        """Run ``act`` on the agent's thread, soon."""
        self._wire.submit(act)

    def invite(
        self,
        target: Address,
        number: str,
        *,
        from_number: str = "02079460000",
        media: Media | None = None,
        headers: Headers = (),
        has_offer: bool = True,
    ) -> Call:
        """Place a call and return at once; ``has_offer`` False leaves the SDP out (a delayed offer)."""
        call_id = secrets.token_hex(12)
        local = f"<sip:{from_number}@{self._host}>;tag={secrets.token_hex(6)}"
        remote = f"<sip:{number}@{target[0]}:{target[1]}>"
        ours = media or self._media
        uri = f"sip:{number}@{target[0]}:{target[1]}"
        invite = build_request(self._host,
            "INVITE", uri, local=local, remote=remote, call_id=call_id, cseq=1, headers=headers,
            body=bytes(ours) if has_offer else b"",
        )  # fmt: skip
        call = Call(self, call_id, False, target, local, remote, invite, ours, remote_uri=uri)
        with self.changed:
            self.calls[call_id] = call
        self.submit(lambda: self._start(call))
        return call

    def incoming(self) -> list[Call]:
        """Return the calls that came in, oldest first."""
        with self.changed:
            return [call for call in self.calls.values() if call.is_incoming]

    def wait_incoming(self, count: int = 1, timeout_s: float | None = None) -> list[Call]:
        """Wait until at least ``count`` calls have come in and return them, oldest first.

        Raises:
            TimeoutError: They did not come in time.
        """
        timeout_s = self.patience_s if timeout_s is None else timeout_s
        with self.changed:
            if not self.changed.wait_for(lambda: sum(c.is_incoming for c in self.calls.values()) >= count, timeout_s):
                raise TimeoutError(f"fewer than {count} calls came in within {timeout_s} s")
        return self.incoming()

    # Messages and timers ---------------------------------------------------------------------------------------

    def _arrived(self, data: bytes, source: Address) -> None:
        try:
            message = parse(data)
        except WireError:
            self.malformed += 1
            return
        self._take(message, source)

    def after(self, delay_s: float, act: Callable[[], None]) -> None:
        """Run ``act`` on the agent's thread after some seconds. Agent's thread only."""
        self._wire.after(delay_s, act)

    # Sending ---------------------------------------------------------------------------------------------------

    def _send(self, call: Call, message: Message) -> bytes:
        data = bytes(message)
        call.sent.append(message)
        self._transmit(data, call.peer)
        return data

    def _transmit(self, data: bytes, to: Address) -> None:
        self._wire.transmit(data, to)

    def _repeat(self, call: Call, key: str, data: bytes, cap_s: float, on_give_up: Callable[[], None]) -> None:
        again = Retransmission(data, call.peer, T1_S, time.monotonic() + GIVE_UP_S, cap_s, on_give_up)
        call.retransmissions[key] = again
        self.after(T1_S, lambda: self._repeat_now(again))

    def _repeat_now(self, again: Retransmission) -> None:
        if not again.is_on:
            return
        if time.monotonic() >= again.gives_up_at_s:
            again.is_on = False
            again.on_give_up()
            return
        self._transmit(again.data, again.to)
        again.interval_s = min(2 * again.interval_s, again.cap_s)
        self.after(again.interval_s, lambda: self._repeat_now(again))

    def _stop(self, call: Call, key: str) -> None:
        again = call.retransmissions.pop(key, None)
        if again is not None:
            again.is_on = False

    def _start(self, call: Call) -> None:
        data = self._send(call, call.invite)
        self._repeat(call, call.invite.branch, data, GIVE_UP_S, lambda: self._finish(call, "timeout", 408))

    def send_request(self, call: Call, method: str, body: bytes, content_type: str, headers: Headers) -> None:
        """Send a request in the dialog and keep sending it until a final response. Agent's thread only."""
        call.cseq += 1
        request = build_request(
            self._host,
            method,
            call.remote_uri,
            local=call.local,
            remote=call.remote,
            call_id=call.call_id,
            cseq=call.cseq,
            headers=(*call.routes, *headers),
            body=body,
            content_type=content_type,
        )
        data = self._send(call, request)
        self._repeat(call, request.branch, data, T2_S, lambda: self._finish(call, "timeout", call.status))

    def send_offer(self, call: Call, media: Media | None) -> None:
        """Send a re-INVITE. Agent's thread only."""
        call.media = media or call.media
        body = bytes(media) if media else b""
        self.send_request(call, "INVITE", body, "application/sdp", ())

    def end(self, call: Call) -> None:
        """End a call in the way its state asks for. Agent's thread only."""
        if call.state is State.CONFIRMED:
            self.send_request(call, "BYE", b"", "", ())
            self._finish(call, "us", call.status)
        elif call.is_incoming and call.state is not State.ENDED:
            self._respond_invite(call, 603)
        elif call.state is State.RINGING:
            self._cancel(call)
        elif call.state is State.CALLING:
            call.is_cancelled = True  # no CANCEL before a provisional response (RFC 3261 section 9.1)

    def _cancel(self, call: Call) -> None:
        call.is_cancelled = True
        invite = call.invite
        cancel = build_request(self._host,
            "CANCEL", invite.uri, local=invite.value("From"), remote=invite.value("To"), call_id=call.call_id,
            cseq=invite.cseq, branch=invite.branch,
        )  # fmt: skip
        data = self._send(call, cancel)
        self._repeat(call, f"CANCEL {invite.branch}", data, T2_S, lambda: self._finish(call, "timeout", 408))

    def _finish(self, call: Call, ended_by: str, status: int) -> None:
        if call.state is State.ENDED:
            return
        call.state, call.ended_by, call.status = State.ENDED, ended_by, status
        if self._on_ended is not None:
            self._on_ended(call)

    # Receiving -------------------------------------------------------------------------------------------------

    def _take(self, message: Message, source: Address) -> None:
        call = self.calls.get(message.call_id)
        if call is not None:
            call.received.append(message)
        if message.status:
            if call is not None:
                self._take_response(call, message)
        elif call is None and message.method == "INVITE":
            self._offered(message, source)
        elif call is None:
            if message.method != "ACK":
                self._transmit(
                    bytes(build_response(self._host, message, 200 if message.method == "OPTIONS" else 481)), source
                )
        else:
            self._take_request(call, message, source)

    def _take_response(self, call: Call, response: Message) -> None:
        is_invite = response.method == "INVITE"
        key = f"CANCEL {response.branch}" if response.method == "CANCEL" else response.branch
        if response.status >= 200 or is_invite:
            self._stop(call, key)
        if not is_invite:
            return
        if response.status < 200:
            self._progress(call, response)
        else:
            self._final(call, response)

    def _progress(self, call: Call, response: Message) -> None:
        if call.state is not State.CALLING and call.state is not State.RINGING:
            return
        if response.body:
            self._learn_media(call, response.body)
        if call.state is State.CALLING:
            call.state = State.RINGING
            if call.is_cancelled:
                self._cancel(call)

    def _final(self, call: Call, response: Message) -> None:
        cseq = response.cseq
        if cseq in call.acks:  # retransmitted: our ACK was lost
            self._transmit(call.acks[cseq], call.peer)
            return
        is_first = cseq == call.invite.cseq and not call.is_incoming
        if response.status >= 300:
            call.acks[cseq] = self._acknowledge_refusal(call, response)
            if is_first:
                self._finish(call, "refused", response.status)
            return
        if is_first:
            call.remote = response.value("To")
            call.routes = [("Route", route) for route in reversed(response.values("Record-Route"))]
        call.remote_uri = response.contact_uri or call.remote_uri
        offered = bool(
            next((m.body for m in call.sent if m.method == "INVITE" and not m.status and m.cseq == cseq), b"")
        )
        body = b"" if offered else bytes(call.media)
        ack = build_request(
            self._host,
            "ACK",
            call.remote_uri,
            local=call.local,
            remote=call.remote,
            call_id=call.call_id,
            cseq=cseq,
            headers=call.routes,
            body=body,
        )
        call.acks[cseq] = self._send(call, ack)
        if response.body:
            self._learn_media(call, response.body)
        if is_first:
            self._confirm(call, response.status)

    def _confirm(self, call: Call, status: int) -> None:
        was_ended = call.state is State.ENDED
        call.state, call.status = State.CONFIRMED, status
        if call.is_cancelled or was_ended:  # the answer crossed our CANCEL
            self.end(call)
        elif self._on_confirmed is not None:
            self._on_confirmed(call)

    def _acknowledge_refusal(self, call: Call, response: Message) -> bytes:
        uri = call.invite.uri if not call.is_incoming and response.cseq == call.invite.cseq else call.remote_uri
        ack = build_request(
            self._host,
            "ACK",
            uri,
            local=call.local,
            remote=response.value("To"),
            call_id=call.call_id,
            cseq=response.cseq,
            branch=response.branch,
        )
        return self._send(call, ack)

    def _learn_media(self, call: Call, body: bytes) -> None:
        call.remote_body = body
        try:
            call.remote_media = media_address(body)
        except WireError:
            call.remote_media = None

    def _offered(self, invite: Message, source: Address) -> None:
        plan = self._answer(invite)
        local = f"{invite.value('To')};tag={secrets.token_hex(6)}"
        media = plan.media or self._media
        call = Call(self, invite.call_id, True, source, local, invite.value("From"), invite, media)
        call.remote_uri = invite.contact_uri
        call.routes = [("Route", route) for route in invite.values("Record-Route")]
        call.cseq = 100  # our own numbering in the dialog; any start is right (RFC 3261 section 12.1.1)
        call.received.append(invite)
        if invite.body:
            self._learn_media(call, invite.body)
        self.calls[invite.call_id] = call
        if plan.rings:
            call.state = State.RINGING
            self._respond(call, invite, 180)
        call.hang_up_after_s = plan.hang_up_after_s
        if plan.after_s is None:
            return
        if plan.after_s <= 0:
            self._respond_invite(call, plan.status, plan.headers)
        else:
            self.after(plan.after_s, lambda: self._respond_invite(call, plan.status, plan.headers))

    def _respond(self, call: Call, request: Message, status: int, headers: Headers = (), body: bytes = b"") -> bytes:
        response = build_response(self._host, request, status, to=call.local, headers=headers, body=body)
        call.answers[f"{request.method} {request.branch}"] = response
        return self._send(call, response)

    def _respond_invite(self, call: Call, status: int, headers: Headers = ()) -> None:
        """Give the final response to the INVITE that opened a call, unless it has one."""
        if call.status or call.state is State.ENDED:
            return
        call.status = status
        body = bytes(call.media) if status == 200 else b""
        data = self._respond(call, call.invite, status, headers, body)
        self._repeat(call, f"answer {call.invite.cseq}", data, T2_S, lambda: self._unacknowledged(call))
        if status != 200:
            self._finish(call, "refused" if status != 487 else "them", status)

    def _unacknowledged(self, call: Call) -> None:
        if call.state is not State.ENDED:
            self.send_request(call, "BYE", b"", "", ())
            self._finish(call, "timeout", call.status)

    def _take_request(self, call: Call, request: Message, source: Address) -> None:
        earlier = call.answers.get(f"{request.method} {request.branch}")
        if request.method == "ACK":
            self._acknowledged(call, request)
        elif earlier is not None:
            self._transmit(bytes(earlier), source)
        elif request.method == "CANCEL":
            self._respond(call, request, 200)
            self._respond_invite(call, 487)
        elif request.method == "BYE":
            self._respond(call, request, 200)
            self._finish(call, "them", call.status)
        elif request.method in {"INVITE", "UPDATE"}:
            self._re_offered(call, request)
        else:
            self._respond(call, request, 200)

    def _acknowledged(self, call: Call, ack: Message) -> None:
        self._stop(call, f"answer {ack.cseq}")
        if ack.body:
            self._learn_media(call, ack.body)
        if not call.is_incoming or ack.cseq != call.invite.cseq or call.state is State.ENDED or call.status != 200:
            return
        if call.state is State.CONFIRMED:
            return
        call.state = State.CONFIRMED
        if call.hang_up_after_s is not None:
            self.after(call.hang_up_after_s, lambda: self.end(call))
        if self._on_confirmed is not None:
            self._on_confirmed(call)

    def _re_offered(self, call: Call, request: Message) -> None:
        if request.body:
            self._learn_media(call, request.body)
        call.media = replace(call.media, version=call.media.version + 1)
        is_offer = bool(request.body) or request.method == "INVITE"
        data = self._respond(call, request, 200, (), bytes(call.media) if is_offer else b"")
        if request.method == "INVITE":
            self._repeat(call, f"answer {request.cseq}", data, T2_S, lambda: self._unacknowledged(call))


class Caller(Agent):
    """An agent that places calls and refuses those that come in."""


class Officer(Agent):
    """An agent that takes calls: by default rings, answers at once and waits for the far side's BYE."""

    def __init__(
        self,
        listen: Address = ("127.0.0.1", 0),
        *,
        wire: Wire | None = None,
        answer: Callable[[Message], Answer] | Answer | None = None,
        on_confirmed: Callable[[Call], None] | None = None,
        on_ended: Callable[[Call], None] | None = None,
        media: Media | None = None,
    ) -> None:
        plan = answer if callable(answer) else (lambda _invite: answer or Answer())
        super().__init__(listen, wire=wire, answer=plan, on_confirmed=on_confirmed, on_ended=on_ended, media=media)
