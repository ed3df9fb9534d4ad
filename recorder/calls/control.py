"""Who gets which event: the switchboard between the SIP side, the media core and the calls. Call thread only.

A bug in one call is stopped here: it is logged once, that call is ended, the others go on.
"""

import contextlib
import itertools
import logging
import secrets
from collections.abc import Callable, Iterable
from typing import Any

from audio.types import (
    AudioLost,
    ControlPressed,
    DigitPressed,
    MediaEvent,
    PortsExhaustedError,
    SecretEntered,
    StreamReanchored,
)
from audio.types import LegId as MediaLegId
from recorder.calls.container import fault_of
from recorder.calls.group_acts import GroupActs
from recorder.calls.live_call import LiveCall
from recorder.calls.opt_out_acts import OptOutActs
from recorder.calls.party import MediaError, UnreachableError
from recorder.calls.passed_call import PassedCall
from recorder.calls.peer_calls import Handling, PeerCalls
from recorder.calls.recordable import RecordableCall
from recorder.calls.recorded_call import RecordedCall
from recorder.calls.rules import call as table
from recorder.calls.rules.call import Call, Side
from recorder.calls.rules.mentions import mentions
from recorder.calls.rules.transfer import Occupant, Standing, occupants_of
from recorder.calls.sip_call import SipCall
from recorder.calls.siprec.siprec_call import SiprecCall
from recorder.calls.siprec.siprec_desk import SiprecDesk
from recorder.calls.switchboard import Way
from recorder.calls.transferable import TransferableCall
from recorder.calls.transferred_in import TransferredInCall, offer_in_place
from recorder.calls.works import Works
from recorder.rules.policy import Direction, Nomination, NoticeWhen, extension_of, nominate
from recorder.rules.routing import NumberKind, Peer, Route, find_peer, find_route, routes_to_newcomer
from sip.events import CallOffered, LegId, ReferReceived, RegistrationChanged, SipEvent, SourceMisbehaved, TargetChanged
from sip.options import Address

_log = logging.getLogger(__name__)

MISBEHAVIOUR = {
    "rate_limited": "more new calls or requests than its [[peer]] may send; they are answered 503",
    "foreign": "an act in a call that is another peer's, or from a port that is not its peer's; it is refused",
    "stray": "a flood of responses to nothing; they are dropped",
    "malformed": "messages that are not SIP; they are dropped",
    "overload": "more messages than can be looked at; they are dropped",
}
COUNTS = ("offered", "recorded", "passed", "refused", "emergency", "faults", "over_peer_limit")
ALARMING = frozenset({"rate_limited", "foreign", "stray", "overload"})


Recorded = RecordedCall | SiprecCall
"""A call with a recording."""


class UnknownCallError(Exception):
    """No call in progress has this id or extension."""

    @classmethod
    def of_id(cls, call_id: str) -> "UnknownCallError":
        """Return the error for an id."""
        return cls(f"no call {call_id} is in progress; `recorder calls` lists them")

    @classmethod
    def of_extension(cls, number: str) -> "UnknownCallError":
        """Return the error for an extension."""
        return cls(f"no recorded call of extension {number} is in progress")


class Control:
    """Every call in progress.

    Args:
        works: The daemon's parts.
        loop_mark: What this recorder writes into the marker header; its own mark coming back is a loop.
    """

    def __init__(self, works: Works, loop_mark: str) -> None:
        self._works = works
        self._loop_mark = loop_mark
        self._calls: dict[LegId, SipCall] = {}
        self._media: dict[MediaLegId, RecordableCall] = {}
        self._recorded: dict[str, Recorded] = {}
        self._dead: set[Address] = set()
        self._passed: set[PassedCall] = set()
        self._peer_calls = PeerCalls(works)
        self.group_acts = GroupActs(lambda: [call.gate for call in self._recorded.values()])
        self._siprec = SiprecDesk(works)
        self._threads = itertools.cycle(range(works.config.media.threads))
        self._is_draining = False
        self._max_calls = works.config.limits.max_calls
        """What the writer and locked memory were made for at the start: a reload does not change it."""
        self.counts = dict.fromkeys(COUNTS, 0)

    # --- events

    def receive(self, event: SipEvent) -> None:
        """Take an event of the SIP side."""
        if isinstance(event, CallOffered):
            self._guard(None, self._offered, event, otherwise=lambda: self._refuse(event, 500, "Server Internal Error"))
        elif isinstance(event, TargetChanged):
            self._target_changed(event)
        elif isinstance(event, RegistrationChanged):
            self._registration_changed(event)
        elif isinstance(event, SourceMisbehaved):
            self._misbehaved(event)
        elif (call := self._calls.get(event.leg)) is not None:
            self._guard(call, call.receive, event, event.leg)

    def receive_media(self, events: Iterable[MediaEvent]) -> None:
        """Take what the media core reported, in order."""
        for event in events:
            if isinstance(event, StreamReanchored | AudioLost):
                continue
            call = self._media.get(event.leg)
            if call is not None:
                keyed_ns = event.at_ns if isinstance(event, DigitPressed | ControlPressed | SecretEntered) else 0
                with self._works.lateness.since(keyed_ns):
                    self._guard(call, call.receive_media, event, event.leg)

    def _guard(
        self,
        call: SipCall | None,
        fn: Callable[..., object],
        *args: object,
        otherwise: Callable[[], None] | None = None,
    ) -> None:
        try:
            fn(*args)
        except Exception:  # noqa: BLE001 - the boundary between calls: a bug of one ends here
            self.counts["faults"] += 1
            self._works.alarm("call_fault")
            _log.exception("a call failed by a fault of ours; it is ended, the others go on")
            if call is not None:
                self._abandon(call)
            if otherwise is not None:
                otherwise()

    def _abandon(self, call: SipCall) -> None:
        try:
            call.stop("internal_error")
        except Exception:  # noqa: BLE001 - as above
            _log.exception("the call could not be ended cleanly either")
        if any(self._calls.get(leg) is call for leg in call.legs.every):  # it failed on its way out
            self.ended(call)
            with contextlib.suppress(Exception):
                call.finish("internal_error")

    def _registration_changed(self, event: RegistrationChanged) -> None:
        if event.status == 200:
            _log.info("registered at %s", event.name)
        else:
            _log.error("registration at %s failed with %d; it is tried again", event.name, event.status)
            self._works.alarm("registration_failed")

    def _target_changed(self, event: TargetChanged) -> None:
        word = "answers again" if event.is_alive else "does not answer"
        _log.warning("target %s %s", event.target, word)
        (self._dead.discard if event.is_alive else self._dead.add)(event.target)

    def _misbehaved(self, event: SourceMisbehaved) -> None:
        """Take it that a peer sends what is refused; said once a kind and source, whatever it sends."""
        _log.warning("from %s: %s", event.source, MISBEHAVIOUR[event.kind])
        self._works.publish({"event": "source", "kind": event.kind, "source": event.source})
        if event.kind in ALARMING:
            self._works.alarm(f"source_{event.kind}")

    # --- a new call

    @property
    def _is_full(self) -> bool:
        """Tell whether no more calls are recorded, so that none is taken that would have to be."""
        return self._is_draining or len(self._recorded) >= self._max_calls

    def _offered(self, event: CallOffered) -> None:
        self.counts["offered"] += 1
        config = self._works.config
        if self._siprec.is_ours(event):
            self._begin_session(event)
            return
        if config.emergency.has(event.request_user):
            self.counts["emergency"] += 1
            self._begin_passed(event)
            return
        if self._loop_mark in event.loop_marks:
            self._refuse(event, 482, "Loop Detected")
        elif event.replaced_leg is not None:
            self._replacing(event, event.replaced_leg)
        elif self._is_full:
            self._refuse(event, 503, "Service Unavailable")
        else:
            # Anybody may claim to be extension 2001; only a peer on our side of the recorder is believed.
            calling = (event.asserted_user or event.from_user) if self.is_inside(event.source) else ""
            rung = self._rung_inside(event)
            nomination = nominate(config.nominated, calling=calling, called=event.request_user, rung=rung)
            handling = Handling.PASSED if nomination is None else Handling.RECORDED
            if self._refused_for_peer(event, handling):
                return
            if nomination is not None:
                self._begin_recorded(event, nomination)
            elif len(self._passed) >= config.limits.max_passed:
                self._refuse(event, 503, "Service Unavailable")
            else:
                if mentions(event, config.nominated):
                    self._works.alarm("nominated_passed")
                self._begin_passed(event, self._peer(event.source))

    def _rung_inside(self, event: CallOffered) -> str | None:
        """Return the number that rings, as the route writes it, where a target of that is a peer inside; else None.

        One is enough: which target answers shows later, and a call too many that is recorded hears the notice.
        """
        peer, number = self._peer(event.source), event.request_user
        route = find_route(self._works.config.route, peer=peer.name if peer else None, number=number)
        may_ring_inside = route is not None and any(map(self.is_inside, self._targets_of(route)))
        return route.dialled(number) if route is not None and may_ring_inside else None

    def _leads_inside(self, route: Route) -> bool:
        """Tell whether all targets of a route are peers on our side of the recorder."""
        return all(map(self.is_inside, self._targets_of(route)))

    def _targets_of(self, route: Route) -> tuple[Address, ...]:
        return self._way(route).targets or route.targets

    def _refused_for_peer(self, event: CallOffered, handling: Handling) -> bool:
        """Refuse a call that is one too many of its peer; tells whether it was."""
        is_refused = self._peer_calls.refuses(self._peer(event.source), handling)
        if is_refused:
            self.counts["over_peer_limit"] += 1
            self._refuse(event, 503, "Service Unavailable")
        return is_refused

    def _replacing(self, event: CallOffered, replaced: LegId) -> None:
        """Take an INVITE that asks to take the place of a party (RFC 3891)."""
        call = self.call_of(replaced)
        side = call.legs.side_of(replaced) if call is not None else None
        if call is None or side is None:
            self._refuse(event, 481, "Call/Transaction Does Not Exist")
            return
        status = call.transfers.offered(side, event)
        if status is not None:
            self._refuse(event, status, "")

    def _begin_session(self, event: CallOffered) -> None:
        """Take a recording session of a SIPREC client."""
        if self._siprec.refuse_stranger(event):
            self.counts["refused"] += 1
            return
        if self._is_full:
            self._refuse(event, 503, "Service Unavailable")
            return
        if self._refused_for_peer(event, Handling.RECORDED):
            return
        call = self._siprec.make(
            event,
            thread=next(self._threads),
            board=self,
            groups=self.group_acts,
        )
        self._recorded[call.id] = call
        self._peer_calls.begin(call, self._peer(event.source), Handling.RECORDED)
        self.adopt(event.leg, call)
        self._guard(call, self._take_session, call)

    def _take_session(self, call: SiprecCall) -> None:
        self.counts["recorded" if self._siprec.begin(call) else "refused"] += 1

    def _refuse(self, event: CallOffered, status: int, phrase: str) -> None:
        self.counts["refused"] += 1
        headers = (("Retry-After", "5"),) if status == 503 else ()
        self._works.endpoint.refuse(event.leg, status, phrase, headers=headers)

    def _begin_passed(self, event: CallOffered, peer: Peer | None = None) -> None:
        """Pass a call through; ``peer`` is whose it counts as, None for an emergency call."""
        way = self.way_to(event.request_user, event.source)
        if way is None:
            self._refuse(event, 404, "Not Found")
            return
        state = Call(
            is_nominated=False,
            direction=Direction.INBOUND,
            notice_when=NoticeWhen.BEFORE_RING,
            targets=len(way.targets),
        )
        call = PassedCall(
            self._works,
            event,
            state,
            way,
            people=occupants_of(None, calling=event.asserted_user or event.from_user, called=event.request_user),
            board=self,
        )
        self.counts["passed"] += 1
        self._passed.add(call)
        self._peer_calls.begin(call, peer, Handling.PASSED)
        self.adopt(event.leg, call)
        self._guard(call, call.apply, table.Begin())

    def _begin_recorded(self, event: CallOffered, nomination: Nomination) -> None:
        way = self.way_to(event.request_user, event.source)
        service = self._works.config.service_of(nomination.extension)
        state = Call(
            is_nominated=True,
            direction=nomination.direction,
            notice_when=service.notice_when,
            targets=len(way.targets) if way else 0,
            has_second=self._works.sounds.second is not None,
        )
        nowhere = Way(route=self._works.config.route[0], targets=(), loop_mark="") if self._works.config.route else None
        chosen = way or nowhere
        if chosen is None:
            self._refuse(event, 404, "Not Found")
            return
        call = RecordedCall(
            self._works,
            event,
            state,
            chosen,
            nomination,
            random_hex=secrets.token_hex(3),
            thread=next(self._threads),
            board=self,
            groups=self.group_acts,
        )
        refusal = (404, "no_route") if way is None else self._first_obstacle(call)
        if refusal is not None:
            self.counts["refused"] += 1
            call.refuse_offer(*refusal)
            call.finish(call.call.end)
            self.ended(call)
            return
        self.counts["recorded"] += 1
        self._recorded[call.id] = call
        self._peer_calls.begin(call, self._peer(event.source), Handling.RECORDED)
        self.adopt(event.leg, call)
        self._guard(call, call.apply, table.Begin())
        call.tell()

    def _first_obstacle(self, call: RecordedCall) -> tuple[int, str] | None:
        """Return the status that refuses a call, and why, or None when it can be served."""
        try:
            call.accept_offer()
        except MediaError as error:
            _log.warning("call %s refused with 488, before any message: %s", call.id, error)
            is_address = isinstance(error, UnreachableError)
            self._works.alarm("caller_address_refused" if is_address else "caller_media_refused")
            return 488, "address_refused" if is_address else "codec_refused"
        except PortsExhaustedError as error:
            _log.warning("call %s refused: %s", call.id, error)
            self._works.alarm("ports_exhausted")
            return 503, "ports_exhausted"
        return None

    # --- what calls ask for (`recorder.calls.switchboard`)

    def adopt(self, leg: LegId, call: SipCall) -> None:
        """Have the events of a leg come to a call from now on."""
        self._calls[leg] = call
        call.legs.every.append(leg)

    def adopt_media(self, leg: MediaLegId, call: RecordableCall) -> None:
        """Have what the media core sees on a leg come to a call from now on."""
        self._media[leg] = call

    def ended(self, call: SipCall) -> None:
        """Forget a call: nothing of it is left but what is being filed."""
        for leg in call.legs.every:
            if self._calls.get(leg) is call:  # it may be another call's by now
                del self._calls[leg]
        self._peer_calls.end(call)
        if isinstance(call, PassedCall):
            self._passed.discard(call)
        if isinstance(call, RecordableCall):
            ended = self._recorded.pop(call.id, None)
            if ended is not None:
                self.group_acts.ended(ended.gate)
            self._media = {leg: owner for leg, owner in self._media.items() if owner is not call}
            OptOutActs(self._works, self.group_acts).call_ended(call.id)
            self._works.publish({"event": "ended", "id": call.id})

    def is_inside(self, address: Address) -> bool:
        """Tell whether an address is of a peer on our side of the recorder."""
        peer = self._peer(address)
        return peer is not None and peer.is_inside

    def way_to(self, number: str, source: Address) -> Way | None:
        """Return how a number is reached by somebody at an address, or None: nothing leads there."""
        peer = self._peer(source)
        route = find_route(self._works.config.route, peer=peer.name if peer else None, number=number)
        return self._way(route) if route else None

    def ways_to_newcomer(self, number: str, source: Address) -> tuple[Way, ...]:
        """Return how somebody is called into a call at the wish of a peer, best first; none: nothing leads there."""
        peer, there = self._peer(source), self.occupant(number)
        routes = routes_to_newcomer(
            self._works.config.route,
            peer=peer.name if peer else None,
            number=number,
            kind=self._kind_of(there),
            leads_inside=self._leads_inside,
        )
        return tuple(map(self._way, routes))

    def may_transfer_to(self, number: str, route: Route) -> bool:
        """Tell whether a transfer or redirection may dial a number on a route; one that may not raises an alarm."""
        if self._is_ours_as_written(number) or self._works.config.transfers.may_dial(number, route):
            return True
        _log.warning("a transfer to a number that is denied on route %s is refused", route.name)
        self._works.alarm("transfer_denied")
        return False

    def _is_ours_as_written(self, number: str) -> bool:
        """Tell whether a number is in the configuration exactly so, or an emergency number, which nothing may stop.

        What a PBX makes of separators is for it to say, so that one with them is looked up in what may not be dialled.
        """
        config = self._works.config
        return config.emergency.has(number) or number in config.extensions or number in config.voicemail.numbers

    def _kind_of(self, there: Occupant) -> NumberKind:
        if there.is_emergency:
            return NumberKind.EMERGENCY
        return NumberKind.OURS if there.extension is not None or there.is_mailbox else NumberKind.UNKNOWN

    def _way(self, route: Route) -> Way:
        return Way.on(route, frozenset(self._dead), self._loop_mark, self._works.locate)

    def occupant(self, number: str) -> Occupant:
        """Return who is at a number, as one who has heard no notice."""
        config = self._works.config
        is_emergency = config.emergency.has(number)
        extension = None if is_emergency else extension_of(config.nominated, number)
        is_mailbox = not is_emergency and extension is None and config.voicemail.has(number)
        return Occupant(number=number, extension=extension, is_emergency=is_emergency, is_mailbox=is_mailbox)

    def is_known(self, number: str) -> bool:
        """Tell whether a number, however it is written, is that of an extension, a mailbox or an emergency service."""
        return self.occupant(number).standing is not Standing.UNTOLD

    def call_of(self, leg: LegId) -> LiveCall | None:
        """Return the call that a leg belongs to."""
        call = self._calls.get(leg)
        return call if isinstance(call, LiveCall) else None

    def transfer_in(self, call: TransferableCall, side: Side, event: ReferReceived, way: Way) -> int | None:
        """Have a call that is passed on go to a nominated extension."""
        return self._become_recorded(call, side, event.user, way, teller=event.leg)

    def pick_up(self, call: TransferableCall, side: Side, event: CallOffered) -> int | None:
        """Have a nominated extension take the place of a side of a call that is passed on."""
        number = event.asserted_user or event.from_user
        assert isinstance(call, PassedCall)
        return self._become_recorded(call, side, number, call.way, picker=event)

    def _become_recorded(
        self,
        call: TransferableCall,
        side: Side,
        number: str,
        way: Way,
        *,
        teller: LegId | None = None,
        picker: CallOffered | None = None,
    ) -> int | None:
        newcomer = self.occupant(number)
        assert newcomer.extension is not None
        assert isinstance(call, PassedCall)
        if self._is_full:
            return 503
        nomination = Nomination(direction=Direction.INBOUND, extension=newcomer.extension)
        state = Call(
            is_nominated=True,
            direction=Direction.INBOUND,
            notice_when=NoticeWhen.AFTER_ANSWER,
            targets=len(way.targets),
            has_second=self._works.sounds.second is not None,
        )
        inward = TransferredInCall(
            self._works,
            offer_in_place(call, side.other, number),
            state,
            way,
            nomination,
            random_hex=secrets.token_hex(3),
            thread=next(self._threads),
            board=self,
            groups=self.group_acts,
            origin=call,
            picker=picker,
        )
        try:
            inward.open_first()
        except PortsExhaustedError:
            self._works.alarm("ports_exhausted")
            return 503
        self.counts["recorded"] += 1
        self._recorded[inward.id] = inward
        call.transfers.become(side, newcomer, inward, teller)
        self._guard(inward, inward.apply, table.Begin())
        return None

    def _peer(self, address: Address) -> Peer | None:
        try:
            return find_peer(self._works.config.peer, address.host)
        except ValueError:  # a host name: nothing is known of it
            return None

    # --- what people ask for

    def calls(self) -> list[dict[str, Any]]:
        """Return the recorded calls in progress, oldest first."""
        return [call.as_json() for call in self._recorded.values() if call.is_listed]

    def call(self, call_id: str) -> Recorded:
        """Return a recorded call in progress.

        Raises:
            UnknownCallError: There is none of this id.
        """
        found = self._recorded.get(call_id)
        if found is None:
            raise UnknownCallError.of_id(call_id)
        return found

    def calls_of(self, extension: str) -> list[Recorded]:
        """Return every recorded call of an extension, internal ones of the other side too.

        Raises:
            UnknownCallError: There is none.
        """
        found = [call for call in self._recorded.values() if extension in call.numbers]
        if not found:
            raise UnknownCallError.of_extension(extension)
        return found

    def recording_failed(self, call_id: str, error: Exception) -> None:
        """Take it that the writer can no longer write a recording."""
        call = self._recorded.get(call_id)
        _log.error("recording %s can no longer be written: %s", call_id, error)
        if call is not None and call.recording.taping is not None:
            call.recording.taping.fail(fault_of(error))

    def stop(self) -> None:
        """End every call but those that talk without us; new ones are refused, emergency calls go on being passed."""
        self._is_draining = True
        alone = self.left_alone()
        for call in {id(call): call for leg, call in self._calls.items() if leg not in alone}.values():
            self._guard(call, call.stop, "daemon_stopped")

    def left_alone(self) -> frozenset[LegId]:
        """Return the legs of passed calls that talk: their media does not come here, so they outlive us."""
        return frozenset(
            leg
            for leg, call in self._calls.items()
            if isinstance(call, PassedCall) and call.call.state is table.State.THROUGH_JOINED
        )

    @property
    def live(self) -> int:
        """Return how many calls are in progress, passed ones included."""
        return len({id(call) for call in self._calls.values()})
