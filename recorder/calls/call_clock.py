"""The clock of one call: starts at the wall clock's time, and then follows the monotonic clock."""

import time
from datetime import datetime, timedelta

from recorder.common.clock import utc_now


class CallClock:
    """The time of a call; steps of the wall clock do not change it.

    Attributes:
        started_at: When the call began, UTC.
        began_s: When the call began, monotonic seconds.
    """

    def __init__(self) -> None:
        self.started_at = utc_now()
        self.began_s = time.monotonic()

    @property
    def now(self) -> datetime:
        """Return the time, UTC."""
        return self.started_at + timedelta(seconds=time.monotonic() - self.began_s)

    def moment_ns(self, at: datetime) -> int:
        """Return a time of this clock in monotonic nanoseconds."""
        return round(self.began_s * 1e9) + (at - self.started_at) // timedelta(microseconds=1) * 1000
