"""One leg: a dialog (RFC 3261 section 12) and its INVITE, on sippy's transactions. Call thread only.

sippy's own user agent is not used: its states take REFER for a hang-up, an empty re-INVITE for hold, answer UPDATE with
500, drop the call on glare, and keep neither History-Info nor the bytes of a body. What remains of sippy here is its
transactions and its messages; what a leg may do is one table. ADR-0002 has the reasons. See `sip.reactor`.
"""

import random
import secrets
from collections.abc import Callable, Sequence

from sippy.SipAddress import SipAddress
from sippy.SipCallId import SipCallId
from sippy.SipContact import SipContact
from sippy.SipFrom import SipFrom
from sippy.SipMaxForwards import SipMaxForwards
from sippy.SipRequest import SipRequest
from sippy.SipRoute import SipRoute
from sippy.SipTo import SipTo
from sippy.SipURL import SipURL

from sip.events import (
    Body,
    Header,
    InfoReceived,
    LegAnswered,
    LegEnded,
    LegId,
    LegRang,
    LegRefused,
    OfferAnswered,
    OutgoingCall,
    SipEvent,
)
from sip.leg_state import TRANSITIONS, Move, State
from sip.message import RawMessage, is_ip, one_line, user_part
from sip.offers import Offers
from sip.reactor import Cancellable, Sippy
from sip.wires import ALLOW, MARKER, Wires, body_of, phrase, raw_body, raw_header, strip_route

_REFUSAL_HEADERS = {"contact", "reason", "retry-after", "warning", "diversion", "error-info", "www-authenticate"}


class Leg:
    """One dialog. Made by `offered` or `dialled`; driven by the endpoint's commands and the peer's messages."""

    def __init__(self, leg_id: LegId, wires: Wires) -> None:
        self.id = leg_id
        self.state: State
        self.call_id = ""
        self.local_tag = secrets.token_hex(8)
        self.remote_tag: str | None = None
        self.invite: tuple[str | None, int, str | None] = (None, 0, None)
        """Of an offered leg: From tag, CSeq and branch of its INVITE, to know it again."""
        self.wires = wires
        self.owns_call_id = False
        self._local: Sippy = None
        self._remote: Sippy = None
        self._sippy_call_id: Sippy = None
        self._cseq = random.SystemRandom().randrange(1, 1 << 16)
        self._remote_cseq: int | None = None
        self._target: Sippy = None
        self._next_hop: tuple[str, int] | None = None
        self.routes: list[Sippy] = []
        self._request: Sippy = None
        self._transaction: Sippy = None
        self._invite_message: RawMessage | None = None
        self._is_offer_ours = False
        self._was_cancelled = False
        self._cancel_reason: str | None = None
        self.timers: list[Cancellable] = []
        self._ring_s: float | None = None
        self._strays: set[str] = set()
        self.offers = Offers(self)

    # -- an offered leg

    def offered(self, request: Sippy, transaction: Sippy, message: RawMessage) -> Sippy:
        """Begin a leg with an INVITE of the peer; 100 goes out. Answers what sippy wants of a request hook.

        Raises:
            ValueError: The INVITE has no usable Contact.
        """
        self.learn_target(request)
        self.state = State.OFFERED
        self.call_id = message.call_id
        self.remote_tag = message.tag("from")
        self.invite = (self.remote_tag, message.cseq, message.branch)
        self._remote_cseq = message.cseq
        self._sippy_call_id = request.getHFBody("call-id").getCopy()
        self.routes = [route.getCopy() for route in request.getHFBodys("record-route")]
        local = request.getHFBody("to").getCopy()
        local.setTag(self.local_tag)
        self._local = SipFrom(address=local.getUri())
        self._remote = SipTo(address=request.getHFBody("from").getUri().getCopy())
        self._request, self._transaction, self._invite_message = request, transaction, message
        self._is_offer_ours = not message.body
        if transaction.r487 is not None:
            transaction.r487.getHFBody("to").setTag(self.local_tag)
        self.wires.respond(request, transaction, 100)
        return None, self._on_cancel, self._on_unacked

    def ring(self, status: int, body: Body | None) -> None:
        """Send a provisional response."""
        if self.state is State.OFFERED:
            self._reply(status, body=body, contact=self.contact())

    def answer(self, body: Body | None) -> None:
        """Send 200."""
        if self._move(Move.ANSWER):
            headers = [("Allow", ALLOW), *self.session_timer(self._invite_message)]
            self._reply(200, body=body, headers=headers, contact=self.contact(), ack_cb=self._on_ack)

    def refuse(self, status: int, reason: str, headers: Sequence[Header]) -> None:
        """Send a final response that is not a success."""
        if self._move(Move.REFUSE):
            self._reply(status, reason=reason, headers=headers)

    def _on_cancel(self, _rtime: Sippy, _request: Sippy) -> None:
        is_expired = _request is None
        if self._move(Move.PEER_CANCEL):
            reason = None if is_expired else self.wires.transactions.current.value("reason")
            self.emit(LegEnded(leg=self.id, cause="timeout" if is_expired else "cancel", reason=reason))

    def _on_ack(self, _request: Sippy) -> None:
        is_leaving = self.state is State.LEAVING
        if not self._move(Move.ACKED):
            return
        if is_leaving:
            self._send_bye(self._cancel_reason)
            return
        if self._is_offer_ours:
            self.emit(OfferAnswered(leg=self.id, body=body_of(self.wires.transactions.current)))
        self.offers.next()

    def _on_unacked(self) -> None:
        is_leaving = self.state is State.LEAVING
        if self._move(Move.UNACKED):
            self._send_bye(None)
            if not is_leaving:
                self.emit(LegEnded(leg=self.id, cause="timeout", reason=None))

    # -- a dialled leg

    def dialled(self, call: OutgoingCall) -> None:
        """Begin a leg with an INVITE of ours."""
        self.state = State.DIALLING
        self.owns_call_id = True
        self._sippy_call_id = SipCallId()
        self.call_id = str(self._sippy_call_id)
        host = f"[{call.target.host}]" if ":" in call.target.host else call.target.host
        self._next_hop = (host, call.target.port)
        self._target = SipURL(username=call.request_user, host=host, port=call.target.port)
        self._remote = SipTo(address=SipAddress(url=SipURL(username=call.request_user, host=host), hadbrace=True))
        own = SipURL(username=call.from_user)
        own.port = own.transport = None
        display = one_line(call.from_display).replace("\\", "").replace('"', "")
        self._local = SipFrom(address=SipAddress(url=own, hadbrace=True, name=display or None))
        self._local.setTag(self.local_tag)
        marks = [*call.loop_marks, *([call.loop_mark] if call.loop_mark else [])]
        headers = [*call.headers, *((MARKER, mark) for mark in marks), ("Allow", ALLOW)]
        request = self.new_request("INVITE", body=call.body, headers=headers, max_forwards=call.max_forwards)
        self._is_offer_ours = call.body is not None
        self._ring_s = call.ring_s
        self.timers.append(self.wires.reactor.call_later(call.no_reply_s, self._give_up, 408))
        self._transaction = self.start(request, self._on_invite_response)

    def _on_invite_response(self, response: Sippy, transaction: Sippy) -> None:
        status, reason = response.getSCode()
        if status < 200:
            self._on_progress(status, transaction)
        elif status < 300:
            self._on_success(response, transaction)
        else:
            headers = self._refusal_headers(status)
            strip_route(response)
            if self._move(Move.FAILURE) and not self._was_cancelled:
                self.emit(LegRefused(leg=self.id, status=status, phrase=reason, headers=headers))

    def _on_progress(self, status: int, transaction: Sippy) -> None:
        was_first = self.state is State.DIALLING
        if was_first:
            self._stop_timers()  # somebody is there
        if self.state is State.CANCELLING:
            self._send_cancel(transaction)
            return
        if was_first and self._ring_s is not None:  # after a 100 too: a proxy may have died since
            self.timers.append(self.wires.reactor.call_later(self._ring_s, self._give_up, 480))
        if status == 100 or not self._move(Move.PROGRESS):
            return
        self.emit(LegRang(leg=self.id, status=status, body=body_of(self.wires.transactions.current)))

    def _on_success(self, response: Sippy, transaction: Sippy) -> None:
        message = self.wires.transactions.current
        self.remote_tag = message.tag("to")
        if self.remote_tag is not None:
            self._remote.setTag(self.remote_tag)
        self.routes = [route.getCopy() for route in reversed(response.getHFBodys("record-route"))]
        self.learn_target(response, is_required=False)
        is_cancelled = self.state is State.CANCELLING
        if not self._move(Move.SUCCESS):
            return
        if is_cancelled:
            # The ACK leaves when this returns; the BYE must come after it.
            self.wires.reactor.submit(self._send_bye, self._cancel_reason)
            return
        self._stop_timers()
        if not self._is_offer_ours and message.body:
            transaction.uack = True
            self.offers.late_answer = transaction
        asserted = message.value("p-asserted-identity")
        self.emit(
            LegAnswered(leg=self.id, body=body_of(message), asserted_user=user_part(asserted) if asserted else None)
        )

    def _give_up(self, status: int) -> None:
        if status == 408 and self._transaction is not None and self._transaction.teA is not None:
            # Nobody is there: a retransmission would ring a phone that comes back after we have failed over.
            self._transaction.teA.cancel()
            self._transaction.teA = None
        if self._cancel(None):
            self.emit(LegRefused(leg=self.id, status=status, phrase=phrase(status)))

    def _cancel(self, reason: str | None) -> bool:
        is_ringing = self._transaction is not None and self._has_provisional()
        if not self._move(Move.HANG_UP):
            return False
        self._was_cancelled, self._cancel_reason = True, reason
        self._stop_timers()
        if is_ringing:
            self._send_cancel(self._transaction)
        return True

    def _has_provisional(self) -> bool:
        # sippy stops the request's retransmission timer at the first provisional response, and knows its own state.
        return type(self._transaction.state) is type and self._transaction.state.__name__ == "RINGING"

    def _send_cancel(self, transaction: Sippy) -> None:
        cancel, transaction.cancel = transaction.cancel, None
        if cancel is None:
            return
        if self._cancel_reason is not None:
            cancel.appendHeader(raw_header("Reason", self._cancel_reason))
        self.wires.transactions.newTransaction(cancel, userv=transaction.userv)

    def stray_success(self, response: Sippy, message: RawMessage) -> bool:
        """Take a 2xx to our INVITE that no transaction waits for: ACK it and end that fork (section 13.2.2.4).

        Answers False for a retransmission of the one we took, which the transactions acknowledge again.
        """
        tag = message.tag("to")
        if tag == self.remote_tag or tag is None:
            return False
        fork = Leg(self.id, self.wires)
        fork.state = State.ENDED
        fork.local_tag, fork.remote_tag, fork.call_id = self.local_tag, tag, self.call_id
        fork._sippy_call_id = self._sippy_call_id
        fork._local, fork._remote = self._local.getCopy(), self._remote.getCopy()
        fork._remote.setTag(tag)
        fork._target, fork._next_hop = self._target, self._next_hop
        fork.routes = [route.getCopy() for route in reversed(response.getHFBodys("record-route"))]
        fork.learn_target(response, is_required=False)
        fork._cseq = message.cseq
        ack = fork.new_request("ACK", is_counted=False)
        server = self.wires.transactions.l4r.getServer(None)
        address, _ = ack.getTarget()
        self.wires.transactions.transmitMsg(server, ack, address, None)
        if tag not in self._strays:
            self._strays.add(tag)
            fork._cseq = message.cseq + 1
            fork._send_bye(None)
        return True

    # -- ending

    def hang_up(self, reason: str | None) -> None:
        """End the leg with what fits its state."""
        was = self.state
        if was in (State.DIALLING, State.RINGING):
            self._cancel(reason)
        elif self._move(Move.HANG_UP):
            headers = [("Reason", reason)] if reason else []
            if was is State.OFFERED:
                self._reply(480, headers=headers)
            elif was is State.CONFIRMING:
                self._cancel_reason = reason
            else:
                self.offers.close()
                self._send_bye(reason)

    def close(self) -> None:
        """End the leg because we go away."""
        if self.state is State.OFFERED:
            self.refuse(503, phrase(503), [("Retry-After", "30")])
        elif self.state is State.CONFIRMING:
            self._move(Move.LOST)
            self._send_bye(None)
        else:
            self.hang_up(None)

    def _send_bye(self, reason: str | None) -> None:
        self.start(self.new_request("BYE", headers=[("Reason", reason)] if reason else []), None)

    def lost(self) -> None:
        """End the leg since the peer no longer knows it."""
        if self._move(Move.LOST):
            self.offers.close()
            self._send_bye(None)
            self.emit(LegEnded(leg=self.id, cause="timeout", reason=None))

    # -- requests of the peer inside the dialog

    def on_request(self, request: Sippy, transaction: Sippy, message: RawMessage) -> Sippy:
        """Take a request inside the dialog; answers what sippy wants of a request hook."""
        if self._remote_cseq is not None and message.cseq <= self._remote_cseq:
            self.respond(request, transaction, 500)
            return None
        self._remote_cseq = message.cseq
        if self.state is State.ENDED:
            self.respond(request, transaction, 200 if message.method == "BYE" else 481)
            return None
        handler = {
            "BYE": self._on_bye,
            "INVITE": self.offers.on_reinvite,
            "UPDATE": self.offers.on_update,
            "INFO": self._on_info,
            "OPTIONS": self._on_options,
            "PRACK": self._on_prack,
        }.get(message.method, self._on_other)
        return handler(request, transaction, message)

    def _on_bye(self, request: Sippy, transaction: Sippy, message: RawMessage) -> None:
        is_offered = self.state is State.OFFERED
        is_leaving = self.state is State.LEAVING
        self.respond(request, transaction, 200)
        if self._move(Move.PEER_BYE):
            if is_offered:
                self._reply(487)
            self.offers.close()
            if not is_leaving:
                self.emit(LegEnded(leg=self.id, cause="bye", reason=message.value("reason")))

    def _on_info(self, request: Sippy, transaction: Sippy, message: RawMessage) -> None:
        self.respond(request, transaction, 200)
        body = body_of(message)
        if body is not None:
            self.emit(InfoReceived(leg=self.id, body=body))

    def _on_options(self, request: Sippy, transaction: Sippy, _message: RawMessage) -> None:
        headers = [("Allow", ALLOW), ("Accept", "application/sdp")]
        self.respond(request, transaction, 200, headers=headers, contact=self.contact())

    def _on_prack(self, request: Sippy, transaction: Sippy, _message: RawMessage) -> None:
        self.respond(request, transaction, 200)

    def _on_other(self, request: Sippy, transaction: Sippy, _message: RawMessage) -> None:
        # REFER too: a transfer is refused and the call goes on.
        self.respond(request, transaction, 405, headers=[("Allow", ALLOW)])

    def send_info(self, body: Body) -> None:
        """Send an INFO."""
        if self.state is State.CONNECTED:
            self.start(self.new_request("INFO", body=body), self._on_info_response)

    def _on_info_response(self, response: Sippy, _transaction: Sippy) -> None:
        if response.getSCode()[0] in (408, 481):
            self.lost()

    # -- parts

    def _move(self, move: Move) -> bool:
        state = TRANSITIONS.get((self.state, move))
        if state is None:
            return False
        self.state = state
        if state is State.ENDED:
            self._stop_timers()
            self.wires.forget(self)
        return True

    def emit(self, event: SipEvent) -> None:
        """Tell the application."""
        self.wires.emit(event)

    def _stop_timers(self) -> None:
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()

    def _reply(self, status: int, **more: Sippy) -> None:
        self.wires.respond(self._request, self._transaction, status, tag=self.local_tag, **more)

    def respond(self, request: Sippy, transaction: Sippy, status: int, **more: Sippy) -> None:
        """Answer a request inside the dialog."""
        tag = None if request.getHFBody("to").getTag() else self.local_tag
        self.wires.respond(request, transaction, status, tag=tag, **more)

    def contact(self) -> Sippy:
        """Return our Contact."""
        contact = SipContact()
        contact.getUri().name = None
        contact.getUrl().username = self._local.getUrl().username
        return contact

    def learn_target(self, message: Sippy, *, is_required: bool = True) -> None:
        """Take the peer's Contact as the target of our next requests (RFC 3261 section 12.2).

        A name in a Contact that no route leads to (``phone.invalid``, ``phone.local``) is replaced by the address that
        the message came from, here and in the message, by which sippy sends the ACK: it would ask the DNS, on the one
        thread that sends, and every other call would wait.
        """
        if message.countHFs("contact") == 0 or message.getHFBody("contact").asterisk:
            if is_required:
                raise ValueError("no Contact")
            return
        url = message.getHFBody("contact").getUrl()
        source = self.wires.transactions.source
        is_address = isinstance(url.host, str) and is_ip(url.host)  # of a tel URI sippy makes our own address
        if not self.routes and message.countHFs("record-route") == 0 and not is_address:
            url.host, url.port = f"[{source.host}]" if ":" in source.host else source.host, source.port
        self._target = url.getCopy()

    def _refusal_headers(self, status: int) -> tuple[Header, ...]:
        message = self.wires.transactions.current_or_none
        if message is None:
            return ()
        wanted = _REFUSAL_HEADERS if status < 400 else _REFUSAL_HEADERS - {"contact"}
        return tuple((name, value) for name, value in message.headers if name.lower() in wanted)

    @staticmethod
    def session_timer(message: RawMessage | None) -> list[Header]:
        """Return the headers that accept a session timer with the peer as its refresher (RFC 4028 section 9)."""
        expires = message.value("session-expires") if message is not None else None
        if message is None or expires is None or "timer" not in message.option_tags("supported"):
            return []
        seconds = expires.split(";", 1)[0].strip()
        return [("Session-Expires", f"{seconds};refresher=uac"), ("Require", "timer")]

    def new_request(
        self,
        method: str,
        *,
        body: Body | None = None,
        headers: Sequence[Header] = (),
        max_forwards: int = 70,
        is_counted: bool = True,
    ) -> Sippy:
        """Return the next request of this dialog, routed by its route set (RFC 3261 section 12.2.1.1)."""
        routes, target = [route.getCopy() for route in self.routes], self._target.getCopy()
        if routes and not routes[0].getUrl().lr:
            routes.append(SipRoute(address=SipAddress(url=target)))
            target = routes.pop(0).getUrl()
            hop = target.getAddr()
        elif routes:
            hop = routes[0].getUrl().getAddr()
        elif self.remote_tag is None and self._next_hop is not None:
            hop = self._next_hop
        else:
            hop = target.getAddr()
        request = SipRequest(
            method=method,
            ruri=target,
            to=self._remote.getCopy(),
            fr0m=self._local.getCopy(),
            cseq=self._cseq,
            callid=self._sippy_call_id.getCopy(),
            contact=self.contact() if method in ("INVITE", "UPDATE") else None,
            routes=routes,
            target=(hop, "udp"),
            user_agent=self.wires.user_agent,
            maxforwards=SipMaxForwards(number=max_forwards),
        )
        request.setBody(raw_body(body))
        request.appendHeaders([raw_header(name, value) for name, value in headers])
        self._cseq += 1 if is_counted else 0
        return request

    def start(self, request: Sippy, on_response: Callable[[Sippy, Sippy], None] | None) -> Sippy:
        """Send a request and retransmit it until answered."""
        return self.wires.transactions.newTransaction(request, resp_cb=on_response, cb_ifver=2)
