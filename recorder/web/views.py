"""Logs once an hour that somebody looks at live calls, because their page asks for them all the time."""

from collections.abc import Callable
from datetime import datetime

from recorder.audit.audit_service import AuditService
from recorder.permissions import Act, Actor

_MOST = 10_000
"""Views that are remembered; above that number all are forgotten."""


class Views:
    """Logs who looks at live calls. Pages never wait for the log, and work while it cannot be written.

    Args:
        audit_service: Writes the audit log.
        now: Returns the current time.
    """

    def __init__(self, audit_service: AuditService, now: Callable[[], datetime]) -> None:
        self._audit_service = audit_service
        self._now = now
        self._noted: set[tuple[str, bool, str]] = set()

    def note(self, actor: Actor, *, has_numbers: bool) -> None:
        """Log that an actor looks, once an hour; ``has_numbers`` says whether they see who calls."""
        view = actor.actor, has_numbers, f"{self._now():%Y-%m-%dT%H}"
        if view in self._noted:
            return
        if len(self._noted) >= _MOST:
            self._noted.clear()
        self._noted.add(view)
        self._audit_service.note_late(Act.SEE_LIVE, actor.actor, "", {"numbers": has_numbers})
