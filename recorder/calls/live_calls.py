"""The calls in progress: hands each event to its call, and finds calls for people. Call thread only."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from audio.types import AudioLost, ControlPressed, DigitPressed, MediaEvent, SecretEntered, StreamReanchored
from recorder.calls.call import Call
from recorder.calls.call_services import CallServices
from recorder.calls.container import fault_of
from recorder.calls.dial_plan import DialPlan
from recorder.calls.new_calls import NewCalls
from recorder.calls.recorded_part import RecordedPart
from recorder.calls.registry import CallRegistry
from recorder.calls.rules.call_events import CallState
from recorder.rules.routing import Peer
from sip.events import CallOffered, LegId, RegistrationChanged, SipEvent, SourceMisbehaved, TargetChanged
from sip.options import Address

_log = logging.getLogger(__name__)

MISBEHAVIOUR = {
    "rate_limited": "more new calls or requests than its [[peer]] may send; they are answered 503",
    "foreign": "requests in a call of another peer, or from a port that is not its peer's; they are refused",
    "stray": "a flood of responses that match no request; they are dropped",
    "malformed": "messages that are not SIP; they are dropped",
    "overload": "more messages than can be processed; they are dropped",
}
SESSION = "recording_session"
"""State of a recording session in `LiveCalls.states`; sessions have no table of states."""
ALARMING = frozenset({"rate_limited", "foreign", "stray", "overload"})


class UnknownCallError(Exception):
    """No call in progress has this id or extension."""

    @classmethod
    def of_id(cls, call_id: str) -> "UnknownCallError":
        """Return the error for an id."""
        return cls(f"no call {call_id} is in progress; `recorder calls list` lists them")

    @classmethod
    def of_extension(cls, number: str) -> "UnknownCallError":
        """Return the error for an extension."""
        return cls(f"no recorded call of extension {number} is in progress")


class LiveCalls:
    """The calls in progress.

    Args:
        loop_mark: The value of this recorder's loop marker header.
    """

    def __init__(self, services: CallServices, loop_mark: str) -> None:
        self._services = services
        self._plan = DialPlan(services, loop_mark)
        self._registry = CallRegistry(services)
        self._new_calls = NewCalls(services, self._plan, self._registry)
        self.group_acts = self._new_calls.groups
        self.selftests = self._new_calls.selftests

    # --- events

    def receive(self, event: SipEvent) -> None:
        """Handle an event of the SIP stack."""
        if isinstance(event, CallOffered):
            new = self._new_calls
            self._registry.guard(None, new.offered, event, otherwise=lambda: new.refuse(event, 500))
        elif isinstance(event, TargetChanged):
            self._plan.target_changed(event)
        elif isinstance(event, RegistrationChanged):
            self._registration_changed(event)
        elif isinstance(event, SourceMisbehaved):
            self._misbehaved(event)
        elif (call := self._registry.call_of(event.leg)) is not None:
            self._registry.guard(call, call.receive, event, event.leg)

    def receive_media(self, events: Iterable[MediaEvent]) -> None:
        """Handle events of the media core, in order."""
        for event in events:
            if isinstance(event, StreamReanchored | AudioLost):
                continue
            call = self._registry.call_of_media(event.leg)
            if call is not None and call.recorded is not None:
                keyed_ns = event.at_ns if isinstance(event, DigitPressed | ControlPressed | SecretEntered) else 0
                with self._services.lateness.since(keyed_ns):
                    self._registry.guard(call, call.recorded.receive_media, event, event.leg)

    def _registration_changed(self, event: RegistrationChanged) -> None:
        if event.status == 200:
            _log.info("Registered at %s", event.name)
        else:
            _log.error("Registration at %s failed with %d; retrying", event.name, event.status)
            self._services.alarm("registration_failed")

    def _misbehaved(self, event: SourceMisbehaved) -> None:
        """Log that a source sends messages that are refused; the SIP stack limits how often it reports that."""
        _log.warning("From %s: %s", event.source, MISBEHAVIOUR[event.kind])
        self._services.publish({"event": "source", "kind": event.kind, "source": event.source})
        if event.kind in ALARMING:
            self._services.alarm(f"source_{event.kind}")

    @property
    def counts(self) -> dict[str, int]:
        """Return how many calls there were, by handling, and how many internal errors there were."""
        return {**self._new_calls.counts, "faults": self._registry.faults}

    # --- for people

    def calls(self) -> list[dict[str, Any]]:
        """Return the recorded calls in progress as JSON-serialisable values, oldest first."""
        is_selftest = self.selftests.is_one
        return [
            call.listing.as_json()
            for call in self._new_calls.recorded.values()
            if call.is_listed and not is_selftest(call.id)
        ]

    def call(self, call_id: str) -> RecordedPart:
        """Return a recorded call in progress.

        Raises:
            UnknownCallError: No recorded call in progress has this id.
        """
        found = self._new_calls.recorded.get(call_id)
        if found is None:
            raise UnknownCallError.of_id(call_id)
        return found

    def has_calls_of(self, extension: str) -> bool:
        """Tell whether an extension is on a recorded call in progress."""
        return any(extension in call.numbers for call in self._new_calls.recorded.values())

    def calls_of(self, extension: str) -> list[RecordedPart]:
        """Return the recorded calls in progress that an extension is on, at least one.

        Raises:
            UnknownCallError: The extension is on none.
        """
        found = [call for call in self._new_calls.recorded.values() if extension in call.numbers]
        if not found:
            raise UnknownCallError.of_extension(extension)
        return found

    def recording_failed(self, call_id: str, error: Exception) -> None:
        """Handle that the writer can no longer write a recording: recording stops, and the row will say why."""
        call = self._new_calls.recorded.get(call_id)
        _log.error("call %s: the recording can no longer be written: %s", call_id, error)
        if call is not None and call.recording.in_progress is not None:
            call.recording.in_progress.file.fail(fault_of(error))

    def refuse_new(self, is_refusing: bool) -> None:
        """Refuse new calls and recording sessions but emergency calls, or take them again; calls in progress go on."""
        self._new_calls.is_draining = is_refusing

    def stop(self) -> None:
        """End every call but passthrough calls that are joined; refuse new calls but emergency calls."""
        self._new_calls.is_draining = self._new_calls.is_ending = True
        surviving = self.surviving_legs()
        for call in {id(call): call for leg, call in self._registry.legs.items() if leg not in surviving}.values():
            self._registry.guard(call, call.stop, "daemon_stopped")

    def surviving_legs(self) -> frozenset[LegId]:
        """Return the legs of joined passthrough calls: their media does not pass the daemon, so they outlive it."""
        return frozenset(
            leg
            for leg, call in self._registry.legs.items()
            if isinstance(call, Call) and call.progress.state is CallState.THROUGH_JOINED
        )

    def goes_on(self, leg: LegId) -> bool:
        """Tell whether a leg is one of a passthrough call, which would outlive a daemon that is killed."""
        call = self._registry.legs.get(leg)
        return isinstance(call, Call) and not call.progress.is_nominated

    def states(self) -> tuple[Counter[str], Counter[str]]:
        """Return the calls in progress by state, and the recordings in progress by pause state.

        Any thread may call this: the lists of calls are copied in one step of the interpreter.
        """
        calls = {id(call): call for call in list(self._registry.legs.values())}.values()
        by_state = Counter(call.progress.state.name.lower() if isinstance(call, Call) else SESSION for call in calls)
        recordings = [call.recording for call in list(self._new_calls.recorded.values())]
        by_pause = Counter(one.pause_reasons.state.value for one in recordings if one.in_progress is not None)
        return by_state, by_pause

    def peer(self, source: Address) -> Peer | None:
        """Return the peer at an address, or None."""
        return self._plan.peer(source)

    def room(self, peer: Peer | None) -> list[tuple[int, int]]:
        """Return the recorded calls in progress and how many there may be: in all, and of a peer."""
        return self._new_calls.room(peer)

    def when_ended(self, notify: Callable[..., object]) -> None:
        """Call a function with the objects of each call that ends, as its arguments."""
        self._registry.when_ended.append(lambda call: notify(*call.parts))

    @property
    def live(self) -> int:
        """Return how many calls are in progress, passthrough calls included."""
        return len({id(call) for call in self._registry.legs.values()})
