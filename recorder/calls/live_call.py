"""What every call through the recorder does, recorded or not: commands of the table become acts on legs.

Runs on the call thread. `passed_call` and `recorded_call` say what the two kinds do differently.
"""

import logging
from abc import abstractmethod
from typing import Any

from audio.types import PortsExhaustedError
from recorder.calls.call_clock import CallClock
from recorder.calls.call_services import CallServices
from recorder.calls.dial_plan import DialPlan, RouteChoice
from recorder.calls.legs import Legs
from recorder.calls.redirects import Following, Redirection
from recorder.calls.registry import CallRegistry
from recorder.calls.rules.call_events import (
    After,
    CallState,
    Command,
    Dial,
    DropTransferTarget,
    Event,
    Finish,
    HangUp,
    Left,
    RefuseA,
    Refused,
    Replace,
    Side,
    Stopped,
)
from recorder.calls.rules.call_progress import CallProgress
from recorder.calls.rules.call_table import handle
from recorder.calls.rules.transfer import Party
from recorder.calls.transferable import TransferableCall, TransferIntake
from recorder.calls.transferring import Transfers
from recorder.rules.routing import Route, find_peer
from sip.endpoint import OutgoingCall
from sip.events import (
    Body,
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
from sip.options import Address

_log = logging.getLogger(__name__)

ACCOUNT_REFUSALS = frozenset({401, 407})
"""Final answers that ask for an account: we have none there, or it is not taken."""


class LiveCall(TransferableCall):
    """One call from its offer to its end.

    Args:
        services: The daemon's parts.
        offered: The INVITE.
        progress: Its place in the table.
        choice: Where it goes.
        people: Who is on its sides.
        board: Who gets which event.
        plan: Where numbers lead.
        intake: Takes calls in that are transferred to a nominated extension.
    """

    def __init__(
        self,
        services: CallServices,
        offered: CallOffered,
        progress: CallProgress,
        choice: RouteChoice,
        *,
        people: dict[Side, Party],
        board: CallRegistry,
        plan: DialPlan,
        intake: TransferIntake,
    ) -> None:
        self.clock = CallClock()
        self.services = services
        self.offered = offered
        self.progress = progress
        self.choice = choice
        self.legs = Legs(a=offered.leg)
        self.people = people
        self.board = board
        self.plan = plan
        self.transfers = Transfers(self, board, plan, intake)
        self.far: Address | None = None
        """Where B was dialled."""
        self.dialled = offered.request_user
        """Whom B was dialled as: the number that was called, or the one that a redirection named."""
        self._parting_reason: str | None = None
        self._following = Following()
        self._refusal: LegRefused | None = None

    # --- events

    def apply(self, event: Event) -> None:
        """Feed the table and do what it says."""
        for command in handle(self.progress, event):
            self._do(command)

    def receive(self, event: SipEvent, leg: LegId) -> None:
        """Take what happened on one of the call's legs."""
        if leg == self.legs.target:
            self.transfers.receive(event)
            return
        side = self.legs.side_of(leg)
        if side is None:
            return
        match event:
            case LegRang():
                self.rang(event)
            case LegAnswered():
                self.answered(event)
            case LegRefused():
                self._refusal = event
                self.note_refusal(event)
                self.legs.end(side)
                self.leg_ended(side)
                if not self._is_followed(event):
                    self.apply(Refused(event.status))
            case LegEnded():
                self._parting_reason = event.reason
                self.legs.end(side)
                self.apply(Left(side, is_lost=event.cause == "timeout"))
            case _:
                self._receive_within(side, event)

    def _receive_within(self, side: Side, event: SipEvent) -> None:
        """Take what a party wants of a call that goes on."""
        match event:
            case OfferReceived():
                self.reoffered(side, event)
            case OfferAnswered():
                self.offer_answered(side, event)
            case OfferRefused():
                self.offer_refused(side, event)
            case InfoReceived():
                self.info(side, event)
            case ReferReceived():
                self.transfers.referred(side, event)
            case IdentityChanged() if event.is_by_info and not self.plan.is_inside(event.source):
                _log.info("an INFO from outside names who is to be shown; it is ignored")
            case IdentityChanged():
                self.goes_by(event.user, is_claim=not self.plan.is_inside(event.source))
                self.identify(side.other, event.headers)
                self.renamed(side, event)
            case _:
                _log.debug("event %s has no place in a call", type(event).__name__)

    @abstractmethod
    def rang(self, event: LegRang) -> None:
        """B rings."""

    @abstractmethod
    def answered(self, event: LegAnswered) -> None:
        """B answered."""

    @abstractmethod
    def reoffered(self, side: Side, event: OfferReceived) -> None:
        """A side wants to change the session."""

    @abstractmethod
    def offer_answered(self, side: Side, event: OfferAnswered) -> None:
        """A side answered an offer of ours."""

    @abstractmethod
    def offer_refused(self, side: Side, event: OfferRefused) -> None:
        """A side refused an offer of ours."""

    @abstractmethod
    def info(self, side: Side, event: InfoReceived) -> None:
        """A side sent an INFO."""

    def was_called(self, side: Side) -> bool:
        """Tell whether the party on a side was called, by the caller or for a transfer."""
        return self.transfers.was_called(side)

    def borrow(self, side: Side, lender: TransferableCall, theirs: Side, *, teller: LegId) -> None:
        """Have a party of another call take the place of a side."""
        self.transfers.borrow(side, lender, theirs, teller=teller)

    def note_refusal(self, event: LegRefused) -> None:
        """Raise the alarm where a refusal speaks of a setting, not of the person called."""
        if event.status in ACCOUNT_REFUSALS:
            self.services.alarm("account_refused")
            _log.error(
                "route %s refused a call with %d: no account, or a wrong one", self.choice.route.name, event.status
            )

    def leg_ended(self, side: Side) -> None:
        """Give back what belonged to a leg that is gone while the call goes on; signalling alone has nothing."""
        _log.debug("side %s of a call is gone", side.value)

    # --- somebody takes the place of a side

    def party_at(self, side: Side) -> Party:
        """Return who is on a side."""
        return self.people[side]

    def seat(self, side: Side, party: Party) -> None:
        """Put a party on a side."""
        self.goes_by(party.number)
        self.people[side] = party

    @property
    def is_talking(self) -> bool:
        """Tell whether the sides are joined, nobody is about to be replaced, and nobody is lent to another call."""
        is_joined = self.progress.state in (CallState.JOINED, CallState.THROUGH_JOINED)
        return is_joined and None not in (self.legs.a, self.legs.b)

    def _is_followed(self, event: LegRefused) -> bool:
        """Tell whether B is dialled again where a 3xx leads."""
        if event.status // 100 != 3 or not self.choice.route.follow_redirects:
            return False
        found = self._following.next(event.headers, self._is_peer)
        while found is not None and not self._may_follow(found):
            found = self._following.next(event.headers, self._is_peer)
        if found is not None:
            if found.user.removeprefix("+").isdigit():  # a phone's name for itself says nothing of who it is
                self.dialled = found.user
            self._dial_at(found.target, found.user)
        return found is not None

    def _may_follow(self, found: Redirection) -> bool:
        """Tell whether a redirection may be dialled: it leads to the number that was called, or to one that may be."""
        called = self.offered.request_user
        if found.user in (called, self.number_on(self.choice.route, called)):
            return True
        return self.plan.may_transfer_to(found.user, self.choice.route)

    def _is_peer(self, host: str) -> bool:
        return find_peer(self.services.config.peer, host) is not None

    def identify(self, side: Side, headers: tuple[Header, ...]) -> None:
        """Tell a side who is at the other end now."""
        leg, said = self.legs.of(side), self.as_told_to(side, headers)
        if leg is not None and said and self.progress.was_joined:
            self.services.endpoint.identify(leg, said)

    def as_told_to(self, side: Side, headers: tuple[Header, ...]) -> tuple[Header, ...]:
        """Return the headers of one side as the other may have them: who asks for privacy is not named outside."""
        there = self.offered.source if side is Side.A else self.far
        return headers if there is not None and self.plan.is_inside(there) else without_private(headers)

    @abstractmethod
    def renamed(self, side: Side, event: IdentityChanged) -> None:
        """A side's leg names another party."""

    @abstractmethod
    def replaced(self, side: Side, after: After) -> None:
        """A transfer target is on a side now."""

    def _replace(self, command: Replace) -> None:
        party, leg = self.transfers.take()
        if leg is not None:
            gone = self.legs.of(command.side)
            self.legs.put(command.side, leg)
            if gone is not None:
                self.services.endpoint.hang_up(gone)
        self.seat(command.side, party)
        if leg is not None:
            self.replaced(command.side, command.after)

    # --- commands

    def _do(self, command: Command) -> None:
        match command:
            case Dial():
                self._dial(command.index)
            case HangUp():
                self._hang_up(command)
            case RefuseA():
                self._refuse(command.status)
            case Replace():
                self._replace(command)
            case DropTransferTarget():
                self.transfers.drop()
            case Finish():
                self.finish(command.end)
                self.board.ended(self)
            case _:
                self.do(command)

    @abstractmethod
    def do(self, command: Command) -> None:
        """Do a command that depends on the kind of call."""

    @abstractmethod
    def offer_to_b(self) -> Body | None:
        """Return the body of the INVITE to B."""

    def number_on(self, route: Route, number: str) -> str:
        """Return what to dial: the route's form of a number, but no rule of a route may spoil an emergency number."""
        dialled = route.dialled(number)
        is_emergency = self.services.config.emergency.has
        return number if is_emergency(number) and not is_emergency(dialled) else dialled

    def _dial(self, index: int) -> None:
        self.dialled = self.offered.request_user
        self._dial_at(self.choice.targets[index], self.number_on(self.choice.route, self.offered.request_user))

    def _dial_at(self, target: Address, user: str) -> None:
        self.far = target
        try:
            body = self.offer_to_b()
        except PortsExhaustedError as error:
            _log.error("a call is ended: %s", error)
            self.services.alarm("ports_exhausted")
            self.stop("ports_exhausted")
            return
        outgoing = OutgoingCall(
            target=target,
            request_user=user,
            from_user=self.offered.from_user,
            from_display=self.offered.from_display,
            headers=self.offered.headers,
            max_forwards=self.offered.max_forwards - 1,
            loop_mark=self.choice.loop_mark,
            loop_marks=self.offered.loop_marks,
            body=body,
            no_reply_s=self.services.config.sip.no_reply_s,
            ring_s=self.ring_s,
            is_reliable=self.is_reliable,
        )
        self.legs.b = self.services.endpoint.dial(outgoing)
        self.board.adopt(self.legs.b, self)

    def _hang_up(self, command: HangUp) -> None:
        leg = self.legs.of(command.side)
        if leg is not None:
            self.legs.end(command.side)
            # Why one side ended the call is told to the other (RFC 3326).
            self.services.endpoint.hang_up(leg, reason=command.reason or self._parting_reason)

    def _refuse(self, status: int, headers: tuple[Header, ...] = ()) -> None:
        """Refuse A; what the far side said is passed on in its own words."""
        if self.legs.a is None:
            return
        phrase = ""
        if status in ACCOUNT_REFUSALS:  # our account there, which is no business of A's
            status, phrase = 403, "Forbidden"
        elif self._refusal is not None and self._refusal.status == status:
            phrase, headers = self._refusal.phrase or phrase, self._refusal.headers
        self.services.endpoint.refuse(self.legs.a, status, phrase, headers=headers)
        self.legs.end(Side.A)

    def stop(self, reason: str) -> None:
        """End the call from our side."""
        if self.progress.state is not CallState.ENDED:
            self.apply(Stopped(reason))

    def refuse_offer(self, status: int, end: str) -> None:
        """End an offer that cannot be served before anything was begun; ``end`` is why, for the record."""
        self._refuse(status, (("Retry-After", "5"),) if status == 503 else ())
        self.progress.state, self.progress.end = CallState.ENDED, end

    @abstractmethod
    def as_json(self) -> dict[str, Any]:
        """Return the call for listings."""
