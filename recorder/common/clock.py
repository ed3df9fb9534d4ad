"""The wall clock, in one place. Intervals are measured with the monotonic clock instead."""

import functools
import time
from datetime import UTC, datetime
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def utc_now() -> datetime:
    """Return the wall clock, aware, in UTC."""
    return datetime.fromtimestamp(time.time(), UTC)


@functools.cache
def boot_id() -> str:
    """Return an id of the machine's start.

    Raises:
        OSError: It cannot be known.
    """
    return _BOOT_ID.read_text().strip()


def since_boot_s() -> float:
    """Return the seconds since the machine's start, the same for every process; nobody sets them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def since_boot() -> tuple[str, float] | None:
    """Return an id of the machine's start and the seconds since then; None: it cannot be known."""
    try:
        return boot_id(), since_boot_s()
    except OSError:
        return None
