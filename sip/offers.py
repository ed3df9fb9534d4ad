"""Offers inside a dialog: re-INVITE and UPDATE both ways, glare, answers in an ACK (RFC 3261 section 14, RFC 3311).

Part of a leg. Call thread only. Knows sippy; see `sip.reactor`.
"""

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sippy.SipHeader import SipHeader

from sip.events import Body, OfferAnswered, OfferReceived, OfferRefused
from sip.leg_state import State
from sip.message import RawMessage
from sip.part import Part
from sip.reactor import Sippy
from sip.wires import ALLOW, SUPPORTED, body_of, raw_body, strip_route

if TYPE_CHECKING:
    from sip.dialog import Leg

GLARE_TRIES = 5
"""Re-INVITEs sent again after 491 before the offer counts as refused."""


@dataclass(slots=True)
class _OurOffer:
    """A re-INVITE of ours: its body, how often it has met another, and whether it only refreshes the session."""

    body: Body | None
    tries: int = 0
    is_refresh: bool = False


@dataclass(slots=True)
class _TheirOffer:
    """A re-INVITE or an UPDATE with SDP of the peer that we have not answered."""

    request: Sippy
    transaction: Sippy
    message: RawMessage


class Offers(Part):
    """The offers of one leg: at most one is open, in either direction."""

    def __init__(self, leg: "Leg") -> None:
        super().__init__(leg)
        self.local: Body | None = None
        """Our session description in force, or None."""
        self.remote: Body | None = None
        """The peer's."""
        self.late_answer: Sippy = None
        """Our INVITE's transaction whose 2xx brought an offer and whose ACK awaits our answer, or None."""
        self.is_early_settled = False
        """An offer and its answer crossed reliably before the call was answered: more offers may follow (RFC 3311)."""
        self._theirs: _TheirOffer | None = None
        self._is_ack_due = False
        self._ours: _OurOffer | None = None
        self._delayed: _OurOffer | None = None
        """Ours that has met another and is due again; those that wait stay behind it, the peer's do not."""
        self._waiting: list[_OurOffer] = []

    def on_reinvite(self, request: Sippy, transaction: Sippy, message: RawMessage) -> Sippy:
        """Take a re-INVITE of the peer."""
        if self._theirs is not None:
            retry_after = ("Retry-After", str(random.SystemRandom().randrange(11)))
            self._leg.respond(request, transaction, 500, headers=[retry_after])
            return None, None, None
        if self._leg.state is not State.CONNECTED or self._ours or self.late_answer or self._is_ack_due:
            self._leg.respond(request, transaction, 491)
            return None, None, None
        if refusal := self._leg.session_timer.refusal(message):
            self._leg.respond(request, transaction, 422, headers=refusal)
            return None, None, None
        self._leg.learn_target(request, is_required=False)
        self._leg.respond(request, transaction, 100)
        self.take(request, transaction, message)
        return None, self._on_reinvite_cancelled, self._on_reinvite_unacked

    def on_update(self, request: Sippy, transaction: Sippy, message: RawMessage) -> Sippy:
        """Take an UPDATE of the peer."""
        self._leg.learn_target(request, is_required=False)
        if refusal := self._leg.session_timer.refusal(message):
            self._leg.respond(request, transaction, 422, headers=refusal)
        elif not message.body:
            is_connected = self._leg.state is State.CONNECTED  # a session that does not exist yet has no timer
            headers = [("Allow", ALLOW), *(self._leg.session_timer.agree(message) if is_connected else [])]
            self._leg.respond(request, transaction, 200, headers=headers, contact=self._leg.contact())
        elif self._theirs is not None:
            self._leg.respond(request, transaction, 500, headers=[("Retry-After", "1")])
        elif not self._is_open_for_offers or self._ours or self.late_answer:
            self._leg.respond(request, transaction, 491)
        else:
            self.take(request, transaction, message)
            return None, None, None
        return None

    def take(self, request: Sippy, transaction: Sippy, message: RawMessage) -> None:
        """Take an offer of the peer in a request that is answered when the application says so."""
        self._theirs = _TheirOffer(request, transaction, message)
        self._leg.emit(OfferReceived(leg=self._leg.id, body=body_of(message)))

    @property
    def _is_open_for_offers(self) -> bool:
        is_early = self._leg.state in (State.OFFERED, State.RINGING) and self.is_early_settled
        return self._leg.state is State.CONNECTED or is_early

    def answer(self, body: Body | None) -> None:
        """Answer the peer's open offer: with 200, or in the ACK when a 2xx brought it."""
        if self.late_answer is not None:
            self._acknowledge(body)
            self.next()
            return
        if self._leg.inviting.reliable.has_offer:
            self.local = body or self.local
            self._leg.inviting.reliable.answer(body)
            return
        offer, self._theirs = self._theirs, None
        if offer is None or self._leg.state not in (State.CONNECTED, State.OFFERED, State.RINGING):
            return
        headers = [("Allow", ALLOW), ("Supported", SUPPORTED)]
        if self._leg.state is State.CONNECTED:
            headers += self._leg.session_timer.agree(offer.message)
        self.local, self.remote = body or self.local, body_of(offer.message) or self.remote
        is_invite = offer.message.method == "INVITE"
        self._is_ack_due = is_invite
        self._leg.wires.respond(
            offer.request,
            offer.transaction,
            200,
            tag=self._leg.local_tag,
            body=body,
            headers=headers,
            contact=self._leg.contact(),
            ack_cb=(lambda _: self._on_reinvite_acked(is_empty=not offer.message.body)) if is_invite else None,
        )
        if not is_invite:
            self.next()

    def refuse(self, status: int) -> None:
        """Refuse the peer's open offer; the session goes on as it was."""
        if self.late_answer is not None:
            # An offer in a 2xx cannot be refused, only acknowledged and followed by BYE (RFC 3261 section 13.2.1).
            self._acknowledge(None)
            self._leg.lost()
            return
        offer, self._theirs = self._theirs, None
        if offer is not None and self._leg.state is not State.ENDED:
            self._leg.respond(offer.request, offer.transaction, status)
            self.next()

    def offer(self, body: Body | None) -> None:
        """Send a re-INVITE, as soon as no other offer is open on the leg."""
        if self._leg.state in (State.CONNECTED, State.CONFIRMING):
            self._waiting.append(_OurOffer(body))
            self.next()

    def refresh(self) -> None:
        """Send a re-INVITE that changes nothing, for the session timer of a peer without UPDATE."""
        known = (*self._waiting, self._delayed, self._ours)
        if self.local is not None and not any(offer.is_refresh for offer in known if offer):
            self._waiting.append(_OurOffer(self.local, is_refresh=True))
            self.next()

    def next(self) -> None:
        """Send the next waiting offer, if none is open."""
        is_open = self._theirs or self._ours or self._delayed or self.late_answer or self._is_ack_due
        if self._waiting and not is_open and self._leg.state is State.CONNECTED:
            self._ours = self._waiting.pop(0)
            if self._ours.is_refresh:
                self._ours.body = self.local  # it may have changed while it waited
            headers = [("Allow", ALLOW), ("Supported", SUPPORTED), *self._leg.session_timer.request_headers]
            request = self._leg.new_request("INVITE", body=self._ours.body, headers=headers)
            self._leg.start(request, self._on_reinvite_response, is_wanted=lambda: self._leg.state is State.CONNECTED)

    def _on_reinvite_response(self, response: Sippy, transaction: Sippy) -> None:
        status, _ = response.getSCode()
        if status < 200 or self._ours is None:
            if status >= 300:
                strip_route(response)
            return
        ours, self._ours = self._ours, None
        if status < 300:
            self._on_reinvite_success(response, transaction, ours)
            return
        strip_route(response)
        if status in (408, 481):
            self._leg.lost()
        elif status == 491 and ours.tries + 1 < GLARE_TRIES:
            ours.tries += 1
            self._delayed = ours
            self._leg.timers.append(self._leg.wires.reactor.call_later(self._glare_delay_s(), self._retry, ours))
        elif status == 422 and self._leg.session_timer.refused(self._leg.wires.transactions.current):
            self._retry(ours)
        elif ours.is_refresh:
            self._leg.session_timer.refreshed(status)
            self.next()
        else:
            self._leg.emit(OfferRefused(leg=self._leg.id, status=status))
            self.next()

    def _on_reinvite_success(self, response: Sippy, transaction: Sippy, ours: _OurOffer) -> None:
        self._leg.learn_target(response, is_required=False)
        message = self._leg.wires.transactions.current
        self._leg.learn_abilities(message)
        self._leg.session_timer.agreed(message)
        is_changed = body_of(message) != self.remote
        self.local, self.remote = ours.body or self.local, body_of(message) or self.remote
        # sippy routes the ACK by the response; the dialog's own route set is what counts (section 12.2.1.2).
        response.delHFs("record-route")
        response.appendHeaders([SipHeader(name="record-route", body=r.getCopy()) for r in reversed(self._leg.routes)])
        if ours.body is None and message.body:
            transaction.uack = True
            self.late_answer = transaction
        afterwards = self._leg.wires.transactions.afterwards
        if not ours.is_refresh or is_changed:
            event = OfferAnswered(leg=self._leg.id, body=body_of(message))
            afterwards(lambda: self._leg.emit(event))
        afterwards(self.next)

    def _retry(self, ours: _OurOffer) -> None:
        self._delayed = None
        if self._leg.state is State.CONNECTED:
            self._waiting.insert(0, ours)
            self.next()

    def _glare_delay_s(self) -> float:
        """Return RFC 3261 section 14.1's delay: 2.1 to 4 s for the owner of the Call-ID, else up to 2 s."""
        steps = random.SystemRandom()
        return steps.randrange(210, 401) / 100 if self._leg.owns_call_id else steps.randrange(0, 201) / 100

    def _on_reinvite_acked(self, *, is_empty: bool) -> None:
        self._is_ack_due = False
        if self._leg.state is State.CONNECTED:
            if is_empty:
                self.remote = body_of(self._leg.wires.transactions.current) or self.remote
                self._leg.emit(OfferAnswered(leg=self._leg.id, body=body_of(self._leg.wires.transactions.current)))
            self.next()

    def _on_reinvite_unacked(self) -> None:
        if self._is_ack_due:
            self._is_ack_due = False
            self._leg.lost()

    def _on_reinvite_cancelled(self, _rtime: Sippy, _request: Sippy) -> None:
        # sippy has answered 487 by now.
        self._theirs = None
        self.next()

    def _acknowledge(self, body: Body | None) -> None:
        transaction, self.late_answer = self.late_answer, None
        self.local = body or self.local
        transaction.ack.setBody(raw_body(body))
        self._leg.wires.transactions.sendACK(transaction)

    def close(self) -> None:
        """Settle what is open, since the leg ends."""
        if self.late_answer is not None:
            self._acknowledge(None)
        offer, self._theirs = self._theirs, None
        if offer is not None:
            self._leg.respond(offer.request, offer.transaction, 487)
        self._waiting.clear()
