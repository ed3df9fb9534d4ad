"""How long to wait after failures, and when they are a fault that somebody must look at. Pure."""

from datetime import timedelta

FIRST_S, LONGEST_S = 1.0, 60.0
FAILING_AFTER = timedelta(minutes=10)
"""What waits longer raises an alarm; a server that restarts is back sooner."""


def pause_s(failures: int) -> float:
    """Return the wait after ``failures`` (at least 1) in a row, seconds: it doubles, up to a minute."""
    return min(FIRST_S * (1 << min(failures - 1, 10)), LONGEST_S)
