"""What every call is, to the switchboard and by the clock: it gets events, can be stopped, and is finished once."""

import time
from abc import ABC, abstractmethod
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from recorder.common.clock import utc_now
from sip.events import LegId, SipEvent

if TYPE_CHECKING:
    from recorder.calls.live_call import Legs


class Signalled(ABC):
    """A call on SIP legs."""

    legs: "Legs"

    def __init__(self) -> None:
        self.started_at = utc_now()
        self._started_s = time.monotonic()

    @property
    def began_s(self) -> float:
        """Return when the call began, monotonic seconds."""
        return self._started_s

    @property
    def now(self) -> datetime:
        """Return the time by the call's own clock: it starts with the machine's, and is not stepped with it."""
        return self.started_at + timedelta(seconds=time.monotonic() - self._started_s)

    def moment_ns(self, at: datetime) -> int:
        """Return the monotonic clock, nanoseconds, at a time by the call's own clock."""
        return round(self._started_s * 1e9) + (at - self.started_at) // timedelta(microseconds=1) * 1000

    @abstractmethod
    def receive(self, event: SipEvent, leg: LegId) -> None:
        """Take what happened on one of the call's legs."""

    @abstractmethod
    def stop(self, reason: str) -> None:
        """End the call from our side."""

    @abstractmethod
    def finish(self, end: str) -> None:
        """Settle the outcome and give back everything; the legs are ended already or about to be."""
