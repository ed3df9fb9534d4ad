"""The server side of a leg's INVITE: ringing, answering, refusing (RFC 3261 section 13.3). Component of a leg.

Call thread only. Knows sippy; see `sip.reactor`.
"""

from collections.abc import Sequence

from sip.events import AnswerAcknowledged, Body, Header, LegEnded, OfferAnswered
from sip.leg_dialog import LegDialog
from sip.leg_state import LegState, Move
from sip.message import RawMessage
from sip.message_io import ALLOW, RELIABLY, SUPPORTED, body_of
from sip.offer_answer_state import Negotiation
from sip.offered_invite import OfferedInvite
from sip.reactor import Sippy
from sip.reliable_uas import SentReliably
from sip.reoffers import Reoffers
from sip.session_timer import SessionTimer


class Invited:
    """Handles an offered leg until its INVITE is answered and acknowledged.

    Attributes:
        invite: The INVITE.
        is_ack_told: AnswerAcknowledged is to be emitted.
    """

    def __init__(
        self, dialog: LegDialog, negotiation: Negotiation, session_timer: SessionTimer, offers: Reoffers
    ) -> None:
        self._dialog = dialog
        self._negotiation = negotiation
        self._session_timer = session_timer
        self._offers = offers
        self.invite = OfferedInvite(dialog, negotiation)
        self.is_ack_told = False
        self._reliable = SentReliably(dialog, negotiation, self.invite, offers)
        self._due: tuple[Body | None, Sequence[Header]] | None = None

    def begin(self, request: Sippy, transaction: Sippy, message: RawMessage) -> Sippy:
        """Begin a leg with an INVITE of the peer and send 100; return what sippy expects of a request hook.

        Raises:
            ValueError: The INVITE has no usable Contact.
        """
        self.invite.begin(request, transaction, message)
        return None, self._on_cancel, self._on_unacked

    def ring(self, status: int, body: Body | None, headers: Sequence[Header]) -> None:
        """Send a provisional response, reliably if the peer requires it or if the response makes the offer."""
        message = self.invite.message
        if self._dialog.state is not LegState.OFFERED or message is None:
            return
        is_offer, required = not message.body and body is not None, message.option_tags("require")
        is_known = RELIABLY in (*message.option_tags("supported"), *required)
        if RELIABLY in required or (is_offer and is_known):
            self._reliable.send(status, body, headers)
        else:
            # A response that is not acknowledged must not carry an offer (RFC 3261 section 13.2.1).
            self.invite.provisional(status, None if is_offer else body, headers)

    def on_prack(self, request: Sippy, transaction: Sippy, message: RawMessage) -> Sippy:
        """Take a PRACK; return what sippy expects of a request hook."""
        hook = self._reliable.on_prack(request, transaction, message)
        due, self._due = self._due, None
        if due is not None:
            self.answer(*due)
        return hook

    def answer(self, body: Body | None, headers: Sequence[Header]) -> None:
        """Send 200, at once or after the PRACK for an earlier session description (RFC 3262 section 3)."""
        if self._reliable.holds_answer:
            self._due = (body, headers)
        elif self._dialog.move(Move.ANSWER):
            assert self.invite.message is not None
            self._negotiation.local = body or self._negotiation.local
            said = None if self._reliable.has_description else body
            self._reliable.close()
            own = [("Allow", ALLOW), ("Supported", SUPPORTED), *self._session_timer.agree(self.invite.message)]
            contact = self._dialog.contact()
            self.invite.reply(200, body=said, headers=[*own, *headers], contact=contact, ack_cb=self._on_ack)

    def refuse(self, status: int, reason: str, headers: Sequence[Header]) -> None:
        """Send a final response other than 2xx."""
        if self._dialog.move(Move.REFUSE):
            self.invite.reply(status, reason=reason, headers=headers)

    def overtaken(self) -> None:
        """Confirm the dialog without its ACK: the peer makes another offer, so it has our 200.

        Does nothing if the ACK has to bring the answer to our offer.
        """
        dialog = self._dialog
        if dialog.state is LegState.CONFIRMING and not self.invite.is_offer_ours and dialog.move(Move.ACKED):
            self.invite.let_go()
            dialog.services.transactions.afterwards(self._offers.next)  # ours come after the peer's offer
            self._tell_ack()

    def _tell_ack(self) -> None:
        if self.is_ack_told:
            self._dialog.emit(AnswerAcknowledged(leg=self._dialog.id))

    def close(self) -> None:
        """Stop the timers of reliable responses."""
        self._reliable.close()

    def _on_cancel(self, _rtime: Sippy, _request: Sippy) -> None:
        dialog, is_expired = self._dialog, _request is None
        if dialog.move(Move.PEER_CANCEL):
            reason = None if is_expired else dialog.services.transactions.current.value("reason")
            dialog.emit(LegEnded(leg=dialog.id, cause="timeout" if is_expired else "cancel", reason=reason))

    def _on_ack(self, _request: Sippy) -> None:
        dialog = self._dialog
        is_leaving = dialog.state is LegState.LEAVING
        if not dialog.move(Move.ACKED):
            return
        self.invite.let_go()
        if is_leaving:
            dialog.send_bye(dialog.parting_reason)
            return
        self._tell_ack()
        if self.invite.is_offer_ours:
            self._negotiation.remote = body_of(dialog.services.transactions.current)
            dialog.emit(OfferAnswered(leg=dialog.id, body=self._negotiation.remote))
        self._offers.next()

    def _on_unacked(self) -> None:
        dialog = self._dialog
        is_leaving = dialog.state is LegState.LEAVING
        if dialog.is_recorder and not is_leaving and not self.invite.is_offer_ours and dialog.move(Move.ACKED):
            self.invite.let_go()
            dialog.probe()  # ending the leg would lose the client's media if only its ACK was lost
        elif dialog.move(Move.UNACKED):
            dialog.send_bye(None)
            if not is_leaving:
                dialog.emit(LegEnded(leg=dialog.id, cause="timeout", reason=None))
