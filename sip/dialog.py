"""One leg: a dialog (RFC 3261 section 12) and its INVITE, on sippy's transactions. Call thread only.

sippy's own user agent is not used: its states take REFER for a hang-up, an empty re-INVITE for hold, answer UPDATE with
500, drop the call on glare, and keep neither History-Info nor the bytes of a body. What remains of sippy here is its
transactions and its messages; what a leg may do is one table. ADR-0002 has the reasons. See `sip.reactor`.
"""

import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sippy.SipAddress import SipAddress
from sippy.SipCallId import SipCallId
from sippy.SipContact import SipContact
from sippy.SipFrom import SipFrom
from sippy.SipHeader import SipHeader
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
    OfferReceived,
    OfferRefused,
    OutgoingCall,
    SipEvent,
)
from sip.leg_state import TRANSITIONS, Move, State
from sip.message import RawMessage, one_line, user_part
from sip.reactor import Cancellable, Sippy
from sip.wires import ALLOW, MARKER, Wires, body_of, phrase, raw_body, raw_header

GLARE_TRIES = 5
"""Re-INVITEs sent again after 491 before the offer counts as refused."""

_REFUSAL_HEADERS = {"contact", "reason", "retry-after", "warning", "diversion", "error-info", "www-authenticate"}


@dataclass(slots=True)
class _TheirOffer:
    """A re-INVITE or an UPDATE with SDP of the peer that we have not answered."""

    request: Sippy
    transaction: Sippy
    message: RawMessage


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
        self._wires = wires
        self._owns_call_id = False
        self._local: Sippy = None
        self._remote: Sippy = None
        self._sippy_call_id: Sippy = None
        self._cseq = random.SystemRandom().randrange(1, 1 << 16)
        self._remote_cseq: int | None = None
        self._target: Sippy = None
        self._next_hop: tuple[str, int] | None = None
        self._routes: list[Sippy] = []
        self._request: Sippy = None
        self._transaction: Sippy = None
        self._invite_message: RawMessage | None = None
        self._is_offer_ours = False
        self._was_cancelled = False
        self._cancel_reason: str | None = None
        self._timers: list[Cancellable] = []
        self._ring_s: float | None = None
        self._their_offer: _TheirOffer | None = None
        self._is_ack_due = False
        self._our_offer: tuple[Body | None, int] | None = None
        self._waiting_offers: list[tuple[Body | None, int]] = []
        self._late_answer: Sippy = None
        self._strays: set[str] = set()

    # -- an offered leg

    def offered(self, request: Sippy, transaction: Sippy, message: RawMessage) -> Sippy:
        """Begin a leg with an INVITE of the peer; 100 goes out. Answers what sippy wants of a request hook.

        Raises:
            ValueError: The INVITE has no usable Contact.
        """
        self._learn_target(request)
        self.state = State.OFFERED
        self.call_id = message.call_id
        self.remote_tag = message.tag("from")
        self.invite = (self.remote_tag, message.cseq, message.branch)
        self._remote_cseq = message.cseq
        self._sippy_call_id = request.getHFBody("call-id").getCopy()
        self._routes = [route.getCopy() for route in request.getHFBodys("record-route")]
        local = request.getHFBody("to").getCopy()
        local.setTag(self.local_tag)
        self._local = SipFrom(address=local.getUri())
        self._remote = SipTo(address=request.getHFBody("from").getUri().getCopy())
        self._request, self._transaction, self._invite_message = request, transaction, message
        self._is_offer_ours = not message.body
        if transaction.r487 is not None:
            transaction.r487.getHFBody("to").setTag(self.local_tag)
        self._wires.respond(request, transaction, 100)
        return None, self._on_cancel, self._on_unacked

    def ring(self, status: int, body: Body | None) -> None:
        """Send a provisional response."""
        if self.state is State.OFFERED:
            self._reply(status, body=body, contact=self._contact())

    def answer(self, body: Body | None) -> None:
        """Send 200."""
        if self._move(Move.ANSWER):
            headers = [("Allow", ALLOW), *self._session_timer(self._invite_message)]
            self._reply(200, body=body, headers=headers, contact=self._contact(), ack_cb=self._on_ack)

    def refuse(self, status: int, reason: str, headers: Sequence[Header]) -> None:
        """Send a final response that is not a success."""
        if self._move(Move.REFUSE):
            self._reply(status, reason=reason, headers=headers)

    def _on_cancel(self, _rtime: Sippy, _request: Sippy) -> None:
        is_expired = _request is None
        if self._move(Move.PEER_CANCEL):
            reason = None if is_expired else self._wires.transactions.current.value("reason")
            self._emit(LegEnded(leg=self.id, cause="timeout" if is_expired else "cancel", reason=reason))

    def _on_ack(self, _request: Sippy) -> None:
        is_leaving = self.state is State.LEAVING
        if not self._move(Move.ACKED):
            return
        if is_leaving:
            self._send_bye(self._cancel_reason)
            return
        if self._is_offer_ours:
            self._emit(OfferAnswered(leg=self.id, body=body_of(self._wires.transactions.current)))
        self._next_offer()

    def _on_unacked(self) -> None:
        is_leaving = self.state is State.LEAVING
        if self._move(Move.UNACKED):
            self._send_bye(None)
            if not is_leaving:
                self._emit(LegEnded(leg=self.id, cause="timeout", reason=None))

    # -- a dialled leg

    def dialled(self, call: OutgoingCall) -> None:
        """Begin a leg with an INVITE of ours."""
        self.state = State.DIALLING
        self._owns_call_id = True
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
        request = self._new_request("INVITE", body=call.body, headers=headers, max_forwards=call.max_forwards)
        self._is_offer_ours = call.body is not None
        self._ring_s = call.ring_s
        self._timers.append(self._wires.reactor.call_later(call.no_reply_s, self._give_up, 408))
        self._transaction = self._start(request, self._on_invite_response)

    def _on_invite_response(self, response: Sippy, transaction: Sippy) -> None:
        status, reason = response.getSCode()
        if status < 200:
            self._on_progress(status, transaction)
        elif status < 300:
            self._on_success(response, transaction)
        else:
            headers = self._refusal_headers(status)
            _strip_route(response)
            if self._move(Move.FAILURE) and not self._was_cancelled:
                self._emit(LegRefused(leg=self.id, status=status, phrase=reason, headers=headers))

    def _on_progress(self, status: int, transaction: Sippy) -> None:
        was_first = self.state is State.DIALLING
        if status == 100:
            self._stop_timers_of_silence()
        if self.state is State.CANCELLING:
            self._send_cancel(transaction)
            return
        if status == 100 or not self._move(Move.PROGRESS):
            return
        if was_first:
            self._stop_timers_of_silence()
            if self._ring_s is not None:
                self._timers.append(self._wires.reactor.call_later(self._ring_s, self._give_up, 480))
        self._emit(LegRang(leg=self.id, status=status, body=body_of(self._wires.transactions.current)))

    def _on_success(self, response: Sippy, transaction: Sippy) -> None:
        message = self._wires.transactions.current
        self.remote_tag = message.tag("to")
        if self.remote_tag is not None:
            self._remote.setTag(self.remote_tag)
        self._routes = [route.getCopy() for route in reversed(response.getHFBodys("record-route"))]
        self._learn_target(response, is_required=False)
        is_cancelled = self.state is State.CANCELLING
        if not self._move(Move.SUCCESS):
            return
        if is_cancelled:
            # The ACK leaves when this returns; the BYE must come after it.
            self._wires.reactor.submit(self._send_bye, self._cancel_reason)
            return
        self._stop_timers()
        if not self._is_offer_ours and message.body:
            transaction.uack = True
            self._late_answer = transaction
        asserted = message.value("p-asserted-identity")
        self._emit(
            LegAnswered(leg=self.id, body=body_of(message), asserted_user=user_part(asserted) if asserted else None)
        )

    def _give_up(self, status: int) -> None:
        if status == 408 and self._transaction is not None and self._transaction.teA is not None:
            # Nobody is there: a retransmission would ring a phone that comes back after we have failed over.
            self._transaction.teA.cancel()
            self._transaction.teA = None
        if self._cancel(None):
            self._emit(LegRefused(leg=self.id, status=status, phrase=phrase(status)))

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
        self._wires.transactions.newTransaction(cancel, userv=transaction.userv)

    def stray_success(self, response: Sippy, message: RawMessage) -> bool:
        """Take a 2xx to our INVITE that no transaction waits for: ACK it and end that fork (section 13.2.2.4).

        Answers False for a retransmission of the one we took, which the transactions acknowledge again.
        """
        tag = message.tag("to")
        if tag == self.remote_tag or tag is None:
            return False
        fork = Leg(self.id, self._wires)
        fork.state = State.ENDED
        fork.local_tag, fork.remote_tag, fork.call_id = self.local_tag, tag, self.call_id
        fork._sippy_call_id = self._sippy_call_id
        fork._local, fork._remote = self._local.getCopy(), self._remote.getCopy()
        fork._remote.setTag(tag)
        fork._target, fork._next_hop = self._target, self._next_hop
        fork._routes = [route.getCopy() for route in reversed(response.getHFBodys("record-route"))]
        fork._learn_target(response, is_required=False)
        fork._cseq = message.cseq
        ack = fork._new_request("ACK", is_counted=False)
        server = self._wires.transactions.l4r.getServer(None)
        address, _ = ack.getTarget()
        self._wires.transactions.transmitMsg(server, ack, address, None)
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
                self._close_offers()
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
        self._start(self._new_request("BYE", headers=[("Reason", reason)] if reason else []), None)

    def _lost(self) -> None:
        if self._move(Move.LOST):
            self._close_offers()
            self._send_bye(None)
            self._emit(LegEnded(leg=self.id, cause="timeout", reason=None))

    # -- requests of the peer inside the dialog

    def on_request(self, request: Sippy, transaction: Sippy, message: RawMessage) -> Sippy:
        """Take a request inside the dialog; answers what sippy wants of a request hook."""
        if self._remote_cseq is not None and message.cseq <= self._remote_cseq:
            self._respond(request, transaction, 500)
            return None
        self._remote_cseq = message.cseq
        if self.state is State.ENDED:
            self._respond(request, transaction, 200 if message.method == "BYE" else 481)
            return None
        handler = {
            "BYE": self._on_bye,
            "INVITE": self._on_reinvite,
            "UPDATE": self._on_update,
            "INFO": self._on_info,
            "OPTIONS": self._on_options,
            "PRACK": self._on_prack,
        }.get(message.method, self._on_other)
        return handler(request, transaction, message)

    def _on_bye(self, request: Sippy, transaction: Sippy, message: RawMessage) -> None:
        is_offered = self.state is State.OFFERED
        is_leaving = self.state is State.LEAVING
        self._respond(request, transaction, 200)
        if self._move(Move.PEER_BYE):
            if is_offered:
                self._reply(487)
            self._close_offers()
            if not is_leaving:
                self._emit(LegEnded(leg=self.id, cause="bye", reason=message.value("reason")))

    def _on_reinvite(self, request: Sippy, transaction: Sippy, message: RawMessage) -> Sippy:
        if self._their_offer is not None:
            retry_after = ("Retry-After", str(random.SystemRandom().randrange(11)))
            self._respond(request, transaction, 500, headers=[retry_after])
            return None, None, None
        if self.state is not State.CONNECTED or self._our_offer or self._late_answer or self._is_ack_due:
            self._respond(request, transaction, 491)
            return None, None, None
        self._learn_target(request, is_required=False)
        self._respond(request, transaction, 100)
        self._their_offer = _TheirOffer(request, transaction, message)
        self._emit(OfferReceived(leg=self.id, body=body_of(message)))
        return None, self._on_reinvite_cancelled, self._on_reinvite_unacked

    def _on_update(self, request: Sippy, transaction: Sippy, message: RawMessage) -> Sippy:
        self._learn_target(request, is_required=False)
        if not message.body:
            headers = self._session_timer(message)
            self._respond(request, transaction, 200, headers=headers, contact=self._contact())
        elif self._their_offer is not None:
            self._respond(request, transaction, 500, headers=[("Retry-After", "1")])
        elif self.state is not State.CONNECTED or self._our_offer or self._late_answer:
            self._respond(request, transaction, 491)
        else:
            self._their_offer = _TheirOffer(request, transaction, message)
            self._emit(OfferReceived(leg=self.id, body=body_of(message)))
            return None, None, None
        return None

    def _on_info(self, request: Sippy, transaction: Sippy, message: RawMessage) -> None:
        self._respond(request, transaction, 200)
        body = body_of(message)
        if body is not None:
            self._emit(InfoReceived(leg=self.id, body=body))

    def _on_options(self, request: Sippy, transaction: Sippy, _message: RawMessage) -> None:
        headers = [("Allow", ALLOW), ("Accept", "application/sdp")]
        self._respond(request, transaction, 200, headers=headers, contact=self._contact())

    def _on_prack(self, request: Sippy, transaction: Sippy, _message: RawMessage) -> None:
        self._respond(request, transaction, 200)

    def _on_other(self, request: Sippy, transaction: Sippy, _message: RawMessage) -> None:
        # REFER too: a transfer is refused and the call goes on.
        self._respond(request, transaction, 405, headers=[("Allow", ALLOW)])

    # -- offers inside the dialog

    def answer_offer(self, body: Body | None) -> None:
        """Answer the peer's open offer: with 200, or in the ACK when a 2xx brought it."""
        if self._late_answer is not None:
            self._acknowledge(body)
            self._next_offer()
            return
        offer, self._their_offer = self._their_offer, None
        if offer is None or self.state is not State.CONNECTED:
            return
        headers = [("Allow", ALLOW), *self._session_timer(offer.message)]
        is_invite = offer.message.method == "INVITE"
        self._is_ack_due = is_invite
        self._wires.respond(
            offer.request,
            offer.transaction,
            200,
            tag=self.local_tag,
            body=body,
            headers=headers,
            contact=self._contact(),
            ack_cb=(lambda _: self._on_reinvite_acked(is_empty=not offer.message.body)) if is_invite else None,
        )
        if not is_invite:
            self._next_offer()

    def refuse_offer(self, status: int) -> None:
        """Refuse the peer's open offer; the session goes on as it was."""
        if self._late_answer is not None:
            # An offer in a 2xx cannot be refused, only acknowledged and followed by BYE (RFC 3261 section 13.2.1).
            self._acknowledge(None)
            self._lost()
            return
        offer, self._their_offer = self._their_offer, None
        if offer is not None and self.state is State.CONNECTED:
            self._respond(offer.request, offer.transaction, status)
            self._next_offer()

    def offer(self, body: Body | None) -> None:
        """Send a re-INVITE, as soon as no other offer is open on the leg."""
        if self.state in (State.CONNECTED, State.CONFIRMING):
            self._waiting_offers.append((body, 0))
            self._next_offer()

    def send_info(self, body: Body) -> None:
        """Send an INFO."""
        if self.state is State.CONNECTED:
            self._start(self._new_request("INFO", body=body), self._on_info_response)

    def _on_info_response(self, response: Sippy, _transaction: Sippy) -> None:
        if response.getSCode()[0] in (408, 481):
            self._lost()

    def _next_offer(self) -> None:
        is_open = self._their_offer or self._our_offer or self._late_answer or self._is_ack_due
        if self._waiting_offers and not is_open and self.state is State.CONNECTED:
            self._our_offer = self._waiting_offers.pop(0)
            request = self._new_request("INVITE", body=self._our_offer[0], headers=[("Allow", ALLOW)])
            self._start(request, self._on_reinvite_response)

    def _on_reinvite_response(self, response: Sippy, transaction: Sippy) -> None:
        status, _ = response.getSCode()
        if status < 200 or self._our_offer is None:
            if status >= 300:
                _strip_route(response)
            return
        (body, tries), self._our_offer = self._our_offer, None
        if status < 300:
            self._on_reinvite_success(response, transaction, is_empty=body is None)
            return
        _strip_route(response)
        if status in (408, 481):
            self._lost()
        elif status == 491 and tries + 1 < GLARE_TRIES:
            self._timers.append(self._wires.reactor.call_later(self._glare_delay_s(), self._retry, body, tries + 1))
        else:
            self._emit(OfferRefused(leg=self.id, status=status))
            self._next_offer()

    def _on_reinvite_success(self, response: Sippy, transaction: Sippy, *, is_empty: bool) -> None:
        self._learn_target(response, is_required=False)
        message = self._wires.transactions.current
        # sippy routes the ACK by the response; the dialog's own route set is what counts (section 12.2.1.2).
        response.delHFs("record-route")
        response.appendHeaders([SipHeader(name="record-route", body=r.getCopy()) for r in reversed(self._routes)])
        if is_empty and message.body:
            transaction.uack = True
            self._late_answer = transaction
        self._emit(OfferAnswered(leg=self.id, body=body_of(message)))
        # The next re-INVITE must not overtake the ACK, which leaves when this returns.
        self._wires.reactor.submit(self._next_offer)

    def _retry(self, body: Body | None, tries: int) -> None:
        if self.state is State.CONNECTED:
            self._waiting_offers.insert(0, (body, tries))
            self._next_offer()

    def _glare_delay_s(self) -> float:
        """Return RFC 3261 section 14.1's delay: 2.1 to 4 s for the owner of the Call-ID, else up to 2 s."""
        steps = random.SystemRandom()
        return steps.randrange(210, 401) / 100 if self._owns_call_id else steps.randrange(0, 201) / 100

    def _on_reinvite_acked(self, *, is_empty: bool) -> None:
        self._is_ack_due = False
        if self.state is State.CONNECTED:
            if is_empty:
                self._emit(OfferAnswered(leg=self.id, body=body_of(self._wires.transactions.current)))
            self._next_offer()

    def _on_reinvite_unacked(self) -> None:
        if self._is_ack_due:
            self._is_ack_due = False
            self._lost()

    def _on_reinvite_cancelled(self, _rtime: Sippy, _request: Sippy) -> None:
        # sippy has answered 487 by now.
        self._their_offer = None
        self._next_offer()

    def _acknowledge(self, body: Body | None) -> None:
        transaction, self._late_answer = self._late_answer, None
        transaction.ack.setBody(raw_body(body))
        self._wires.transactions.sendACK(transaction)

    def _close_offers(self) -> None:
        if self._late_answer is not None:
            self._acknowledge(None)
        offer, self._their_offer = self._their_offer, None
        if offer is not None:
            self._respond(offer.request, offer.transaction, 487)
        self._waiting_offers.clear()

    # -- parts

    def _move(self, move: Move) -> bool:
        state = TRANSITIONS.get((self.state, move))
        if state is None:
            return False
        self.state = state
        if state is State.ENDED:
            self._stop_timers()
            self._wires.forget(self)
        return True

    def _emit(self, event: SipEvent) -> None:
        self._wires.emit(event)

    def _stop_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    _stop_timers_of_silence = _stop_timers

    def _reply(self, status: int, **more: Sippy) -> None:
        self._wires.respond(self._request, self._transaction, status, tag=self.local_tag, **more)

    def _respond(self, request: Sippy, transaction: Sippy, status: int, **more: Sippy) -> None:
        tag = None if request.getHFBody("to").getTag() else self.local_tag
        self._wires.respond(request, transaction, status, tag=tag, **more)

    def _contact(self) -> Sippy:
        contact = SipContact()
        contact.getUri().name = None
        contact.getUrl().username = self._local.getUrl().username
        return contact

    def _learn_target(self, message: Sippy, *, is_required: bool = True) -> None:
        if message.countHFs("contact") == 0 or message.getHFBody("contact").asterisk:
            if is_required:
                raise ValueError("no Contact")
            return
        self._target = message.getHFBody("contact").getUrl().getCopy()

    def _refusal_headers(self, status: int) -> tuple[Header, ...]:
        message = self._wires.transactions.current_or_none
        if message is None:
            return ()
        wanted = _REFUSAL_HEADERS if status < 400 else _REFUSAL_HEADERS - {"contact"}
        return tuple((name, value) for name, value in message.headers if name.lower() in wanted)

    @staticmethod
    def _session_timer(message: RawMessage | None) -> list[Header]:
        """Return the headers that accept a session timer with the peer as its refresher (RFC 4028 section 9)."""
        expires = message.value("session-expires") if message is not None else None
        if message is None or expires is None or "timer" not in message.option_tags("supported"):
            return []
        seconds = expires.split(";", 1)[0].strip()
        return [("Session-Expires", f"{seconds};refresher=uac"), ("Require", "timer")]

    def _new_request(
        self,
        method: str,
        *,
        body: Body | None = None,
        headers: Sequence[Header] = (),
        max_forwards: int = 70,
        is_counted: bool = True,
    ) -> Sippy:
        routes, target = [route.getCopy() for route in self._routes], self._target.getCopy()
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
            contact=self._contact() if method in ("INVITE", "UPDATE") else None,
            routes=routes,
            target=(hop, "udp"),
            user_agent=self._wires.user_agent,
            maxforwards=SipMaxForwards(number=max_forwards),
        )
        request.setBody(raw_body(body))
        request.appendHeaders([raw_header(name, value) for name, value in headers])
        self._cseq += 1 if is_counted else 0
        return request

    def _start(self, request: Sippy, on_response: Callable[[Sippy, Sippy], None] | None) -> Sippy:
        return self._wires.transactions.newTransaction(request, resp_cb=on_response, cb_ifver=2)


def _strip_route(response: Sippy) -> None:
    # sippy would send the ACK of a refusal to the Contact in it; it belongs where the INVITE went (section 17.1.1.3).
    response.delHFs("contact")
    response.delHFs("record-route")
