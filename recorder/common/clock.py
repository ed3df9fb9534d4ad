"""The wall clock and the boot clock. Intervals are measured with the monotonic clock instead."""

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
    """Return the id of the machine's boot.

    Raises:
        OSError: Unknown.
    """
    return _BOOT_ID.read_text().strip()


def since_boot_s() -> float:
    """Return the seconds since the machine's boot, the same for every process; nobody can set them."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def since_boot() -> tuple[str, float] | None:
    """Return the id of the machine's boot and the seconds since then; None if unknown."""
    try:
        return boot_id(), since_boot_s()
    except OSError:
        return None
