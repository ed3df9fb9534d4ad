"""The clock of one call: it starts with the machine's, and is not stepped with it."""

import time
from datetime import datetime, timedelta

from recorder.common.clock import utc_now


class CallClock:
    """Tells the time of a call.

    Attributes:
        started_at: When the call began, UTC.
        began_s: The same on the monotonic clock, seconds.
    """

    def __init__(self) -> None:
        self.started_at = utc_now()
        self.began_s = time.monotonic()

    @property
    def now(self) -> datetime:
        """Return the time, UTC."""
        return self.started_at + timedelta(seconds=time.monotonic() - self.began_s)

    def moment_ns(self, at: datetime) -> int:
        """Return the monotonic clock, nanoseconds, at a time of this clock."""
        return round(self.began_s * 1e9) + (at - self.started_at) // timedelta(microseconds=1) * 1000
