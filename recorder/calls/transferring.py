"""Somebody takes the place of a side: asked for by REFER, by an INVITE with Replaces, or seen as another name.

The transfer target is called, is lent by another call of ours, or calls us. Everything stays as it is until they can be
joined. What follows from who they are is `recorder.calls.rules.transfer`'s. Call thread only.
"""

import logging
from dataclasses import dataclass, field

from audio.types import PortsExhaustedError
from recorder.calls.component import Component
from recorder.calls.dial_plan import DialPlan, RouteChoice
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
    is_same_number,
    names_line,
    officer_after,
    who_answered,
    why_refused,
)
from recorder.calls.transferable import TransferableCall, TransferIntake
from recorder.rules.routing import FAILOVER, UNKNOWN_THERE
from sip.endpoint import OutgoingCall
from sip.events import (
    CallOffered,
    IdentityChanged,
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
from sip.options import Address

_log = logging.getLogger(__name__)

LONGEST_S = 170.0
"""How long a transfer target may ring where no service says less: the transferor's subscription lasts no longer."""


@dataclass(slots=True, kw_only=True)
class Transfer:
    """One attempt.

    Attributes:
        side: Whose place is taken.
        party: The transfer target, who takes it.
        teller: The leg that is told by NOTIFY how it goes, or None.
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
    teller: LegId | None = None
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
    """The transfers of one call, one after another."""

    def __init__(self, call: TransferableCall, board: CallRegistry, plan: DialPlan, intake: TransferIntake) -> None:
        super().__init__(call)
        self._board = board
        self._plan = plan
        self._intake = intake
        self._now: Transfer | None = None
        self._called = {Side.B}  # sides whose party was called, and did not call

    def was_called(self, side: Side) -> bool:
        """Tell whether the party on a side was called, by the caller or for a transfer."""
        return side in self._called

    # --- how they begin

    def referred(self, side: Side, event: ReferReceived) -> None:
        """Take a REFER of the party on a side."""
        status = self._why_refused(event.source)
        if status is None and event.replaced_leg is not None:
            status = self._refer_to_call(side, event, event.replaced_leg)
        elif status is None:
            status = self._refer_to_number(side, event)
        if status is not None:
            _log.info("a transfer is refused with %d", status)
            self._call.services.endpoint.refuse_refer(event.leg, status)

    def _why_refused(self, source: Address) -> int | None:
        status = why_refused(is_inside=self._plan.is_inside(source), state=self._call.progress.state)
        return 491 if status is None and not self._call.is_talking else status

    def _refer_to_number(self, side: Side, event: ReferReceived) -> int | None:
        choices = self._plan.routes_to_target(event.user, event.source)
        if not choices:
            return 404
        allowed = [choice for choice in choices if self._plan.may_transfer_to(event.user, choice.route)]
        if not allowed:
            return 603
        choice, *others = allowed
        target = self._plan.party_at(event.user)
        if target.extension is not None and not self._call.progress.is_nominated:
            return self._intake.transfer_in(self._call, side, event, choice)
        self._begin(
            Transfer(
                side=side,
                party=target,
                teller=event.leg,
                choice=choice,
                others=others,
                number=event.user,
                replaces=event.replaces,
            )
        )
        self._call.services.endpoint.accept_refer(event.leg)
        self._dial()
        return None

    def _refer_to_call(self, side: Side, event: ReferReceived, replaced: LegId) -> int | None:
        """Join this call with another of ours, the one that the transferor has asked on (attended transfer)."""
        mine, other = self._call, self._board.call_of(replaced)
        if not isinstance(other, TransferableCall) or other is mine or not other.is_talking:
            return 603
        there = other.legs.side_of(replaced)
        assert there is not None
        self._call.services.endpoint.accept_refer(event.leg)
        if other.progress.is_nominated and not mine.progress.is_nominated:  # the recording goes on where there is one
            other.borrow(there, mine, side.other, teller=event.leg)
        else:
            self.borrow(side, other, there.other, teller=event.leg)
        return None

    def borrow(self, side: Side, lender: TransferableCall, theirs: Side, *, teller: LegId) -> None:
        """Have a party of another call take the place of a side."""
        leg = lender.legs.of(theirs)
        assert leg is not None
        self._begin(Transfer(side=side, party=lender.party_at(theirs), teller=teller, lender=(lender, theirs)))
        try:
            body = self._call.media.offer(None, lender.media.srtp_of(theirs), session=lender.media.session_of(theirs))
        except PortsExhaustedError:
            self.failed(503)
            return
        lender.legs.end(theirs)
        self._adopt(leg)
        self._call.services.endpoint.offer(leg, body)

    def offered(self, side: Side, event: CallOffered) -> int | None:
        """Take an INVITE that asks to take the place of a side (RFC 3891); return the status that refuses it, if any.

        It is believed who calls, since only our side of the recorder may do this at all.
        """
        status = self._why_refused(event.source)
        if status is not None:
            return status
        target = self._plan.party_at(event.asserted_user or event.from_user)
        if target.extension is not None and not self._call.progress.is_nominated:
            return self._intake.pick_up(self._call, side, event)
        self._begin(Transfer(side=side, party=target, is_offered=True))
        self._adopt(event.leg)
        self._call.media.called(event)
        return None

    def renamed(self, side: Side, event: IdentityChanged) -> None:
        """Put another party on a side, where a peer that may name parties says that its leg changed hands."""
        known = self._call.party_at(side)
        if not self._plan.is_inside(event.source) or is_same_number(known.number, event.user):
            return
        if known.extension is not None and not names_line(event.user, self._plan.is_known):
            return  # a caller of another name is somebody else, who has to hear the notice
        target = self._plan.party_at(event.user)
        if self.was_called(side):
            target = answering_for(known, target)
        if self._call.progress.state is not CallState.JOINED:
            self._call.seat(side, target)  # it counts when the sides are joined
            return
        self._begin(Transfer(side=side, party=target, has_leg=False))
        self.ready()

    def become(self, side: Side, target: Party, inward: TransferableCall, teller: LegId | None) -> None:
        """Have a recorded call take over the one who stays, as soon as it can: it says so by `hand_over`."""
        self._begin(Transfer(side=side, party=target, teller=teller, inward=inward))
        if teller is not None:
            self._call.services.endpoint.accept_refer(teller)

    def hand_over(self) -> LegId | None:
        """Give the leg of the one who stays to the call that was waiting for it, and end; the other leg is hung up."""
        now, self._now = self._now, None
        assert now is not None
        leg = self._call.legs.of(now.side.other)
        self._call.legs.end(now.side.other)
        self._tell_of(now, 200)
        self._call.stop("transferred")
        return leg

    def _begin(self, transfer: Transfer) -> None:
        self._now = transfer
        self._call.apply(TransferBegan(transfer.side))

    def _adopt(self, leg: LegId) -> None:
        self._call.legs.target = leg
        self._board.adopt(leg, self._call)

    # --- calling

    def _dial(self) -> None:
        now, call = self._now, self._call
        assert now is not None
        assert now.choice is not None
        target = now.choice.targets[now.target]
        try:
            body = call.media.offer(target.host, now.choice.route.srtp)
        except PortsExhaustedError as error:
            _log.error("a transfer failed: %s", error)
            call.services.alarm("ports_exhausted")
            self.failed(503)
            return
        stays, offered = call.party_at(now.side.other), call.offered
        headers = offered.headers if now.side is Side.B else ()  # they are the calling party's
        outgoing = OutgoingCall(
            target=target,
            request_user=call.number_on(now.choice.route, now.number),
            from_user=stays.number,
            headers=(*headers, *((("Replaces", now.replaces),) if now.replaces is not None else ())),
            max_forwards=offered.max_forwards - 1,
            loop_mark=now.choice.loop_mark,
            loop_marks=offered.loop_marks,
            body=body,
            no_reply_s=call.services.config.sip.no_reply_s,
            ring_s=call.ring_s or LONGEST_S,
            is_reliable=call.is_reliable and body is not None,  # its offer in an 18x would be answered by nobody
        )
        self._adopt(call.services.endpoint.dial(outgoing))

    def receive(self, event: SipEvent) -> None:
        """Take what happened on the transfer target's leg."""
        match event:
            case LegRang():
                self.tell(event.status)
            case LegAnswered():
                self._answered(event)
            case LegRefused():
                self._call.legs.target = None
                self._refused(event)
            case LegEnded():
                self._left(is_lost=event.cause == "timeout")
            case OfferAnswered():
                self._call.media.answered(event.body)
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
        self._call.goes_by(now.number, event.asserted_user or "", now.early or "")
        if number != now.number:
            now.party = answering_for(now.party, self._plan.party_at(number))  # not who was called counts
            if now.party.extension is not None and not self._call.progress.is_nominated:
                self._call.services.alarm("nominated_passed")
        self._call.media.answered(event.body)

    def _refused(self, event: LegRefused) -> None:
        now = self._now
        assert now is not None
        self._call.note_refusal(event)
        self._call.media.drop()
        if now.choice is not None and event.status in FAILOVER and now.target + 1 < len(now.choice.targets):
            now.target, now.early = now.target + 1, None
            self._dial()
        elif event.status in UNKNOWN_THERE and now.others:
            now.choice, now.target, now.early = now.others.pop(0), 0, None
            self._dial()
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
        stays, comes = self._call.party_at(now.side.other).status, now.party.status
        officer = officer_after(stays, comes, target=now.side, officer=self._call.progress.officer)
        self.tell(200)
        self._call.apply(TransferTargetAnswered(TABLE[stays, comes], officer))
        self._now = None
        if now.lender is not None:
            lender, _ = now.lender
            self._call.relate(lender)
            lender.stop("transferred")

    def failed(self, status: int, phrase: str = "") -> None:
        """The transfer target cannot be joined: everything stays as it was, and whoever asked is told."""
        now = self._let_go(status)
        if now is None:
            return
        self._tell_of(now, status, phrase)
        self._call.apply(TransferTargetRefused(status))

    def drop(self) -> None:
        """There is nobody any more to join the transfer target with."""
        now = self._let_go(487)
        if now is None:
            return
        self._tell_of(now, 487)
        if now.inward is not None:
            now.inward.stop("caller_gave_up_while_ringing")

    def take(self) -> tuple[Party, LegId | None]:
        """Return who comes, and on which leg, or None where it is the one that is there."""
        now = self._now
        assert now is not None
        leg, self._call.legs.target = self._call.legs.target, None
        if now.has_leg:
            was_called = now.lender[0].was_called(now.lender[1]) if now.lender else now.choice is not None
            (self._called.add if was_called else self._called.discard)(now.side)
        return now.party, leg if now.has_leg else None

    def _let_go(self, status: int) -> Transfer | None:
        now, self._now = self._now, None
        leg, self._call.legs.target = self._call.legs.target, None
        self._call.media.drop()
        if now is None or leg is None:
            return now
        if now.lender is not None:
            self._give_back(leg, *now.lender)
        elif now.is_offered:
            self._call.services.endpoint.refuse(leg, status, "")
        else:
            self._call.services.endpoint.hang_up(leg)
        return now

    def _give_back(self, leg: LegId, lender: TransferableCall, side: Side) -> None:
        if lender.progress.state is CallState.ENDED:
            self._call.services.endpoint.hang_up(leg)
            return
        lender.legs.put(side, leg)
        self._board.adopt(leg, lender)

    def tell(self, status: int) -> None:
        """Tell whoever asked for the transfer how it stands."""
        if self._now is not None:
            self._tell_of(self._now, status)

    def _tell_of(self, transfer: Transfer, status: int, phrase: str = "") -> None:
        if transfer.teller is not None:
            self._call.services.endpoint.notify(transfer.teller, status, phrase)
