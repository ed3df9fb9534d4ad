"""When the next sweep is due, and how long one may be missing before somebody has to look. Pure."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

AFTER_START = timedelta(minutes=5)
OVERDUE = timedelta(days=3)
"""After so long without a sweep that ended well somebody has to look."""


def next_sweep(now: datetime, last: datetime | None, *, at: time, zone: ZoneInfo, jitter: timedelta) -> datetime:
    """Return when to sweep next: each day at a time of the site's own clock, and soon where a day was left out.

    Args:
        now: Aware.
        last: The last sweep that ended well.
        at: Time of day in ``zone``.
        zone: The site's.
        jitter: Added, so that not every recorder of a council does so at once.
    """
    if last is None or now - last > timedelta(hours=25) + jitter:
        return soon(now, jitter=jitter)
    earliest = max(now, last + timedelta(hours=12)) if last <= now else now
    today = datetime.combine(now.astimezone(zone).date(), at, tzinfo=zone)
    return next(m for days in range(-1, 4) if (m := today + timedelta(days=days) + jitter) > earliest)


def soon(now: datetime, *, jitter: timedelta) -> datetime:
    """Return when to sweep where one was left out or cut off: not in the very moment in which everything starts."""
    return now + AFTER_START + jitter / 4
