"""A passthrough call that is transferred to a nominated extension, and becomes a recorded call (ADR 16).

The officer is rung first. Until they answer, the passthrough call stays as it was. Then a re-INVITE brings the media of
the party who stays to the recorder, and they hear the notice while the officer is held. Call thread only.
"""

import logging
from dataclasses import replace

from audio.types import PortsExhaustedError
from recorder.calls.bridged_media import BridgedMedia
from recorder.calls.call import Call
from recorder.calls.call_interfaces import TransferableCall
from recorder.calls.dial_plan import DialPlan, RouteChoice
from recorder.calls.dialling import Dialling
from recorder.calls.group_acts import GroupActs
from recorder.calls.media_errors import MediaError
from recorder.calls.recorded_call import RecordedCall
from recorder.calls.registry import CallRegistry
from recorder.calls.rules.call_events import Answered, CallState, Refused, Side
from recorder.calls.transfer_requests import TransferRequests
from recorder.calls.transferring import Transfers
from sip.events import CallOffered, Header, LegRang, LegRefused, OfferAnswered, OfferRefused

_log = logging.getLogger(__name__)


def offer_in_place(origin: Call, stays: Side, number: str) -> CallOffered:
    """Return the INVITE that the party who stays would have sent if they had called the extension.

    Args:
        origin: The passthrough call.
        stays: The side of the party who stays.
        number: The nominated extension.
    """
    leg = origin.legs.of(stays)
    assert leg is not None
    offered = replace(origin.offered, leg=leg, request_user=number, to_user=number, body=None, replaced_leg=None)
    if stays is Side.A:
        return offered
    return replace(
        offered, from_user=origin.parties[stays].number, from_display="", asserted_user=None, headers=(), origin=""
    )


class PickUp(Dialling):
    """Uses the INVITE of an officer who picks the call up, instead of dialling B.

    Args:
        picker: The officer's INVITE.
    """

    def __init__(
        self,
        call: TransferableCall,
        choice: RouteChoice,
        registry: CallRegistry,
        plan: DialPlan,
        *,
        picker: CallOffered,
        recorded: RecordedCall,
    ) -> None:
        super().__init__(call, choice, registry, plan)
        self._picker = picker
        self._recorded = recorded

    def dial(self, index: int) -> None:
        """Answer the officer's INVITE; refuse it with 488 if its offer cannot be bridged."""
        call, picker, recorded = self._call, self._picker, self._recorded
        party, call.legs.b = recorded.sides[Side.B], picker.leg
        self._registry.adopt(picker.leg, call)
        try:
            recorded.sides.take_offer_of(party, picker)
            answer = party.answer_invite(())
        except MediaError as error:
            _log.info("call %s: %s", recorded.id, error)
            call.services.endpoint.refuse(picker.leg, 488, "")
            call.legs.end(Side.B)
            call.apply(Refused(488))
            return
        call.services.endpoint.answer(picker.leg, answer)
        if party.is_settled:
            call.apply(Answered())


class TransferredInMedia(BridgedMedia):
    """The media of the recorded call: A is the party who stays, B the officer.

    Args:
        origin: The passthrough call.
    """

    def __init__(
        self,
        call: TransferableCall,
        recorded: RecordedCall,
        dialling: Dialling,
        transfers: Transfers,
        *,
        requests: TransferRequests,
        plan: DialPlan,
        groups: GroupActs,
        origin: Call,
        registry: CallRegistry,
    ) -> None:
        super().__init__(call, recorded, dialling, transfers, requests=requests, plan=plan, groups=groups)
        self._origin = origin
        self._registry = registry

    def open_first(self) -> None:
        """Open the media of the party who stays, and reserve ports for the officer.

        Raises:
            PortsExhaustedError: No ports are left.
        """
        self._sides[Side.A].signals_from = None
        self._sides[Side.B].leg.reserve()
        try:
            self._sides.open(self._sides[Side.A])
        except PortsExhaustedError:
            self._sides[Side.B].close()
            raise

    def rang(self, event: LegRang) -> None:
        """Notify the transferor of B's provisional response."""
        self._origin.transfers.notify(event.status)

    def offer_answered(self, side: Side, event: OfferAnswered) -> None:
        """Handle the answer to the recorder's offer; from an officer who picks up it answers the call."""
        was_settled = self._sides[side].is_settled
        super().offer_answered(side, event)
        call = self._call
        if side is Side.B and not was_settled and call.progress.state is CallState.RINGING_FIRST:
            call.apply(Answered())

    def offer_refused(self, side: Side, event: OfferRefused) -> None:
        """End the call if a party refuses to send its media to the recorder."""
        super().offer_refused(side, event)
        if not self._sides[side].is_settled:
            self._call.stop("no_media")

    def _answer_a(self) -> None:
        call, leg = self._call, self._origin.transfers.hand_over()
        assert leg is not None
        call.legs.a = leg
        self._registry.adopt(leg, call)
        call.services.endpoint.offer(leg, self._sides[Side.A].answer_invite(self._sides[Side.B].codecs))
        self.recorded.announcer.listen_for_keys()

    def refuse_a(self, status: int, refusal: LegRefused | None, headers: tuple[Header, ...] = ()) -> None:
        """End the transfer; the passthrough call goes on."""
        self._origin.transfers.failed(status)
