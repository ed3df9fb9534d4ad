"""How much the tests do at a time: so much for each processor that they may use."""

import math
import os
from pathlib import Path


def _processors() -> int:
    """Return how many processors this process may use, by its affinity and by the quota of its control group."""
    allowed = len(os.sched_getaffinity(0))
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return allowed
    return allowed if quota == "max" else max(1, min(allowed, math.ceil(int(quota) / int(period))))


PROCESSORS = _processors()
"""Processors that this process may use: `taskset` and containers leave it fewer than the machine has."""
