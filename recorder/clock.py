"""The wall clock, in one place. Intervals are measured with the monotonic clock instead."""

import time
from datetime import UTC, datetime
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def utc_now() -> datetime:
    """Return the wall clock, aware, in UTC."""
    return datetime.fromtimestamp(time.time(), UTC)


def since_boot() -> tuple[str, float] | None:
    """Return an id of the machine's start and the seconds since then, which nobody sets; None: it cannot be known."""
    try:
        return _BOOT_ID.read_text().strip(), time.clock_gettime(time.CLOCK_BOOTTIME)
    except OSError:
        return None
