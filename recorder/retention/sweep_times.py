"""When the next sweep is due, and after how long a missing one raises an alarm. Pure."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

AFTER_START = timedelta(minutes=5)
OVERDUE = timedelta(days=3)
"""Time without a successful sweep after which there is an alarm."""


def next_sweep(now: datetime, last: datetime | None, *, at: time, zone: ZoneInfo, jitter: timedelta) -> datetime:
    """Return when to sweep next: daily at a local time of the site, or soon if a day was missed.

    Args:
        now: Aware.
        last: The last successful sweep.
        at: Time of day in ``zone``.
        zone: The site's.
        jitter: Added, so that a council's recorders do not all sweep at once.
    """
    if last is None or now - last > timedelta(hours=25) + jitter:
        return soon(now, jitter=jitter)
    earliest = max(now, last + timedelta(hours=12)) if last <= now else now
    today = datetime.combine(now.astimezone(zone).date(), at, tzinfo=zone)
    return next(m for days in range(-1, 4) if (m := today + timedelta(days=days) + jitter) > earliest)


def soon(now: datetime, *, jitter: timedelta) -> datetime:
    """Return when to sweep if a sweep was missed or interrupted: not right at the start, when everything starts."""
    return now + AFTER_START + jitter / 4
