"""Offers inside a dialog: re-INVITE and UPDATE in both directions, glare, answers in an ACK (RFC 3261 section 14).

UPDATE is RFC 3311. Component of a leg. Call thread only. Knows sippy; see `sip.reactor`.
"""

import random
from dataclasses import dataclass

from sippy.SipHeader import SipHeader

from sip.events import Body, OfferAnswered, OfferReceived, OfferRefused
from sip.leg_dialog import LegDialog
from sip.leg_state import LegState
from sip.message import RawMessage
from sip.message_io import ALLOW, SUPPORTED, body_of, raw_body, strip_route
from sip.offer_answer_state import Negotiation
from sip.reactor import Sippy
from sip.reliable_uac import ReceivedReliably
from sip.session_timer import SessionTimer

GLARE_TRIES = 5
"""Re-INVITEs sent again after 491 before the offer counts as refused."""


@dataclass(slots=True)
class _OurOffer:
    """Our re-INVITE: its body, how often it met another (491), and whether it only refreshes the session."""

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
    """A re-INVITE of the peer whose ACK is due.

    ``is_empty``: the ACK brings the answer to our offer. ``heard``: `Dialog.heard` when our 200 was sent.
    """

    is_empty: bool
    heard: int


class Reoffers:
    """The offers of one leg: at most one is open, in either direction."""

    def __init__(
        self,
        dialog: LegDialog,
        negotiation: Negotiation,
        session_timer: SessionTimer,
        received: ReceivedReliably,
    ) -> None:
        self._dialog = dialog
        self._negotiation = negotiation
        self._session_timer = session_timer
        self._received = received
        self._theirs: _TheirOffer | None = None
        self._unacked: dict[int, _Unacked] = {}
        """The peer's re-INVITEs that we answered 200 and whose ACK has not come, by CSeq."""
        self._ours: _OurOffer | None = None
        self._delayed: _OurOffer | None = None
        """Our offer that met another and is sent again later; our other offers wait for it, the peer's do not."""
        self._waiting: list[_OurOffer] = []

    def on_reinvite(self, request: Sippy, transaction: Sippy, message: RawMessage) -> Sippy:
        """Take a re-INVITE of the peer.

        It is answered 491 while our own INVITE is in progress or our offer has no answer yet (RFC 3261 section 14.2,
        RFC 6337 section 2.3), but not while the ACK of an earlier re-INVITE is due: that ACK may be lost.
        """
        if self._theirs is not None:
            retry_after = ("Retry-After", str(random.SystemRandom().randrange(11)))
            self._dialog.respond(request, transaction, 500, headers=[retry_after])
            return None, None, None
        if self._dialog.state is not LegState.CONNECTED or self._is_ours_open:
            self._dialog.respond(request, transaction, 491)
            return None, None, None
        if refusal := self._session_timer.refusal(message):
            self._dialog.respond(request, transaction, 422, headers=refusal)
            return None, None, None
        self._dialog.learn_target(request, is_required=False)
        self._dialog.respond(request, transaction, 100)
        self.take(request, transaction, message)
        return None, self._on_reinvite_cancelled, lambda: self._on_reinvite_unacked(message.cseq)

    def on_update(self, request: Sippy, transaction: Sippy, message: RawMessage) -> Sippy:
        """Take an UPDATE of the peer."""
        self._dialog.learn_target(request, is_required=False)
        if refusal := self._session_timer.refusal(message):
            self._dialog.respond(request, transaction, 422, headers=refusal)
        elif not message.body:
            is_connected = self._dialog.state is LegState.CONNECTED  # before that there is no session timer
            headers = [("Allow", ALLOW), *(self._session_timer.agree(message) if is_connected else [])]
            self._dialog.respond(request, transaction, 200, headers=headers, contact=self._dialog.contact())
        elif self._theirs is not None:
            self._dialog.respond(request, transaction, 500, headers=[("Retry-After", "1")])
        elif not self._is_open_for_offers or self._is_ours_open:
            self._dialog.respond(request, transaction, 491)
        else:
            self.take(request, transaction, message)
            return None, None, None
        return None

    def take(self, request: Sippy, transaction: Sippy, message: RawMessage) -> None:
        """Take an offer of the peer; the application answers or refuses it."""
        self._theirs = _TheirOffer(request, transaction, message)
        self._dialog.emit(OfferReceived(leg=self._dialog.id, body=body_of(message)))

    @property
    def _is_ours_open(self) -> bool:
        """Tell whether our offer has no answer yet; a recording session does not need the answer in an ACK."""
        is_answer_due = any(one.is_empty for one in self._unacked.values()) and not self._dialog.is_recorder
        return bool(self._ours or self._negotiation.late_answer or is_answer_due)

    @property
    def _is_open_for_offers(self) -> bool:
        is_early = self._dialog.state in (LegState.OFFERED, LegState.RINGING) and self._negotiation.is_early_settled
        return self._dialog.state is LegState.CONNECTED or is_early

    def answer(self, body: Body | None) -> None:
        """Answer the peer's open offer: by 200, or in the ACK if a 2xx brought it."""
        if self._negotiation.late_answer is not None:
            self._acknowledge(body)
            self.next()
            return
        if self._received.has_offer:
            self._negotiation.local = body or self._negotiation.local
            self._received.answer(body)
            return
        offer, self._theirs = self._theirs, None
        if offer is None or self._dialog.state not in (LegState.CONNECTED, LegState.OFFERED, LegState.RINGING):
            return
        headers = [("Allow", ALLOW), ("Supported", SUPPORTED)]
        if self._dialog.state is LegState.CONNECTED:
            headers += self._session_timer.agree(offer.message)
        self._negotiation.local, self._negotiation.remote = (
            body or self._negotiation.local,
            body_of(offer.message) or self._negotiation.remote,
        )
        is_invite, number = offer.message.method == "INVITE", offer.message.cseq
        if is_invite:  # it supersedes earlier ones, even if their ACKs were lost
            self._unacked = {number: _Unacked(is_empty=not offer.message.body, heard=self._dialog.heard)}
        self._dialog.services.respond(
            offer.request,
            offer.transaction,
            200,
            tag=self._dialog.local_tag,
            body=body,
            headers=headers,
            contact=self._dialog.contact(),
            ack_cb=(lambda _: self._on_reinvite_acked(number)) if is_invite else None,
        )
        if not is_invite:
            self.next()

    def refuse(self, status: int) -> None:
        """Refuse the peer's open offer; the session does not change."""
        if self._negotiation.late_answer is not None:
            # An offer in a 2xx cannot be refused, only acknowledged and followed by BYE (RFC 3261 section 13.2.1).
            self._acknowledge(None)
            self._dialog.lost()
            return
        offer, self._theirs = self._theirs, None
        if offer is not None and self._dialog.state is not LegState.ENDED:
            self._dialog.respond(offer.request, offer.transaction, status)
            self.next()

    def offer(self, body: Body | None) -> None:
        """Send a re-INVITE as soon as no other offer is open on the leg."""
        if self._dialog.state in (LegState.CONNECTED, LegState.CONFIRMING):
            self._waiting.append(_OurOffer(body))
            self.next()

    def refresh(self) -> None:
        """Send a re-INVITE that changes nothing, for the session timer of a peer without UPDATE."""
        known = (*self._waiting, self._delayed, self._ours)
        if self._negotiation.local is not None and not any(offer.is_refresh for offer in known if offer):
            self._waiting.append(_OurOffer(self._negotiation.local, is_refresh=True))
            self.next()

    def next(self) -> None:
        """Send the next waiting offer, if none is open."""
        is_open = self._theirs or self._ours or self._delayed or self._negotiation.late_answer or self._unacked
        if self._waiting and not is_open and self._dialog.state is LegState.CONNECTED:
            self._ours = self._waiting.pop(0)
            if self._ours.is_refresh:
                self._ours.body = self._negotiation.local  # it may have changed while it waited
            headers = [("Allow", ALLOW), ("Supported", SUPPORTED), *self._session_timer.request_headers]
            request = self._dialog.new_request("INVITE", body=self._ours.body, headers=headers)
            self._dialog.start(
                request, self._on_reinvite_response, is_wanted=lambda: self._dialog.state is LegState.CONNECTED
            )

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
            self._dialog.lost()
        elif status == 491 and ours.tries + 1 < GLARE_TRIES:
            ours.tries += 1
            self._delayed = ours
            self._dialog.timers.append(
                self._dialog.services.reactor.call_later(self._glare_delay_s(), self._retry, ours)
            )
        elif status == 422 and self._session_timer.refused(self._dialog.services.transactions.current):
            self._retry(ours)
        elif ours.is_refresh:
            self._session_timer.refreshed(status)
            self.next()
        else:
            self._dialog.emit(OfferRefused(leg=self._dialog.id, status=status))
            self.next()

    def _on_reinvite_success(self, response: Sippy, transaction: Sippy, ours: _OurOffer) -> None:
        self._dialog.learn_target(response, is_required=False)
        message = self._dialog.services.transactions.current
        self._dialog.learn_abilities(message)
        self._session_timer.agreed(message)
        is_changed = body_of(message) != self._negotiation.remote
        self._negotiation.local, self._negotiation.remote = (
            ours.body or self._negotiation.local,
            body_of(message) or self._negotiation.remote,
        )
        # sippy routes the ACK by the response; it must use the dialog's route set (section 12.2.1.2).
        response.delHFs("record-route")
        response.appendHeaders(
            [SipHeader(name="record-route", body=r.getCopy()) for r in reversed(self._dialog.routes)]
        )
        if ours.body is None and message.body:
            transaction.uack = True
            self._negotiation.late_answer = transaction
        afterwards = self._dialog.services.transactions.afterwards
        if not ours.is_refresh or is_changed:
            event = OfferAnswered(leg=self._dialog.id, body=body_of(message))
            afterwards(lambda: self._dialog.emit(event))
        afterwards(self.next)

    def _retry(self, ours: _OurOffer) -> None:
        self._delayed = None
        if self._dialog.state is LegState.CONNECTED:
            self._waiting.insert(0, ours)
            self.next()

    def _glare_delay_s(self) -> float:
        """Return RFC 3261 section 14.1's delay: 2.1 to 4 s for the owner of the Call-ID, else up to 2 s."""
        steps = random.SystemRandom()
        return steps.randrange(210, 401) / 100 if self._dialog.owns_call_id else steps.randrange(0, 201) / 100

    def _on_reinvite_acked(self, number: int) -> None:
        self._dialog.heard += 1
        acked = self._unacked.pop(number, None)
        if acked is not None and self._dialog.state is LegState.CONNECTED:
            if acked.is_empty:
                self._negotiation.remote = (
                    body_of(self._dialog.services.transactions.current) or self._negotiation.remote
                )
                self._dialog.emit(
                    OfferAnswered(leg=self._dialog.id, body=body_of(self._dialog.services.transactions.current))
                )
            self.next()

    def _on_reinvite_unacked(self, number: int) -> None:
        """End the dialog (RFC 3261 section 14.2), unless the peer still uses it.

        If the offer was answered, an ACK of another INVITE or a request after our 200 shows that it does. A recording
        client is asked by OPTIONS: ending the dialog by mistake would lose its media.
        """
        unacked = self._unacked.pop(number, None)
        if unacked is None:
            return
        if self._dialog.heard > unacked.heard and (self._dialog.is_recorder or not unacked.is_empty):
            self.next()
        elif self._dialog.is_recorder:
            self._dialog.probe()
        else:
            self._dialog.lost()

    def _on_reinvite_cancelled(self, _rtime: Sippy, _request: Sippy) -> None:
        # sippy has already answered 487.
        self._theirs = None
        self.next()

    def _acknowledge(self, body: Body | None) -> None:
        transaction, self._negotiation.late_answer = self._negotiation.late_answer, None
        self._negotiation.local = body or self._negotiation.local
        transaction.ack.setBody(raw_body(body))
        self._dialog.services.transactions.sendACK(transaction)

    def close(self) -> None:
        """Answer the open offers, since the leg ends."""
        if self._negotiation.late_answer is not None:
            self._acknowledge(None)
        offer, self._theirs = self._theirs, None
        if offer is not None:
            self._dialog.respond(offer.request, offer.transaction, 487)
        self._waiting.clear()
