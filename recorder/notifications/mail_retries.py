"""How often the mail of a notification is tried again, and when that is a fault. Pure."""

from datetime import timedelta

MAIL_TRIED_FOR = timedelta(days=5)
"""RFC 5321 section 4.5.4.1: how long a mail is tried, at least four to five days."""
FIRST_RETRY, LONGEST_RETRY = timedelta(minutes=1), timedelta(hours=1)
FAILING_AFTER = timedelta(hours=1)
"""A mail that has not left by then is an alarm of health: a server that is started again is back sooner."""
STUCK_AFTER = timedelta(days=1)
"""A mail that has not left by then is told to ICT on their own page, where mail does not come."""


def retry_after(tries: int) -> timedelta:
    """Return how long a mail waits after it was not taken ``tries`` times, at least once: doubling, to an hour."""
    return min(FIRST_RETRY * (1 << min(tries - 1, 10)), LONGEST_RETRY)
