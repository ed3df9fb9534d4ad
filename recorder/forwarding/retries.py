"""How long to wait after failures, and when they are a fault that somebody must look at. Pure."""

from datetime import timedelta

FIRST_S, LONGEST_S = 1.0, 60.0
FAILING_AFTER = timedelta(minutes=10)
"""What fails for longer raises an alarm; a server that restarts is back sooner."""
GIVEN_UP_AFTER = timedelta(days=3)
"""How old an event is when its delivery is given up."""
_STEPS = (5, 30, 120, 600, 1800)
_LAST = 3600


def pause_s(failures: int) -> float:
    """Return the wait after ``failures`` (at least 1) in a row, seconds: it doubles, up to a minute."""
    return min(FIRST_S * (1 << min(failures - 1, 10)), LONGEST_S)


def retry_after(tries: int) -> timedelta:
    """Return the wait until a delivery is tried again after ``tries`` (at least 1): from 5 s to an hour."""
    return timedelta(seconds=_STEPS[tries - 1] if tries <= len(_STEPS) else _LAST)
