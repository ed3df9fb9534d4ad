"""What the registry knows of a call: it gets the events of its legs, can be stopped, and is finished once."""

from abc import ABC, abstractmethod

from recorder.calls.call_clock import CallClock
from recorder.calls.call_services import CallServices
from recorder.calls.legs import Legs
from recorder.calls.recorded_part import RecordedPart
from sip.events import LegId, SipEvent


class SipCall(ABC):
    """A call on SIP legs.

    Attributes:
        services: The daemon's parts.
        legs: Its SIP legs.
        clock: Its clock.
        recorded: The part of the call that has a recording; None where nothing of it is recorded.
    """

    services: CallServices
    legs: Legs
    clock: CallClock
    recorded: RecordedPart | None

    @abstractmethod
    def receive(self, event: SipEvent, leg: LegId) -> None:
        """Handle an event of one of the call's legs."""

    @abstractmethod
    def stop(self, reason: str) -> None:
        """End the call from our side."""

    @abstractmethod
    def finish(self, end: str) -> None:
        """Settle the outcome and release everything; the legs have ended already or are about to."""
