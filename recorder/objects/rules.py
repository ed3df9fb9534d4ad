"""When objects are tried again, when a local file may go, and when an alarm is raised. Pure."""

from datetime import datetime, timedelta

LOOK_S = 5.0
"""How often the process looks for new recordings and for deletions."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 20.0
"""The wait while the store fails: it doubles; short enough that all is caught up soon after its return."""
BEHIND_AFTER = timedelta(minutes=10)
"""How long a recording may wait before `objects_behind` is raised."""
NOT_DELETED_AFTER = timedelta(minutes=2)
"""How long a deletion may wait before `objects_not_deleted` is raised."""
READ_AGAIN_AFTER = timedelta(hours=1)
"""An object that was read back earlier is read again before the local file goes."""
OWN_FOR = timedelta(minutes=1)
"""How long a deletion is left to the machine that stored the object, before any other does it."""


def pause_s(failures: int, chance: float) -> float:
    """Return the wait after failures in a row, seconds.

    Args:
        failures: At least 1.
        chance: In [0, 1), random: machines that lost the store together do not return together.
    """
    longest = min(FIRST_PAUSE_S * (1 << min(failures - 1, 10)), LONGEST_PAUSE_S)
    return longest * (0.5 + chance / 2)


def kept_since(now: datetime, keep_days: int) -> datetime:
    """Return the moment before which an object must have been stored so that the local file may go."""
    return now - timedelta(days=keep_days)


def must_read_again(stored_at: datetime, now: datetime) -> bool:
    """Tell whether an object must be read again before its local file goes; a clock that was set back says yes."""
    return abs(now - stored_at) >= READ_AGAIN_AFTER


def is_long(since: datetime | None, after: timedelta, now: datetime) -> bool:
    """Tell whether something has waited too long; a moment in the future is of before the clock was set back."""
    return since is not None and abs(now - since) >= after
