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


@dataclass(frozen=True, slots=True)
class _Unacked:
    """A re-INVITE of the peer whose ACK is due: whether that brings an answer, and what had come before our 200."""

    is_empty: bool
    heard: int


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
        self._unacked: dict[int, _Unacked] = {}
        """The peer's re-INVITEs that we have answered 200 and whose ACK has not come, by CSeq."""
        self._ours: _OurOffer | None = None
        self._delayed: _OurOffer | None = None
        """Ours that has met another and is due again; those that wait stay behind it, the peer's do not."""
        self._waiting: list[_OurOffer] = []

    def on_reinvite(self, request: Sippy, transaction: Sippy, message: RawMessage) -> Sippy:
        """Take a re-INVITE of the peer.

        491 is for an INVITE of our own that is in progress, and for an offer of ours that awaits its answer (RFC 3261
        section 14.2, RFC 6337 section 2.3). An earlier one of the peer's whose ACK is due is none: the peer has left it
        behind, and its ACK may be lost.
        """
        if self._theirs is not None:
            retry_after = ("Retry-After", str(random.SystemRandom().randrange(11)))
            self._leg.respond(request, transaction, 500, headers=[retry_after])
            return None, None, None
        if self._leg.state is not State.CONNECTED or self._is_ours_open:
            self._leg.respond(request, transaction, 491)
            return None, None, None
        if refusal := self._leg.session_timer.refusal(message):
            self._leg.respond(request, transaction, 422, headers=refusal)
            return None, None, None
        self._leg.learn_target(request, is_required=False)
        self._leg.respond(request, transaction, 100)
        self.take(request, transaction, message)
        return None, self._on_reinvite_cancelled, lambda: self._on_reinvite_unacked(message.cseq)

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
        elif not self._is_open_for_offers or self._is_ours_open:
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
    def _is_ours_open(self) -> bool:
        """Tell whether an offer of ours has no answer yet; a recorder's lines stand whatever the answer is."""
        is_answer_due = any(one.is_empty for one in self._unacked.values()) and not self._leg.is_recorder
        return bool(self._ours or self.late_answer or is_answer_due)

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
        is_invite, number = offer.message.method == "INVITE", offer.message.cseq
        if is_invite:  # what came before is settled by this one, whatever became of its ACK
            self._unacked = {number: _Unacked(is_empty=not offer.message.body, heard=self._leg.heard)}
        self._leg.wires.respond(
            offer.request,
            offer.transaction,
            200,
            tag=self._leg.local_tag,
            body=body,
            headers=headers,
            contact=self._leg.contact(),
            ack_cb=(lambda _: self._on_reinvite_acked(number)) if is_invite else None,
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
        is_open = self._theirs or self._ours or self._delayed or self.late_answer or self._unacked
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

    def _on_reinvite_acked(self, number: int) -> None:
        self._leg.heard += 1
        acked = self._unacked.pop(number, None)
        if acked is not None and self._leg.state is State.CONNECTED:
            if acked.is_empty:
                self.remote = body_of(self._leg.wires.transactions.current) or self.remote
                self._leg.emit(OfferAnswered(leg=self._leg.id, body=body_of(self._leg.wires.transactions.current)))
            self.next()

    def _on_reinvite_unacked(self, number: int) -> None:
        """End the dialog (RFC 3261 section 14.2), unless something shows or may show that the peer goes on with it.

        An ACK of another INVITE, or a request that came after our 200, shows it where the offer was answered. A
        recording client is asked: what it sends is lost if we are wrong.
        """
        unacked = self._unacked.pop(number, None)
        if unacked is None:
            return
        if self._leg.heard > unacked.heard and (self._leg.is_recorder or not unacked.is_empty):
            self.next()
        elif self._leg.is_recorder:
            self._leg.probe()
        else:
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
