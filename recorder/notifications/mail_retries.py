"""When a mail is tried again, and how long it may wait before that is a fault. Pure."""

from datetime import timedelta

MAIL_TRIED_FOR = timedelta(days=5)
"""How long a mail is tried; RFC 5321 section 4.5.4.1 says at least four to five days."""
FIRST_RETRY, LONGEST_RETRY = timedelta(minutes=1), timedelta(hours=1)
FAILING_AFTER = timedelta(hours=1)
"""A mail that waits longer raises an alarm in the health report; a server that restarts is back sooner."""
STUCK_AFTER = timedelta(days=1)
"""A mail that waits longer is reported to ICT in the console, as mail does not reach them."""


def retry_after(tries: int) -> timedelta:
    """Return the wait before the next attempt after ``tries`` (at least 1) failed ones: it doubles, up to an hour."""
    return min(FIRST_RETRY * (1 << min(tries - 1, 10)), LONGEST_RETRY)
