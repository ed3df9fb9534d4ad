"""One call through the recorder, composed of legs, progress, parties, dialling, transfers, media and recording.

The call hands each event of a leg to the component that it concerns. The table of `recorder.calls.rules.call_table`
decides what follows, and the call carries out its commands. Call thread only.
"""

import logging
from dataclasses import replace

from recorder.calls.call_clock import CallClock
from recorder.calls.call_interfaces import MediaPath, TransferableCall
from recorder.calls.call_parties import CallParties
from recorder.calls.call_services import CallServices
from recorder.calls.dial_plan import DialPlan
from recorder.calls.dialling import Dialling
from recorder.calls.legs import Legs
from recorder.calls.recorded_call import RecordedCall
from recorder.calls.refusals import refusal_headers
from recorder.calls.registry import CallRegistry, log_name
from recorder.calls.rules.call_events import (
    CallState,
    Command,
    Dial,
    DropTransferTarget,
    Event,
    Finish,
    HangUp,
    Left,
    Redirected,
    RefuseA,
    Refused,
    Replace,
    Side,
    Stopped,
)
from recorder.calls.rules.call_progress import CallProgress
from recorder.calls.rules.call_table import handle
from recorder.calls.rules.transfer import Party
from recorder.calls.transfer_requests import TransferRequests
from recorder.calls.transferring import Transfers
from recorder.rules.availability import UnavailableReason
from sip.events import (
    AnswerAcknowledged,
    CallOffered,
    Header,
    IdentityChanged,
    InfoReceived,
    LegAnswered,
    LegEnded,
    LegId,
    LegRang,
    LegRefused,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
    ReferReceived,
    SipEvent,
)
from sip.header_policy import without_private

_log = logging.getLogger(__name__)


class Call(TransferableCall):
    """One call from its offer to its end.

    `recorder.calls.call_maker` sets its other components.

    Args:
        people: The party on each side.

    Attributes:
        recorded: The recorded part; None if nothing is recorded.
    """

    media: MediaPath
    dialling: Dialling
    transfers: Transfers
    transfer_requests: TransferRequests
    recorded: RecordedCall | None = None

    def __init__(
        self,
        services: CallServices,
        offered: CallOffered,
        progress: CallProgress,
        *,
        people: dict[Side, Party],
        registry: CallRegistry,
        plan: DialPlan,
    ) -> None:
        self.clock = CallClock()
        self.services = services
        self.offered = offered
        self.progress = progress
        self.legs = Legs(a=offered.leg)
        self.parties = CallParties(people, progress)
        self._registry = registry
        self._plan = plan
        self._parting_reason: str | None = None
        self._refusal: LegRefused | None = None

    # --- events

    def apply(self, event: Event) -> None:
        """Apply an event to the table, and carry out the commands that it returns."""
        for command in handle(self.progress, event):
            self._do(command)

    def receive(self, event: SipEvent, leg: LegId) -> None:
        """Handle an event of one of the call's legs."""
        if leg == self.legs.target:
            self.transfers.receive(event)
            return
        side = self.legs.side_of(leg)
        if side is None:
            return
        match event:
            case LegRang():
                self.media.rang(event)
            case LegAnswered():
                self.media.answered(event)
            case LegRefused():
                self._refusal = event
                self.dialling.note_refusal(event)
                self.legs.end(side)
                if side is Side.B:
                    self.media.b_ended()
                self.apply(Redirected() if self.dialling.follow(event) else Refused(event.status))
            case LegEnded():
                self._parting_reason = event.reason
                self.legs.end(side)
                self.apply(Left(side, is_lost=event.cause == "timeout"))
            case _:
                self._receive_within(side, event)

    def _receive_within(self, side: Side, event: SipEvent) -> None:
        match event:
            case AnswerAcknowledged():
                self.media.acknowledged(side)
            case OfferReceived():
                self.media.reoffered(side, event)
            case OfferAnswered():
                self.media.offer_answered(side, event)
            case OfferRefused():
                self.media.offer_refused(side, event)
            case InfoReceived():
                self.media.info(side, event)
            case ReferReceived():
                self.transfer_requests.referred(side, event)
            case IdentityChanged() if event.is_by_info and not self._plan.is_inside(event.source):
                _log.info("%s: an INFO from a peer outside names a party; it is ignored", log_name(self))
            case IdentityChanged():
                self.note_numbers(event.user, *event.users, is_claim=not self._plan.is_inside(event.source))
                self.identify(side.other, event.headers)
                self.media.renamed(side, replace(event, user=self._plan.named_by(event)))
            case _:
                _log.debug("event %s has no place in a call", type(event).__name__)

    # --- parties

    def put_party(self, side: Side, party: Party) -> None:
        """Put a party on a side, and note it in the recording."""
        if self.recorded is not None:
            self.recorded.recording.note_party(self.parties[side].number, party.number)
        self.parties[side] = party

    def note_numbers(self, *numbers: str, is_claim: bool = False) -> None:
        """Note numbers of a party in the recording, if there is one."""
        if self.recorded is not None:
            self.recorded.recording.note_numbers(numbers, is_claim=is_claim)

    def take_from(self, side: Side, other: TransferableCall, other_side: Side, *, referrer: LegId) -> None:
        """Replace the party on a side by a party of another call (attended transfer)."""
        self.transfers.take_from(side, other, other_side, referrer=referrer)

    @property
    def is_talking(self) -> bool:
        """Tell whether the sides are joined, no transfer is under way, and no leg was given to another call."""
        is_joined = self.progress.state in (CallState.JOINED, CallState.THROUGH_JOINED)
        return is_joined and None not in (self.legs.a, self.legs.b)

    def identify(self, side: Side, headers: tuple[Header, ...]) -> None:
        """Send a side the identity headers of the party on the other side."""
        leg, allowed = self.legs.of(side), self.headers_for(side, headers)
        if leg is not None and allowed and self.progress.was_joined:
            self.services.endpoint.identify(leg, allowed)

    def headers_for(self, side: Side, headers: tuple[Header, ...]) -> tuple[Header, ...]:
        """Return the headers that a side may receive: identities marked private are not sent outside."""
        peer = self.offered.source if side is Side.A else self.dialling.far
        return headers if peer is not None and self._plan.is_inside(peer) else without_private(headers)

    # --- commands

    def _do(self, command: Command) -> None:
        match command:
            case Dial():
                self.dialling.dial(command.index)
            case HangUp():
                self.hang_up(command.side, command.reason)
            case RefuseA():
                self.media.refuse_a(command.status, self._refusal)
            case Replace():
                self._replace(command)
            case DropTransferTarget():
                self.transfers.drop()
            case Finish():
                self.finish(command.end)
                self._registry.ended(self)
            case _:
                self.media.do(command)

    def _replace(self, command: Replace) -> None:
        party, leg = self.transfers.take()
        if leg is not None:
            replaced = self.legs.of(command.side)
            self.legs.put(command.side, leg)
            if replaced is not None:
                self.services.endpoint.hang_up(replaced)
        self.put_party(command.side, party)
        if leg is not None:
            self.media.replaced(command.side, command.after)

    def hang_up(self, side: Side, reason: str | None = None) -> None:
        """End a side's leg; pass on the Reason with which the other side ended the call (RFC 3326)."""
        leg = self.legs.of(side)
        if leg is not None:
            self.legs.end(side)
            self.services.endpoint.hang_up(leg, reason=reason or self._parting_reason)

    # --- the end

    def stop(self, reason: str) -> None:
        """End the call for a reason of the recorder's own."""
        if self.progress.state is not CallState.ENDED:
            self.apply(Stopped(reason))

    def refuse_offer(self, status: int, end: str) -> None:
        """Refuse the INVITE before the call began; ``end`` is the reason for the row."""
        self.media.refuse_a(status, None, refusal_headers(UnavailableReason.FULL) if status == 503 else ())
        self.progress.state, self.progress.end = CallState.ENDED, end

    def finish(self, end: str) -> None:
        """Release the media, and close the recording if there is one. Either logs that the call has ended."""
        self.media.finish(end)
        if self.recorded is None:
            _log.info("%s: ended (%s)", log_name(self), end)
