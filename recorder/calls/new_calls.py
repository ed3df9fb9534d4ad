"""Decides how a new call is handled: recorded, passthrough, recording session or refused. Call thread only."""

import logging

from audio.types import PortsExhaustedError
from recorder.calls.call import Call
from recorder.calls.call_interfaces import TransferableCall
from recorder.calls.call_maker import CallMaker
from recorder.calls.call_services import CallServices
from recorder.calls.dial_plan import DialPlan, RouteChoice
from recorder.calls.group_acts import GroupActs
from recorder.calls.media_errors import MediaError, UnreachableError
from recorder.calls.opt_out_acts import OptOutActs
from recorder.calls.peer_calls import Handling, PeerCalls
from recorder.calls.recorded_call import RecordedCall
from recorder.calls.recorded_part import RecordedPart
from recorder.calls.refusals import refusal_headers
from recorder.calls.registry import CallRegistry
from recorder.calls.rules.call_events import Begin, Side
from recorder.calls.rules.nomination_hints import has_nomination_hint
from recorder.calls.selftest_calls import SelfTestCalls
from recorder.calls.sip_call import SipCall
from recorder.calls.siprec.recording_session import RecordingSession
from recorder.calls.siprec.service import SiprecService
from recorder.calls.transferred_in import offer_in_place
from recorder.rules.availability import UnavailableReason
from recorder.rules.policy import Direction, Nomination, nominate
from recorder.rules.routing import Peer
from sip.events import CallOffered, LegId, ReferReceived

_log = logging.getLogger(__name__)

_COUNTED = ("offered", "recorded", "passed", "refused", "emergency", "over_peer_limit", "drained")


class NewCalls:
    """Accepts or refuses new calls, and has the recorded ones by id.

    Attributes:
        recorded: The recorded calls in progress by id, oldest first.
        groups: Acts on more than one of them.
        is_draining: Whether new calls and recording sessions are refused, emergency calls excepted.
        selftests: Recognises and makes the call of a self-test.
        is_ending: Whether the calls in progress are being ended, so that no transfer begins a recorded call either.
        counts: How many calls there were, by handling.
    """

    def __init__(self, services: CallServices, plan: DialPlan, registry: CallRegistry) -> None:
        self._services = services
        self._plan = plan
        self._registry = registry
        self.recorded: dict[str, RecordedPart] = {}
        self.groups = GroupActs(lambda: [call.controls for call in self.recorded.values()])
        self.is_draining = self.is_ending = False
        self.counts = dict.fromkeys(_COUNTED, 0)
        self._passed: set[SipCall] = set()
        self._peer_calls = PeerCalls(services)
        self._siprec = SiprecService(services)
        self._maker = CallMaker(services, plan, registry, self.groups, self)
        self.selftests = SelfTestCalls(services, plan.loop_mark, registry, self.groups, self)
        self._max_calls = services.config.limits.max_calls
        """The writer and the locked memory were sized for this at the start, so a reload does not change it."""
        registry.when_ended.append(self._forget)

    def _forget(self, call: SipCall) -> None:
        self._peer_calls.end(call)
        recorded = call.recorded
        if recorded is None:
            self._passed.discard(call)
            return
        self.recorded.pop(recorded.id, None)
        self.groups.ended(recorded.controls)
        OptOutActs(self._services, self.groups).call_ended(recorded.id)
        recorded.recording.services.publish({"event": "ended", "id": recorded.id})

    def room(self, peer: Peer | None) -> list[tuple[int, int]]:
        """Return the recorded calls in progress and how many there may be: in all, and of a peer."""
        of_peer = [] if peer is None else [self._peer_calls.room(peer, Handling.RECORDED)]
        return [(len(self.recorded), self._max_calls), *of_peer]

    @property
    def _is_full(self) -> bool:
        return self.is_ending or len(self.recorded) >= self._max_calls

    def offered(self, event: CallOffered) -> None:
        """Handle an INVITE that begins a call or replaces a party of one."""
        if not self.selftests.takes(event):
            self._offered(event)

    def _offered(self, event: CallOffered) -> None:
        self.counts["offered"] += 1
        event = self._plan.as_asserted(event)
        config = self._services.config
        if self._siprec.is_ours(event):
            self._begin_session(event)
            return
        if config.emergency.has(event.request_user):
            self.counts["emergency"] += 1
            self._begin_passed(event)
            return
        if self._plan.loop_mark in event.loop_marks:
            self.refuse(event, 482)
        elif event.replaced_leg is not None:
            self._replacing(event, event.replaced_leg)
        elif self._refused_in_drain(event):
            return
        elif self._is_full:
            self.refuse(event, 503, UnavailableReason.FULL)
        else:
            # Any caller can assert that they are extension 2001; only peers inside are trusted to say so.
            calling = (event.asserted_user or event.from_user) if self._plan.is_inside(event.source) else ""
            rung = self._plan.rung_inside(event)
            nomination = nominate(config.nominated, calling=calling, called=event.request_user, rung=rung)
            handling = Handling.PASSED if nomination is None else Handling.RECORDED
            if self._refused_for_disk(event, handling) or self._refused_for_peer(event, handling):
                return
            if nomination is not None:
                self._begin_recorded(event, nomination)
            elif len(self._passed) >= config.limits.max_passed:
                self.refuse(event, 503, UnavailableReason.FULL)
            else:
                if has_nomination_hint(event, config.nominated):
                    self._services.alarm("nominated_passed")
                self._begin_passed(event, self._plan.peer(event.source))

    def _refused_in_drain(self, event: CallOffered) -> bool:
        """Refuse a new call in a drain; return whether it was refused."""
        if self.is_draining:
            self.counts["drained"] += 1
            self.refuse(event, 503, UnavailableReason.DRAINING)
        return self.is_draining

    def _refused_for_disk(self, event: CallOffered, handling: Handling) -> bool:
        """Refuse a call that should be recorded and cannot be, if the site's rule is to; return whether it was."""
        is_refused = handling is Handling.RECORDED and self._services.refuses_unrecordable
        if is_refused:
            self.refuse(event, 503, UnavailableReason.DISK)
        return is_refused

    def _refused_for_peer(self, event: CallOffered, handling: Handling) -> bool:
        """Refuse a call over its peer's limit; return whether it was refused."""
        is_refused = self._peer_calls.refuses(self._plan.peer(event.source), handling)
        if is_refused:
            self.counts["over_peer_limit"] += 1
            self.refuse(event, 503, UnavailableReason.FULL)
        return is_refused

    def _replacing(self, event: CallOffered, replaced: LegId) -> None:
        """Handle an INVITE with Replaces (RFC 3891)."""
        call = self._registry.call_of(replaced)
        side = call.legs.side_of(replaced) if isinstance(call, Call) else None
        is_selftest = isinstance(call, Call) and call.recorded is not None and self.selftests.is_one(call.recorded.id)
        if not isinstance(call, Call) or side is None or is_selftest:
            self.refuse(event, 481)
            return
        status = call.transfer_requests.offered(side, event)
        if status is not None:
            self.refuse(event, status)

    def _begin_session(self, event: CallOffered) -> None:
        if self._siprec.refuse_undeclared(event):
            self.counts["refused"] += 1
            return
        if self._refused_in_drain(event):
            return
        if self._is_full:
            self.refuse(event, 503, UnavailableReason.FULL)
            return
        if self._refused_for_disk(event, Handling.RECORDED) or self._refused_for_peer(event, Handling.RECORDED):
            return
        call = self._siprec.make(
            event,
            thread=self._maker.next_thread(),
            registry=self._registry,
            groups=self.groups,
        )
        self.recorded[call.recorded.id] = call.recorded
        self._peer_calls.begin(call, self._plan.peer(event.source), Handling.RECORDED)
        self._registry.adopt(event.leg, call)
        self._registry.guard(call, self._take_session, call)

    def _take_session(self, call: RecordingSession) -> None:
        self.counts["recorded" if self._siprec.begin(call) else "refused"] += 1

    def refuse(self, event: CallOffered, status: int, obstacle: UnavailableReason | None = None) -> None:
        """Refuse an INVITE for which no call was made; ``obstacle`` is why this recorder takes no new call."""
        self.counts["refused"] += 1
        headers = () if obstacle is None else refusal_headers(obstacle)
        self._services.endpoint.refuse(event.leg, status, "", headers=headers)

    def _begin_passed(self, event: CallOffered, peer: Peer | None = None) -> None:
        """Begin a passthrough call; it counts against the limit of ``peer``, which is None for emergency calls."""
        choice = self._plan.route_to(event.request_user, event.source)
        if choice is None:
            self.refuse(event, 404)
            return
        call = self._maker.passthrough(event, choice)
        self.counts["passed"] += 1
        self._passed.add(call)
        self._peer_calls.begin(call, peer, Handling.PASSED)
        self._registry.adopt(event.leg, call)
        self._registry.guard(call, call.apply, Begin())

    def _begin_recorded(self, event: CallOffered, nomination: Nomination) -> None:
        choice = self._plan.route_to(event.request_user, event.source)
        chosen = choice or self._plan.without_targets
        if chosen is None:
            self.refuse(event, 404)
            return
        call = self._maker.recorded(event, nomination, chosen, targets=len(choice.targets) if choice else 0)
        refusal = (404, "no_route") if choice is None else None
        is_refused = self.take(call, event, refusal, peer=self._plan.peer(event.source)) is not None
        self.counts["refused" if is_refused else "recorded"] += 1

    def take(
        self, call: Call, event: CallOffered, refusal: tuple[int, str] | None = None, *, peer: Peer | None = None
    ) -> tuple[int, str] | None:
        """Begin a recorded call, unless it is refused already or there is an obstacle.

        Args:
            call: The call.
            event: Its INVITE.
            refusal: Status and reason with which it is refused already.
            peer: The peer against whose limit it counts.

        Returns:
            The status and reason with which it was refused, or None.
        """
        recorded = call.recorded
        assert recorded is not None
        refusal = refusal or self._first_obstacle(recorded, event)
        if refusal is not None:
            call.refuse_offer(*refusal)
            call.finish(call.progress.end)
            self._registry.ended(call)
            return refusal
        self.recorded[recorded.id] = recorded
        self._peer_calls.begin(call, peer, Handling.RECORDED)
        self._registry.adopt(event.leg, call)
        self._registry.guard(call, call.apply, Begin())
        recorded.publish()
        return None

    def _first_obstacle(self, call: RecordedCall, event: CallOffered) -> tuple[int, str] | None:
        """Return the status to refuse a call with and the reason for its row; None if it can be handled."""
        try:
            call.sides.accept(event)
        except MediaError as error:
            _log.warning("call %s: refused with 488 before the notice: %s", call.id, error)
            is_address = isinstance(error, UnreachableError)
            self._services.alarm("caller_address_refused" if is_address else "caller_media_refused")
            return 488, "address_refused" if is_address else "codec_refused"
        except PortsExhaustedError as error:
            _log.warning("call %s: refused with 503: %s", call.id, error)
            self._services.alarm("ports_exhausted")
            return 503, "ports_exhausted"
        return None

    def transfer_in(self, call: TransferableCall, side: Side, event: ReferReceived, choice: RouteChoice) -> int | None:
        """Dial a nominated extension that a REFER names; return the status to refuse with, or None."""
        return self._become_recorded(call, side, event.user, choice, referrer=event.leg)

    def pick_up(self, call: TransferableCall, side: Side, event: CallOffered) -> int | None:
        """Replace a side by a nominated extension that sent an INVITE with Replaces; return as `transfer_in`."""
        number = event.asserted_user or event.from_user
        assert isinstance(call, Call)
        return self._become_recorded(call, side, number, call.dialling.choice, picker=event)

    def _become_recorded(
        self,
        call: TransferableCall,
        side: Side,
        number: str,
        choice: RouteChoice,
        *,
        referrer: LegId | None = None,
        picker: CallOffered | None = None,
    ) -> int | None:
        target = self._plan.party_at(number)
        assert target.extension is not None
        assert isinstance(call, Call)
        if self._is_full:
            return 503
        nomination = Nomination(direction=Direction.INBOUND, extension=target.extension)
        offered = offer_in_place(call, side.other, number)
        try:
            new_call = self._maker.transferred_in(offered, nomination, choice, origin=call, picker=picker)
        except PortsExhaustedError:
            self._services.alarm("ports_exhausted")
            return 503
        assert new_call.recorded is not None
        self.counts["recorded"] += 1
        self.recorded[new_call.recorded.id] = new_call.recorded
        call.transfers.move_to(side, target, new_call, referrer)
        self._registry.guard(new_call, new_call.apply, Begin())
        return None
