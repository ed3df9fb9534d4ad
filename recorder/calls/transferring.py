"""Somebody takes the place of a side: asked for by REFER, by an INVITE with Replaces, or seen as another name.

The transfer target is called, is lent by another call of ours, or calls us. Everything stays as it is until they can be
joined. What follows from who they are is `recorder.calls.rules.transfer`'s. Call thread only.
"""

import logging
from dataclasses import dataclass, field

from audio.types import PortsExhaustedError
from recorder.calls.call_interfaces import TransferableCall
from recorder.calls.component import Component
from recorder.calls.dial_plan import DialPlan, RouteChoice
from recorder.calls.dialling import Dialling
from recorder.calls.registry import CallRegistry
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
"""How long a transfer target may ring where no service says less: the transferor's subscription lasts no longer."""


@dataclass(slots=True, kw_only=True)
class Transfer:
    """One attempt.

    Attributes:
        side: Whose place is taken.
        party: The transfer target, who takes it.
        referrer: The leg that is told by NOTIFY how it goes, or None.
        choice: How the transfer target is called, or None for one who is there already.
        others: Ways that are left, for a number that this one's target does not know.
        number: What is dialled.
        replaces: The foreign dialog that our INVITE takes the place of, or None.
        target: Which of the way's targets is being tried.
        early: Whom the far side named while it rang, or None.
        lender: The call that the transfer target's leg comes from, and its side there.
        has_leg: The transfer target comes on a leg of their own; False is another name on the one that is there.
        is_offered: The transfer target's leg is an INVITE to us, not answered yet.
        inward: The recorded call that this one, which is passed through, becomes; it calls the transfer target itself.
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
    lender: tuple[TransferableCall, Side] | None = None
    has_leg: bool = True
    is_offered: bool = False
    inward: TransferableCall | None = None


class Transfers(Component[TransferableCall]):
    """The transfers of one call, one after another.

    Args:
        call: The call.
        dialling: Its dialling.
        registry: Gets the transfer target's leg.
        plan: Where numbers lead.
    """

    def __init__(self, call: TransferableCall, dialling: Dialling, registry: CallRegistry, plan: DialPlan) -> None:
        super().__init__(call)
        self._dialling = dialling
        self._registry = registry
        self._plan = plan
        self._now: Transfer | None = None

    def take_from(self, side: Side, lender: TransferableCall, theirs: Side, *, referrer: LegId) -> None:
        """Have a party of another call take the place of a side."""
        leg = lender.legs.of(theirs)
        assert leg is not None
        self.begin(Transfer(side=side, party=lender.parties[theirs], referrer=referrer, lender=(lender, theirs)))
        try:
            theirs_media = lender.media.target
            body = self._call.media.target.offer(
                None, theirs_media.srtp_of(theirs), session=theirs_media.session_of(theirs)
            )
        except PortsExhaustedError:
            self.failed(503)
            return
        lender.legs.end(theirs)
        self.adopt(leg)
        self._call.services.endpoint.offer(leg, body)

    def become(self, side: Side, target: Party, inward: TransferableCall, referrer: LegId | None) -> None:
        """Have a recorded call take over the one who stays, as soon as it can: it says so by `hand_over`."""
        self.begin(Transfer(side=side, party=target, referrer=referrer, inward=inward))
        if referrer is not None:
            self._call.services.endpoint.accept_refer(referrer)

    def hand_over(self) -> LegId | None:
        """Give the leg of the one who stays to the call that was waiting for it, and end; the other leg is hung up."""
        now, self._now = self._now, None
        assert now is not None
        leg = self._call.legs.of(now.side.other)
        self._call.legs.end(now.side.other)
        self._notify(now, 200)
        self._call.stop("transferred")
        return leg

    def begin(self, transfer: Transfer) -> None:
        """Begin a transfer; everything stays as it is until the transfer target can be joined."""
        self._now = transfer
        self._call.apply(TransferBegan(transfer.side))

    def adopt(self, leg: LegId) -> None:
        """Have a leg be that of the transfer target."""
        self._call.legs.target = leg
        self._registry.adopt(leg, self._call)

    # --- calling

    def dial(self) -> None:
        """Dial the transfer target."""
        now, call = self._now, self._call
        assert now is not None
        assert now.choice is not None
        target = now.choice.targets[now.target]
        try:
            body = call.media.target.offer(target.host, now.choice.route.srtp)
        except PortsExhaustedError as error:
            _log.error("a transfer failed: %s", error)
            call.services.alarm("ports_exhausted")
            self.failed(503)
            return
        stays, offered = call.parties[now.side.other], call.offered
        headers = offered.headers if now.side is Side.B else ()  # they are the calling party's
        outgoing = OutgoingCall(
            target=target,
            request_user=self._dialling.number_on(now.choice.route, now.number),
            from_user=stays.number,
            headers=(*headers, *((("Replaces", now.replaces),) if now.replaces is not None else ())),
            max_forwards=offered.max_forwards - 1,
            loop_mark=now.choice.loop_mark,
            loop_marks=offered.loop_marks,
            body=body,
            no_reply_s=call.services.config.sip.no_reply_s,
            ring_s=call.media.ring_s or LONGEST_S,
            is_reliable=call.media.is_reliable and body is not None,  # its offer in an 18x would be answered by nobody
        )
        self.adopt(call.services.endpoint.dial(outgoing))

    def receive(self, event: SipEvent) -> None:
        """Take what happened on the transfer target's leg."""
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
            case IdentityChanged() if self._now is not None and self._plan.is_inside(event.source):
                self._now.early = event.user
            case OfferReceived():
                self._call.services.endpoint.refuse_offer(event.leg, 491)
            case _:
                _log.debug("event %s of a transfer target has no place", type(event).__name__)

    def _answered(self, event: LegAnswered) -> None:
        now = self._now
        assert now is not None
        assert now.choice is not None
        is_believed = self._plan.is_inside(now.choice.targets[now.target])
        answering = event.asserted_user if is_believed else None
        number = who_answered(now.number, early=now.early, answering=answering, is_known=self._plan.is_known)
        self._call.note_numbers(now.number, event.asserted_user or "", now.early or "")
        if number != now.number:
            now.party = answering_for(now.party, self._plan.party_at(number))  # not who was called counts
            if now.party.extension is not None and not self._call.progress.is_nominated:
                self._call.services.alarm("nominated_passed")
        self._call.media.target.answered(event.body)

    def _refused(self, event: LegRefused) -> None:
        now = self._now
        assert now is not None
        self._dialling.note_refusal(event)
        self._call.media.target.drop()
        if now.choice is not None and event.status in FAILOVER and now.target + 1 < len(now.choice.targets):
            now.target, now.early = now.target + 1, None
            self.dial()
        elif event.status in UNKNOWN_THERE and now.others:
            now.choice, now.target, now.early = now.others.pop(0), 0, None
            self.dial()
        else:
            self.failed(event.status, event.phrase)

    def _left(self, *, is_lost: bool) -> None:
        """Handle the transfer target's hang-up; a call that lent them has lost its party too."""
        now, self._call.legs.target = self._now, None
        self.failed(487)
        if now is not None and now.lender is not None:
            lender, side = now.lender
            lender.apply(Left(side, is_lost=is_lost))

    # --- how they end

    def ready(self) -> None:
        """The transfer target can be joined."""
        now = self._now
        assert now is not None
        stays, comes = self._call.parties[now.side.other].status, now.party.status
        officer = officer_after(stays, comes, target=now.side, officer=self._call.progress.officer)
        self.notify(200)
        self._call.apply(TransferTargetAnswered(TABLE[stays, comes], officer))
        self._now = None
        if now.lender is not None:
            lender, _ = now.lender
            _relate(self._call, lender)
            lender.stop("transferred")

    def failed(self, status: int, phrase: str = "") -> None:
        """The transfer target cannot be joined: everything stays as it was, and whoever asked is told."""
        now = self._let_go(status)
        if now is None:
            return
        self._notify(now, status, phrase)
        self._call.apply(TransferTargetRefused(status))

    def drop(self) -> None:
        """There is nobody any more to join the transfer target with."""
        now = self._let_go(487)
        if now is None:
            return
        self._notify(now, 487)
        if now.inward is not None:
            now.inward.stop("caller_gave_up_while_ringing")

    def take(self) -> tuple[Party, LegId | None]:
        """Return who comes, and on which leg, or None where it is the one that is there."""
        now = self._now
        assert now is not None
        leg, self._call.legs.target = self._call.legs.target, None
        if now.has_leg:
            was_called = now.lender[1] in now.lender[0].parties.called if now.lender else now.choice is not None
            called = self._call.parties.called
            (called.add if was_called else called.discard)(now.side)
        return now.party, leg if now.has_leg else None

    def _let_go(self, status: int) -> Transfer | None:
        now, self._now = self._now, None
        leg, self._call.legs.target = self._call.legs.target, None
        self._call.media.target.drop()
        if now is None or leg is None:
            return now
        if now.lender is not None:
            self._return_leg(leg, *now.lender)
        elif now.is_offered:
            self._call.services.endpoint.refuse(leg, status, "")
        else:
            self._call.services.endpoint.hang_up(leg)
        return now

    def _return_leg(self, leg: LegId, lender: TransferableCall, side: Side) -> None:
        if lender.progress.state is CallState.ENDED:
            self._call.services.endpoint.hang_up(leg)
            return
        lender.legs.put(side, leg)
        self._registry.adopt(leg, lender)

    def notify(self, status: int) -> None:
        """Tell whoever asked for the transfer how it stands."""
        if self._now is not None:
            self._notify(self._now, status)

    def _notify(self, transfer: Transfer, status: int, phrase: str = "") -> None:
        if transfer.referrer is not None:
            self._call.services.endpoint.notify(transfer.referrer, status, phrase)


def _relate(call: TransferableCall, lender: TransferableCall) -> None:
    """Note in the recordings of two calls, if both have one, that they belong together."""
    if call.recorded is not None and lender.recorded is not None:
        call.recorded.recording.relates_to(lender.recorded.id)
        lender.recorded.recording.relates_to(call.recorded.id)
