"""What every call is to the control: it gets events of its legs, can be stopped, and is finished once."""

from abc import ABC, abstractmethod

from recorder.calls.call_clock import CallClock
from recorder.calls.legs import Legs
from sip.events import LegId, SipEvent


class SipCall(ABC):
    """A call on SIP legs."""

    legs: Legs
    clock: CallClock

    @abstractmethod
    def receive(self, event: SipEvent, leg: LegId) -> None:
        """Take what happened on one of the call's legs."""

    @abstractmethod
    def stop(self, reason: str) -> None:
        """End the call from our side."""

    @abstractmethod
    def finish(self, end: str) -> None:
        """Settle the outcome and give back everything; the legs are ended already or about to be."""
