"""The media of a passthrough call: session descriptions are passed on, and the audio does not pass the recorder (P1).

There are no media ports, no notice and no recording. Offers and answers between three parties follow RFC 3725
section 4.1. Call thread only.
"""

from collections.abc import Iterable

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
    """Passes descriptions between a transfer target and the party who stays.

    Attributes:
        offering: The side whose offer the other side has not answered yet, or None.
    """

    def __init__(self, call: TransferableCall, transfers: Transfers) -> None:
        super().__init__(call)
        self._transfers = transfers
        self.offering: Side | None = None
        self.is_joining = False
        """The party who stays was sent the transfer target's offer, and has not answered yet."""
        self._invited: CallOffered | None = None
        """The INVITE of a transfer target, while it is not answered."""

    def offer(self, host: str | None, srtp: Srtp, session: LocalStream | None = None) -> Body | None:
        """Return None: the transfer target makes the offer."""
        return None

    def answered(self, body: Body | None) -> None:
        """Pass the transfer target's offer to the party who stays."""
        call = self._call
        stays = call.legs.of(Side.A if call.progress.transferor is Side.B else Side.B)
        if body is None or stays is None or self.offering is not None or self.is_joining:
            self._transfers.failed(488)
            return
        self.is_joining = True
        call.services.endpoint.offer(stays, body)

    def called(self, event: CallOffered) -> None:
        """Pass the offer of a transfer target who calls to the party who stays."""
        self._invited = event
        self.answered(event.body)

    def joined(self, answer: Body | None) -> None:
        """Pass the answer of the party who stays to the transfer target."""
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
        """End the transfer: the party who stays refused the transfer target's offer."""
        self.is_joining = False
        self._transfers.failed(status)

    def drop(self) -> None:
        """Forget the transfer target; there are no ports to release."""
        self.is_joining, self._invited = False, None


class PassthroughMedia(MediaPath):
    """Passes on the bodies of one call."""

    target: PassthroughTarget

    def __init__(self, call: TransferableCall, transfers: Transfers) -> None:
        super().__init__(call)
        self.target = PassthroughTarget(call, transfers)
        self._body: Body | None = None
        self._early: Body | None = None
        self._status = 180
        self._headers: tuple[Header, ...] = ()
        self._nominated: frozenset[str] = frozenset()
        """Nominated extensions for which the alarm was raised."""

    # --- messages to and from B

    @property
    def is_reliable(self) -> bool:
        """Tell whether B may send reliable provisional responses; an offer of B in one needs an A with 100rel."""
        offered = self._call.offered
        return offered.body is not None or "100rel" in (*offered.supported, *offered.required)

    def offer_to_b(self) -> Body | None:
        """Return A's offer unchanged."""
        self._early = None
        return self._call.offered.body

    def rang(self, event: LegRang) -> None:
        """Pass on the provisional response, with its session description."""
        self._body, self._status, self._headers = event.body, event.status, event.headers
        self._early = event.body or self._early
        self._call.apply(Rang(has_media=event.body is not None))

    def answered(self, event: LegAnswered) -> None:
        """Pass on the answer."""
        self._alarm_if_nominated(event.asserted_users)
        self._headers = event.headers
        self._body = event.body or self._early  # a 200 without SDP confirms the SDP of the 183
        self._call.apply(Answered())

    # --- re-offers

    def reoffered(self, side: Side, event: OfferReceived) -> None:
        """Pass on an offer; `offer_answered` passes back its answer.

        Two offers that cross would wait for each other for ever. The second is refused with 491, as RFC 3261 section
        14.2 requires on a single leg.
        """
        call, endpoint = self._call, self._call.services.endpoint
        own, other = call.legs.of(side), call.legs.of(side.other)
        if own is None or other is None:
            return
        if self.target.offering is side.other or self.target.is_joining:
            endpoint.refuse_offer(own, 491)
            return
        if call.progress.state is not CallState.THROUGH_JOINED:
            # The other side cannot be sent an offer yet (RFC 3311 section 5.2).
            endpoint.refuse_offer(own, 504)
            return
        self.target.offering = side
        endpoint.offer(other, event.body)

    def offer_answered(self, side: Side, event: OfferAnswered) -> None:
        """Pass back an answer."""
        if self.target.is_joining:
            self.target.joined(event.body)
            return
        self._end_offer(side)
        other = self._call.legs.of(side.other)
        if other is not None:
            self._call.services.endpoint.answer_offer(other, event.body)

    def offer_refused(self, side: Side, event: OfferRefused) -> None:
        """Pass back a refusal."""
        if self.target.is_joining:
            self.target.refused(event.status)
            return
        self._end_offer(side)
        other = self._call.legs.of(side.other)
        if other is not None:
            self._call.services.endpoint.refuse_offer(other, event.status)

    def _end_offer(self, answered_by: Side) -> None:
        if self.target.offering is answered_by.other:
            self.target.offering = None

    def info(self, side: Side, event: InfoReceived) -> None:
        """Pass on an INFO."""
        other = self._call.legs.of(side.other)
        if other is not None:
            self._call.services.endpoint.send_info(other, event.body)

    # --- parties

    def renamed(self, side: Side, event: IdentityChanged) -> None:
        """Raise the alarm if a nominated extension is on the call now, since it is not recorded."""
        self._alarm_if_nominated((event.user, *event.users))

    def _alarm_if_nominated(self, names: Iterable[str]) -> None:
        services = self._call.services
        nominated = {name for name in names if extension_of(services.config.nominated, name) is not None}
        if not nominated <= self._nominated:
            self._nominated |= nominated
            services.alarm("nominated_passed")

    def replaced(self, side: Side, after: After) -> None:
        """Forget an unanswered offer of the party who was replaced."""
        self.target.offering = None

    # --- commands of the table

    def do(self, command: Command) -> None:
        """Pass B's ringing or answer to A."""
        call = self._call
        if call.legs.a is None:
            return
        headers = call.headers_for(Side.A, self._headers)
        if isinstance(command, Ring):
            call.services.endpoint.ring(call.legs.a, status=self._status, body=self._body, headers=headers)
        elif isinstance(command, AnswerA):
            call.services.endpoint.answer(call.legs.a, self._body, headers=headers)
