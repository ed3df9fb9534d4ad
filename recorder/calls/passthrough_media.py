"""Offers and answers that are handed on from one side of a passed call to the other (RFC 3725 section 4.1)."""

from recorder.calls.component import Component
from recorder.calls.rules.call_events import CallState, Side
from recorder.calls.transfer_media import TransferMedia
from recorder.calls.transferable import TransferableCall
from recorder.calls.transferring import Transfers
from sip.events import Body, CallOffered, OfferAnswered, OfferReceived, OfferRefused
from sip.offer_answer import LocalStream
from sip.sdes import Srtp


class PassthroughMedia(Component[TransferableCall], TransferMedia):
    """Hands on the descriptions of one passed call.

    Args:
        call: The call.
        transfers: Its transfers.
    """

    def __init__(self, call: TransferableCall, transfers: Transfers) -> None:
        super().__init__(call)
        self._transfers = transfers
        self._offering: Side | None = None
        self._is_joining = False
        """The side that stays was sent a transfer target's offer, and has not answered."""
        self._invited: CallOffered | None = None
        """The INVITE of a transfer target that is not answered yet."""

    # --- between the sides

    def reoffered(self, side: Side, event: OfferReceived) -> None:
        """Pass an offer on; its answer comes back by `offer_answered`.

        Two offers that cross would wait for one another for ever: the second is refused, as RFC 3261 section 14.2
        has it where they meet on one leg.
        """
        call, endpoint = self._call, self._call.services.endpoint
        own, other = call.legs.of(side), call.legs.of(side.other)
        if own is None or other is None:
            return
        if self._offering is side.other or self._is_joining:
            endpoint.refuse_offer(own, 491)
            return
        if call.progress.state is not CallState.THROUGH_JOINED:
            # It cannot be asked of the other side yet (RFC 3311 section 5.2).
            endpoint.refuse_offer(own, 504)
            return
        self._offering = side
        endpoint.offer(other, event.body)

    def offer_answered(self, side: Side, event: OfferAnswered) -> None:
        """Pass an answer back."""
        if self._is_joining:
            self._joined(event.body)
            return
        self._offer_over(side)
        other = self._call.legs.of(side.other)
        if other is not None:
            self._call.services.endpoint.answer_offer(other, event.body)

    def offer_refused(self, side: Side, event: OfferRefused) -> None:
        """Pass a refusal back."""
        if self._is_joining:
            self._is_joining = False
            self._transfers.failed(event.status)
            return
        self._offer_over(side)
        other = self._call.legs.of(side.other)
        if other is not None:
            self._call.services.endpoint.refuse_offer(other, event.status)

    def _offer_over(self, answered_by: Side) -> None:
        if self._offering is answered_by.other:
            self._offering = None

    def replaced(self) -> None:
        """Go on; whoever was there may have left an offer open."""
        self._offering = None

    # --- with a transfer target

    def offer(self, host: str | None, srtp: Srtp, session: LocalStream | None = None) -> Body | None:
        """Have the transfer target make the offer, for the one who stays."""
        return None

    def answered(self, body: Body | None) -> None:
        """Hand the transfer target's offer to the one who stays."""
        call = self._call
        stays = call.legs.of(Side.A if call.progress.transferor is Side.B else Side.B)
        if body is None or stays is None or self._offering is not None or self._is_joining:
            self._transfers.failed(488)
            return
        self._is_joining = True
        call.services.endpoint.offer(stays, body)

    def called(self, event: CallOffered) -> None:
        """Hand the offer of one who calls to the one who stays."""
        self._invited = event
        self.answered(event.body)

    def _joined(self, answer: Body | None) -> None:
        self._is_joining, invited = False, self._invited
        leg, self._invited = self._call.legs.target, None
        if leg is None:
            return
        if invited is not None:
            self._call.services.endpoint.answer(leg, answer)
        else:
            self._call.services.endpoint.answer_offer(leg, answer)
        self._transfers.ready()

    def drop(self) -> None:
        """Forget them: there is nothing to give back."""
        self._is_joining, self._invited = False, None
