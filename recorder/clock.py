"""The wall clock, in one place. Intervals are measured with the monotonic clock instead."""

import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the wall clock, aware, in UTC."""
    return datetime.fromtimestamp(time.time(), UTC)
