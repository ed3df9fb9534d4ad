"""How far a copy of the audit log elsewhere is: what waits, since when it fails and why."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from recorder.forwarding.audit_follower import Lines, Position
from recorder.forwarding.retries import pause_s
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from storage.errors import AuditUnavailableError
from storage.rows import time_to_json

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SendingState:
    """How far sending is.

    Attributes:
        sent: Number of the newest entry that the other side has; 0 for none.
        waiting: How many entries wait.
        oldest_at: When the oldest of them was written; "" for none.
        failing_since: When the first of the last tries failed, all of which did; "" if the last one did not.
        problem: Why the last try failed; "" if it did not.
    """

    sent: int = 0
    waiting: int = 0
    oldest_at: str = ""
    failing_since: str = ""
    problem: str = ""


class SendingProgress:
    """Counts failures, logs each change once, and keeps the state for health.

    Args:
        log: The audit log.
        now: The wall clock, UTC.
        failed: What to log of a failure, a clause.
        works: What to log when sending works again, a sentence.
        sent: Number of the newest entry that the other side has.
    """

    def __init__(self, log: AuditLog, *, now: Callable[[], datetime], failed: str, works: str, sent: int = 0) -> None:
        self._audit = log
        self._now = now
        self._failed, self._works = failed, works
        self._failures = 0
        self.state = SendingState(sent=sent)

    def failed(self, problem: str, position: Position, unsent: Lines) -> float:
        """Take a failure; return the seconds until the next try."""
        self._failures += 1
        if self.state.problem != problem:
            _log.error("%s; retrying: %s", self._failed, problem)
        oldest = next((line.at for line, _ in unsent if isinstance(line, AuditEntry)), self.state.oldest_at)
        since = self.state.failing_since or time_to_json(self._now()) or ""
        self.state = SendingState(
            sent=position.number, waiting=self._waiting(position, len(unsent)), oldest_at=oldest, failing_since=since,
            problem=problem,
        )  # fmt: skip
        return pause_s(self._failures)

    def worked(self, position: Position, *, may_wait: bool) -> None:
        """Take a success; ``may_wait`` says that further entries may wait."""
        if self._failures:
            _log.warning("%s", self._works)
        self._failures = 0
        self.state = SendingState(sent=position.number, waiting=self._waiting(position, 0) if may_wait else 0)

    def _waiting(self, position: Position, least: int) -> int:
        try:
            head = self._audit.head()
        except AuditUnavailableError:
            return least
        newest = head.number if head is not None and head.number is not None else 0
        return max(newest - position.number, least)
