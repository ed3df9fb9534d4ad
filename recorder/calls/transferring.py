"""Carries out the transfers of a call: replaces the party on a side by a transfer target.

The recorder dials the target, takes it from another call, or receives its INVITE. The call stays as it is until the
target can be joined. `recorder.calls.rules.transfer` says what follows for the recording. Call thread only.
"""

import logging
from dataclasses import dataclass, field

from audio.types import PortsExhaustedError
from recorder.calls.call_interfaces import TransferableCall
from recorder.calls.component import Component
from recorder.calls.dial_plan import DialPlan, RouteChoice
from recorder.calls.dialling import Dialling
from recorder.calls.registry import CallRegistry, log_name
from recorder.calls.rules.call_events import (
    CallState,
    Left,
    Side,
    TransferBegan,
    TransferTargetAnswered,
    TransferTargetRefused,
)
from recorder.calls.rules.transfer import (
    TABLE,
    Party,
    answering_for,
    officer_after,
    who_answered,
)
from recorder.rules.routing import FAILOVER, UNKNOWN_THERE
from sip.commands import OutgoingCall
from sip.events import (
    IdentityChanged,
    LegAnswered,
    LegEnded,
    LegId,
    LegRang,
    LegRefused,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
    SipEvent,
)

_log = logging.getLogger(__name__)

LONGEST_S = 170.0
"""How long a transfer target may ring if no service sets a limit: the transferor's subscription lasts no longer."""


@dataclass(slots=True, kw_only=True)
class Transfer:
    """One transfer in progress.

    Attributes:
        side: The side whose party is replaced.
        party: The transfer target.
        referrer: The leg whose REFER asked for it, which gets the NOTIFYs; or None.
        choice: The route by which the target is dialled; None if it is not dialled.
        others: Further routes, for a number that is unknown at the targets of this one.
        number: The number that is dialled.
        replaces: The Replaces header of the recorder's INVITE, which names a dialog elsewhere; or None.
        target: Index of the route's target that is being dialled.
        early: The name that the far side gave while it rang, or None.
        taken_from: The other call, and its side, from which the target's leg was taken; or None.
        has_leg: Whether the target has a leg of its own; False is a new identity on the existing leg.
        is_offered: Whether the target's leg is an INVITE to the recorder that is not answered yet.
        moved_to: The recorded call to which this passthrough call moves; that call dials the target.
    """

    side: Side
    party: Party
    referrer: LegId | None = None
    choice: RouteChoice | None = None
    others: list[RouteChoice] = field(default_factory=list)
    number: str = ""
    replaces: str | None = None
    target: int = 0
    early: str | None = None
    taken_from: tuple[TransferableCall, Side] | None = None
    has_leg: bool = True
    is_offered: bool = False
    moved_to: TransferableCall | None = None


class Transfers(Component[TransferableCall]):
    """The transfers of one call, one after another."""

    def __init__(self, call: TransferableCall, dialling: Dialling, registry: CallRegistry, plan: DialPlan) -> None:
        super().__init__(call)
        self._dialling = dialling
        self._registry = registry
        self._plan = plan
        self._transfer: Transfer | None = None

    def take_from(self, side: Side, other: TransferableCall, other_side: Side, *, referrer: LegId) -> None:
        """Replace the party on a side by a party of another call (attended transfer)."""
        leg = other.legs.of(other_side)
        assert leg is not None
        party = other.parties[other_side]
        self.begin(Transfer(side=side, party=party, referrer=referrer, taken_from=(other, other_side)))
        try:
            media = other.media.target
            body = self._call.media.target.offer(None, media.srtp_of(other_side), session=media.session_of(other_side))
        except PortsExhaustedError:
            self.failed(503)
            return
        other.legs.end(other_side)
        self.adopt(leg)
        self._call.services.endpoint.offer(leg, body)

    def move_to(self, side: Side, target: Party, recorded_call: TransferableCall, referrer: LegId | None) -> None:
        """Begin to move the party who stays to a recorded call, which calls `hand_over` when it is ready."""
        self.begin(Transfer(side=side, party=target, referrer=referrer, moved_to=recorded_call))
        if referrer is not None:
            self._call.services.endpoint.accept_refer(referrer)

    def hand_over(self) -> LegId | None:
        """Return the leg of the party who stays, and end this call; its other leg is hung up."""
        transfer, self._transfer = self._transfer, None
        assert transfer is not None
        leg = self._call.legs.of(transfer.side.other)
        self._call.legs.end(transfer.side.other)
        self._notify(transfer, 200)
        self._call.stop("transferred")
        return leg

    def begin(self, transfer: Transfer) -> None:
        """Begin a transfer; the call stays as it is until `ready`."""
        self._transfer = transfer
        self._call.apply(TransferBegan(transfer.side))

    def adopt(self, leg: LegId) -> None:
        """Make a leg the transfer target's."""
        self._call.legs.target = leg
        self._registry.adopt(leg, self._call)

    # --- dialling

    def dial(self) -> None:
        """Dial the transfer target."""
        transfer, call = self._transfer, self._call
        assert transfer is not None
        assert transfer.choice is not None
        target = transfer.choice.targets[transfer.target]
        try:
            body = call.media.target.offer(target.host, transfer.choice.route.srtp)
        except PortsExhaustedError as error:
            _log.error("%s: transfer failed: %s", log_name(call), error)
            call.services.alarm("ports_exhausted")
            self.failed(503)
            return
        stays, offered = call.parties[transfer.side.other], call.offered
        headers = offered.headers if transfer.side is Side.B else ()  # they are the calling party's
        outgoing = OutgoingCall(
            target=target,
            request_user=self._dialling.number_on(transfer.choice.route, transfer.number),
            from_user=stays.number,
            headers=(*headers, *((("Replaces", transfer.replaces),) if transfer.replaces is not None else ())),
            max_forwards=offered.max_forwards - 1,
            loop_mark=transfer.choice.loop_mark,
            loop_marks=offered.loop_marks,
            body=body,
            no_reply_s=call.services.config.sip.no_reply_s,
            ring_s=call.media.ring_s or LONGEST_S,
            is_reliable=call.media.is_reliable and body is not None,  # an offer in an 18x would not be answered
        )
        self.adopt(call.services.endpoint.dial(outgoing))

    def receive(self, event: SipEvent) -> None:
        """Handle an event of the transfer target's leg."""
        match event:
            case LegRang():
                self.notify(event.status)
            case LegAnswered():
                self._answered(event)
            case LegRefused():
                self._call.legs.target = None
                self._refused(event)
            case LegEnded():
                self._left(is_lost=event.cause == "timeout")
            case OfferAnswered():
                self._call.media.target.answered(event.body)
            case OfferRefused():
                self.failed(event.status)
            case IdentityChanged() if self._transfer is not None and self._plan.is_inside(event.source):
                self._transfer.early = self._plan.named_by(event)
            case OfferReceived():
                self._call.services.endpoint.refuse_offer(event.leg, 491)
            case _:
                _log.debug("event %s of a transfer target has no place", type(event).__name__)

    def _answered(self, event: LegAnswered) -> None:
        transfer = self._transfer
        assert transfer is not None
        assert transfer.choice is not None
        is_trusted = self._plan.is_inside(transfer.choice.targets[transfer.target])
        answering = self._plan.answering(event) if is_trusted else None
        number = who_answered(transfer.number, early=transfer.early, answering=answering, is_known=self._plan.is_known)
        self._call.note_numbers(transfer.number, *event.asserted_users, transfer.early or "")
        if number != transfer.number:
            transfer.party = answering_for(transfer.party, self._plan.party_at(number))
            if transfer.party.extension is not None and not self._call.progress.is_nominated:
                self._call.services.alarm("nominated_passed")
        self._call.media.target.answered(event.body)

    def _refused(self, event: LegRefused) -> None:
        transfer = self._transfer
        assert transfer is not None
        self._dialling.note_refusal(event)
        self._call.media.target.drop()
        choice = transfer.choice
        if choice is not None and event.status in FAILOVER and transfer.target + 1 < len(choice.targets):
            transfer.target, transfer.early = transfer.target + 1, None
            self.dial()
        elif event.status in UNKNOWN_THERE and transfer.others:
            transfer.choice, transfer.target, transfer.early = transfer.others.pop(0), 0, None
            self.dial()
        else:
            self.failed(event.status, event.phrase)

    def _left(self, *, is_lost: bool) -> None:
        """Handle the transfer target's hang-up; a call that it was taken from has lost that party."""
        transfer, self._call.legs.target = self._transfer, None
        self.failed(487)
        if transfer is not None and transfer.taken_from is not None:
            other, side = transfer.taken_from
            other.apply(Left(side, is_lost=is_lost))

    # --- the end of a transfer

    def ready(self) -> None:
        """Replace the party by the transfer target, which can be joined now."""
        transfer = self._transfer
        assert transfer is not None
        stays, comes = self._call.parties[transfer.side.other].status, transfer.party.status
        officer = officer_after(stays, comes, target=transfer.side, officer=self._call.progress.officer)
        self.notify(200)
        self._call.apply(TransferTargetAnswered(TABLE[stays, comes], officer))
        self._transfer = None
        if transfer.taken_from is not None:
            other, _ = transfer.taken_from
            _relate(self._call, other)
            other.stop("transferred")

    def failed(self, status: int, phrase: str = "") -> None:
        """End a transfer whose target cannot be joined: notify the referrer; the call goes on as before."""
        transfer = self._release(status)
        if transfer is None:
            return
        self._notify(transfer, status, phrase)
        self._call.apply(TransferTargetRefused(status))

    def drop(self) -> None:
        """End the transfer because the party who stays has left."""
        transfer = self._release(487)
        if transfer is None:
            return
        self._notify(transfer, 487)
        if transfer.moved_to is not None:
            transfer.moved_to.stop("caller_gave_up_while_ringing")

    def take(self) -> tuple[Party, LegId | None]:
        """Return the transfer target and its leg; the leg is None for a new identity on the existing leg."""
        transfer = self._transfer
        assert transfer is not None
        leg, self._call.legs.target = self._call.legs.target, None
        if transfer.has_leg:
            if transfer.taken_from is not None:
                other, other_side = transfer.taken_from
                was_called = other_side in other.parties.called
            else:
                was_called = transfer.choice is not None
            called = self._call.parties.called
            (called.add if was_called else called.discard)(transfer.side)
        return transfer.party, leg if transfer.has_leg else None

    def _release(self, status: int) -> Transfer | None:
        transfer, self._transfer = self._transfer, None
        leg, self._call.legs.target = self._call.legs.target, None
        self._call.media.target.drop()
        if transfer is None or leg is None:
            return transfer
        if transfer.taken_from is not None:
            self._return_leg(leg, *transfer.taken_from)
        elif transfer.is_offered:
            self._call.services.endpoint.refuse(leg, status, "")
        else:
            self._call.services.endpoint.hang_up(leg)
        return transfer

    def _return_leg(self, leg: LegId, other: TransferableCall, side: Side) -> None:
        if other.progress.state is CallState.ENDED:
            self._call.services.endpoint.hang_up(leg)
            return
        other.legs.put(side, leg)
        self._registry.adopt(leg, other)

    def notify(self, status: int) -> None:
        """Send the referrer a NOTIFY with the status of the transfer, if there is a referrer."""
        if self._transfer is not None:
            self._notify(self._transfer, status)

    def _notify(self, transfer: Transfer, status: int, phrase: str = "") -> None:
        if transfer.referrer is not None:
            self._call.services.endpoint.notify(transfer.referrer, status, phrase)


def _relate(call: TransferableCall, other: TransferableCall) -> None:
    if call.recorded is not None and other.recorded is not None:
        call.recorded.recording.relates_to(other.recorded.id)
        other.recorded.recording.relates_to(call.recorded.id)
