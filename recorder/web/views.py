"""That somebody looks at live calls, in the audit log once an hour: a page that shows them asks all the time."""

from collections.abc import Callable
from datetime import datetime

from recorder.audit.audit_service import AuditService
from recorder.permissions import Act, Actor

_MOST = 10_000
"""Entries that are remembered; then all are made anew."""


class Views:
    """Notes who looks. Pages are never kept waiting for the log, and look on while it cannot be written.

    Args:
        rules: Writes the audit log.
        now: The time.
    """

    def __init__(self, rules: AuditService, now: Callable[[], datetime]) -> None:
        self._rules = rules
        self._now = now
        self._noted: set[tuple[str, bool, str]] = set()

    def note(self, actor: Actor, *, has_numbers: bool) -> None:
        """Note that somebody looks, if it was not noted in this hour; ``has_numbers``: and may see who calls."""
        view = actor.actor, has_numbers, f"{self._now():%Y-%m-%dT%H}"
        if view in self._noted:
            return
        if len(self._noted) >= _MOST:
            self._noted.clear()
        self._noted.add(view)
        self._rules.note_late(Act.SEE_LIVE, actor.actor, "", {"numbers": has_numbers})
