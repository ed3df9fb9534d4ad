"""The interface of a call for the registry: it receives the events of its legs, and can be stopped."""

from abc import ABC, abstractmethod

from recorder.calls.call_clock import CallClock
from recorder.calls.call_services import CallServices
from recorder.calls.legs import Legs
from recorder.calls.recorded_part import RecordedPart
from sip.events import LegId, SipEvent


class SipCall(ABC):
    """A call or a recording session, with its SIP legs.

    Attributes:
        recorded: The recorded part; None if nothing is recorded.
    """

    services: CallServices
    legs: Legs
    clock: CallClock
    recorded: RecordedPart | None

    @property
    def parts(self) -> tuple[object, ...]:
        """Return the objects that should be freed once the call has ended and its recording is filed."""
        return (self,) if self.recorded is None else (self, *self.recorded.parts)

    @abstractmethod
    def receive(self, event: SipEvent, leg: LegId) -> None:
        """Handle an event of one of the call's legs."""

    @abstractmethod
    def stop(self, reason: str) -> None:
        """End the call for a reason of the recorder's own."""

    @abstractmethod
    def finish(self, end: str) -> None:
        """Release the media, and close the recording if there is one; called once, when the legs end."""
