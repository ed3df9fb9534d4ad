"""Media of a passthrough call: bodies are handed from one side to the other, and the audio never comes here (P1).

No media port, no notice, no recording, no limit. Offers and answers between three parties are those of RFC 3725
section 4.1. Call thread only.
"""

from recorder.calls.call_interfaces import MediaPath, TransferableCall
from recorder.calls.component import Component
from recorder.calls.rules.call_events import After, AnswerA, Answered, CallState, Command, Rang, Ring, Side
from recorder.calls.transfer_media import TransferMedia
from recorder.calls.transferring import Transfers
from recorder.rules.policy import extension_of
from sip.events import (
    Body,
    CallOffered,
    Header,
    IdentityChanged,
    InfoReceived,
    LegAnswered,
    LegRang,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
)
from sip.offer_answer import LocalStream
from sip.sdes import Srtp


class PassthroughTarget(Component[TransferableCall], TransferMedia):
    """Hands on the descriptions of a transfer target and of the one who stays.

    Args:
        call: The call.
        transfers: Its transfers.

    Attributes:
        offering: The side whose offer the other side has not answered, or None.
    """

    def __init__(self, call: TransferableCall, transfers: Transfers) -> None:
        super().__init__(call)
        self._transfers = transfers
        self.offering: Side | None = None
        self.is_joining = False
        """The side that stays was sent a transfer target's offer, and has not answered."""
        self._invited: CallOffered | None = None
        """The INVITE of a transfer target that is not answered yet."""

    def offer(self, host: str | None, srtp: Srtp, session: LocalStream | None = None) -> Body | None:
        """Have the transfer target make the offer, for the one who stays."""
        return None

    def answered(self, body: Body | None) -> None:
        """Hand the transfer target's offer to the one who stays."""
        call = self._call
        stays = call.legs.of(Side.A if call.progress.transferor is Side.B else Side.B)
        if body is None or stays is None or self.offering is not None or self.is_joining:
            self._transfers.failed(488)
            return
        self.is_joining = True
        call.services.endpoint.offer(stays, body)

    def called(self, event: CallOffered) -> None:
        """Hand the offer of one who calls to the one who stays."""
        self._invited = event
        self.answered(event.body)

    def joined(self, answer: Body | None) -> None:
        """Hand the answer of the one who stays to the transfer target."""
        self.is_joining, invited = False, self._invited
        leg, self._invited = self._call.legs.target, None
        if leg is None:
            return
        if invited is not None:
            self._call.services.endpoint.answer(leg, answer)
        else:
            self._call.services.endpoint.answer_offer(leg, answer)
        self._transfers.ready()

    def refused(self, status: int) -> None:
        """Give the transfer up: the one who stays refuses the transfer target's offer."""
        self.is_joining = False
        self._transfers.failed(status)

    def drop(self) -> None:
        """Forget them: there is nothing to give back."""
        self.is_joining, self._invited = False, None


class PassthroughMedia(MediaPath):
    """Hands on the bodies of one call.

    Args:
        call: The call.
        transfers: Its transfers.
    """

    target: PassthroughTarget

    def __init__(self, call: TransferableCall, transfers: Transfers) -> None:
        super().__init__(call)
        self.target = PassthroughTarget(call, transfers)
        self._body: Body | None = None
        self._early: Body | None = None
        self._status = 180
        self._headers: tuple[Header, ...] = ()
        self._nominated: frozenset[str] = frozenset()
        """Nominated extensions that were named, each alarmed once."""

    # --- what is said to B, and what B says

    @property
    def is_reliable(self) -> bool:
        """Tell whether B may acknowledge: an offer that it makes then can be passed on only to an A that can, too."""
        offered = self._call.offered
        return offered.body is not None or "100rel" in (*offered.supported, *offered.required)

    def offer_to_b(self) -> Body | None:
        """Return A's offer as it is."""
        self._early = None
        return self._call.offered.body

    def rang(self, event: LegRang) -> None:
        """Pass the provisional response on, early media's SDP and all."""
        self._body, self._status, self._headers = event.body, event.status, event.headers
        self._early = event.body or self._early
        self._call.apply(Rang(has_media=event.body is not None))

    def answered(self, event: LegAnswered) -> None:
        """Pass the answer on."""
        self._look_at(event.asserted_user or "")
        self._headers = event.headers
        self._body = event.body or self._early  # a 200 without SDP stands by what its 183 said
        self._call.apply(Answered())

    # --- sessions that change

    def reoffered(self, side: Side, event: OfferReceived) -> None:
        """Pass an offer on; its answer comes back by `offer_answered`.

        Two offers that cross would wait for one another for ever: the second is refused, as RFC 3261 section 14.2
        has it where they meet on one leg.
        """
        call, endpoint = self._call, self._call.services.endpoint
        own, other = call.legs.of(side), call.legs.of(side.other)
        if own is None or other is None:
            return
        if self.target.offering is side.other or self.target.is_joining:
            endpoint.refuse_offer(own, 491)
            return
        if call.progress.state is not CallState.THROUGH_JOINED:
            # It cannot be asked of the other side yet (RFC 3311 section 5.2).
            endpoint.refuse_offer(own, 504)
            return
        self.target.offering = side
        endpoint.offer(other, event.body)

    def offer_answered(self, side: Side, event: OfferAnswered) -> None:
        """Pass an answer back."""
        if self.target.is_joining:
            self.target.joined(event.body)
            return
        self._offer_over(side)
        other = self._call.legs.of(side.other)
        if other is not None:
            self._call.services.endpoint.answer_offer(other, event.body)

    def offer_refused(self, side: Side, event: OfferRefused) -> None:
        """Pass a refusal back."""
        if self.target.is_joining:
            self.target.refused(event.status)
            return
        self._offer_over(side)
        other = self._call.legs.of(side.other)
        if other is not None:
            self._call.services.endpoint.refuse_offer(other, event.status)

    def _offer_over(self, answered_by: Side) -> None:
        if self.target.offering is answered_by.other:
            self.target.offering = None

    def info(self, side: Side, event: InfoReceived) -> None:
        """Pass an INFO on."""
        other = self._call.legs.of(side.other)
        if other is not None:
            self._call.services.endpoint.send_info(other, event.body)

    # --- who is there

    def renamed(self, side: Side, event: IdentityChanged) -> None:
        """Raise the alarm where a nominated extension is on the call now; else it is none of our business."""
        self._look_at(event.user)

    def _look_at(self, number: str) -> None:
        services = self._call.services
        if extension_of(services.config.nominated, number) is not None and number not in self._nominated:
            self._nominated |= {number}
            services.alarm("nominated_passed")

    def replaced(self, side: Side, after: After) -> None:
        """Go on; whoever was there may have left an offer open."""
        self.target.offering = None

    # --- commands of the table

    def do(self, command: Command) -> None:
        """Ring and answer A with B's words."""
        call = self._call
        if call.legs.a is None:
            return
        headers = call.headers_for(Side.A, self._headers)
        if isinstance(command, Ring):
            call.services.endpoint.ring(call.legs.a, status=self._status, body=self._body, headers=headers)
        elif isinstance(command, AnswerA):
            call.services.endpoint.answer(call.legs.a, self._body, headers=headers)
