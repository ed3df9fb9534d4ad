"""Marks notifications as over as soon as somebody has done here what they ask for; others are found by polling."""

import contextlib

from recorder.access.reachability import AccountsAwayError
from recorder.notifications.kinds import NotificationKind
from recorder.web.parts import ConsoleParts


def settle(console: ConsoleParts, subject: str, *kinds: NotificationKind) -> None:
    """Mark everybody's notifications about a subject as over; where accounts are away, the next poll does."""
    with contextlib.suppress(AccountsAwayError):
        console.deps.watch.box.settle(kinds, subject)
