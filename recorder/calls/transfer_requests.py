"""Who may have a party of a call replaced, and how it is asked for: REFER, INVITE with Replaces, or another name.

What follows is `recorder.calls.transferring`'s. Call thread only.
"""

import logging

from recorder.calls.call_interfaces import TransferableCall, TransferIntake
from recorder.calls.component import Component
from recorder.calls.dial_plan import DialPlan
from recorder.calls.registry import CallRegistry
from recorder.calls.rules.call_events import CallState, Side
from recorder.calls.rules.transfer import answering_for, is_same_number, names_line, why_refused
from recorder.calls.transferring import Transfer, Transfers
from sip.events import CallOffered, IdentityChanged, LegId, ReferReceived
from sip.options import Address

_log = logging.getLogger(__name__)


class TransferRequests(Component[TransferableCall]):
    """Takes requests to transfer one call.

    Args:
        call: The call.
        transfers: Its transfers.
        registry: Knows the other calls.
        plan: Where numbers lead.
        intake: Takes calls in that go to a nominated extension.
    """

    def __init__(
        self,
        call: TransferableCall,
        transfers: Transfers,
        registry: CallRegistry,
        plan: DialPlan,
        intake: TransferIntake,
    ) -> None:
        super().__init__(call)
        self._transfers = transfers
        self._registry = registry
        self._plan = plan
        self._intake = intake

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
        self._transfers.begin(Transfer(side=side, party=target, is_offered=True))
        self._transfers.adopt(event.leg)
        self._call.media.target.called(event)
        return None

    def renamed(self, side: Side, event: IdentityChanged) -> None:
        """Put another party on a side, where a peer that may name parties says that its leg changed hands."""
        known = self._call.parties[side]
        if not self._plan.is_inside(event.source) or is_same_number(known.number, event.user):
            return
        if known.extension is not None and not names_line(event.user, self._plan.is_known):
            return  # a caller of another name is somebody else, who has to hear the notice
        target = self._plan.party_at(event.user)
        if side in self._call.parties.called:
            target = answering_for(known, target)
        if self._call.progress.state is not CallState.JOINED:
            self._call.put_party(side, target)  # it counts when the sides are joined
            return
        self._transfers.begin(Transfer(side=side, party=target, has_leg=False))
        self._transfers.ready()

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
        self._transfers.begin(
            Transfer(
                side=side,
                party=target,
                referrer=event.leg,
                choice=choice,
                others=others,
                number=event.user,
                replaces=event.replaces,
            )
        )
        self._call.services.endpoint.accept_refer(event.leg)
        self._transfers.dial()
        return None

    def _refer_to_call(self, side: Side, event: ReferReceived, replaced: LegId) -> int | None:
        """Join this call with another of ours, the one that the transferor has asked on (attended transfer)."""
        mine, other = self._call, self._registry.call_of(replaced)
        if not isinstance(other, TransferableCall) or other is mine or not other.is_talking:
            return 603
        there = other.legs.side_of(replaced)
        assert there is not None
        self._call.services.endpoint.accept_refer(event.leg)
        if other.progress.is_nominated and not mine.progress.is_nominated:  # the recording goes on where there is one
            other.take_from(there, mine, side.other, referrer=event.leg)
        else:
            self._transfers.take_from(side, other, there.other, referrer=event.leg)
        return None
