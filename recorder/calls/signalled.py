"""What the switchboard knows of a call, whatever it is: it gets events, can be stopped, and is finished once. Pure."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from sip.events import LegId, SipEvent

if TYPE_CHECKING:
    from recorder.calls.live_call import Legs


class Signalled(ABC):
    """A call on SIP legs."""

    legs: "Legs"

    @abstractmethod
    def receive(self, event: SipEvent, leg: LegId) -> None:
        """Take what happened on one of the call's legs."""

    @abstractmethod
    def stop(self, reason: str) -> None:
        """End the call from our side."""

    @abstractmethod
    def finish(self, end: str) -> None:
        """Settle the outcome and give back everything; the legs are ended already or about to be."""
