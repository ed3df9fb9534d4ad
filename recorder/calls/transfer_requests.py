"""Accepts or refuses requests for a transfer: REFER, INVITE with Replaces, or a new identity on a leg.

`recorder.calls.transferring` carries the transfer out. Call thread only.
"""

import logging

from recorder.calls.call_interfaces import TransferableCall, TransferIntake
from recorder.calls.component import Component
from recorder.calls.dial_plan import DialPlan
from recorder.calls.registry import CallRegistry, log_name
from recorder.calls.rules.call_events import CallState, Side
from recorder.calls.rules.transfer import answering_for, is_same_number, names_line, why_refused
from recorder.calls.transferring import Transfer, Transfers
from sip.events import CallOffered, IdentityChanged, LegId, ReferReceived
from sip.options import Address

_log = logging.getLogger(__name__)


class TransferRequests(Component[TransferableCall]):
    """Accepts or refuses requests to transfer one call."""

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
        """Handle a REFER from the party on a side."""
        status = self._why_refused(event.source)
        if status is None and event.replaced_leg is not None:
            status = self._refer_to_call(side, event, event.replaced_leg)
        elif status is None:
            status = self._refer_to_number(side, event)
        if status is not None:
            _log.info("%s: transfer refused with %d", log_name(self._call), status)
            self._call.services.endpoint.refuse_refer(event.leg, status)

    def offered(self, side: Side, event: CallOffered) -> int | None:
        """Handle an INVITE with Replaces (RFC 3891); return the status to refuse it with, or None.

        The caller's identity is trusted, because only peers inside may send this.
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
        """Replace the party on a side if a peer inside gives the leg a new identity."""
        known = self._call.parties[side]
        if not self._plan.is_inside(event.source) or is_same_number(known.number, event.user):
            return
        if known.extension is not None and not names_line(event.user, self._plan.is_known):
            return  # an officer may have a display name; for an outside party any new name is a new person
        target = self._plan.party_at(event.user)
        if side in self._call.parties.called:
            target = answering_for(known, target)
        if self._call.progress.state is not CallState.JOINED:
            self._call.put_party(side, target)  # evaluated when the sides are joined
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
        """Join this call with the transferor's consultation call, if that is through the recorder too."""
        call, other = self._call, self._registry.call_of(replaced)
        if not isinstance(other, TransferableCall) or other is call or not other.is_talking:
            return 603
        other_side = other.legs.side_of(replaced)
        assert other_side is not None
        self._call.services.endpoint.accept_refer(event.leg)
        if other.progress.is_nominated and not call.progress.is_nominated:  # the call that has a recording goes on
            other.take_from(other_side, call, side.other, referrer=event.leg)
        else:
            self._transfers.take_from(side, other, other_side.other, referrer=event.leg)
        return None
