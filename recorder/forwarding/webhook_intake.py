"""Puts into the queue of webhooks what lasting facts tell: entries of the audit log, rows of ended calls.

The daemon hands over most events of calls as they happen. What it could not hand over, because it was killed or the
disk was full, is derived from the rows again: at the start and each hour. Events that are known are not queued twice.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice

from recorder.config.webhook_options import WebhookOptions
from recorder.forwarding.audit_follower import Position, end_of, follow, position_of, text_of
from recorder.forwarding.retries import GIVEN_UP_AFTER, pause_s
from recorder.forwarding.webhook_queue import QueueError, WebhookQueue
from recorder.rules.webhook_events import of_entry, of_row
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from storage.errors import AuditUnavailableError, StorageError
from storage.rows import time_from_json, time_to_json
from storage.types import RecordingRow

_log = logging.getLogger(__name__)

LOOK_S = 0.5
ROWS_EVERY = timedelta(hours=1)
LONGEST_CALL = timedelta(hours=26)
"""A row that was looked for in vain is found the next time if its call did not last longer."""
_AUDIT, _ROWS = "audit", "rows"
"""Marks: the position in the audit log; the moment up to which rows were looked at."""

_ROWS_AT_ONCE = 200
"""Rows whose events are queued in one step: others wait for the queue meanwhile."""

RowsSince = Callable[[datetime], Iterable[RecordingRow]]


class WebhookIntake:
    """Follows the audit log and the rows.

    Args:
        log: The audit log.
        rows_since: Returns the rows of calls that began after a moment; raises StorageError.
        queue: The queue.
        targets: The configured targets.
        now: The wall clock, UTC.
    """

    def __init__(
        self, log: AuditLog, rows_since: RowsSince, queue: WebhookQueue, targets: Sequence[WebhookOptions],
        *, now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        self._log = log
        self._rows_since = rows_since
        self._queue = queue
        self._targets = targets
        self._now = now
        self._next_rows: datetime | None = None
        self._failures = 0
        self.problem = ""

    def keep(self, stopping: threading.Event) -> None:
        """Queue events until told to stop."""
        while not stopping.wait(self.run_once()):
            pass

    def run_once(self) -> float:
        """Queue what is new; return the seconds until the next look. Never raises."""
        try:
            if self._rows_are_due():
                self._queue.check()
            is_more = self._take_entries()
            if self._rows_are_due():
                self._take_rows()
                self._next_rows = self._now() + ROWS_EVERY
        except (QueueError, AuditUnavailableError, StorageError, OSError) as error:
            if isinstance(error, QueueError) and error.is_damaged and self._began_anew(error):
                return 0.0
            return self._failed(str(error))
        except Exception as error:  # noqa: BLE001 - a bug here must not end the intake
            _log.exception("Queuing events for webhooks failed; retrying")
            return self._failed(f"internal error, {type(error).__name__}; see the log")
        self._failures, self.problem = 0, ""
        return 0.0 if is_more else LOOK_S

    def _began_anew(self, error: QueueError) -> bool:
        """Have a damaged queue derived again from the facts of the days in which an event is tried; tell whether it is.

        What was delivered goes out again with its id, which receivers keep for longer.
        """
        since = self._now() - GIVEN_UP_AFTER
        try:
            position = _before(self._log, since)
            rows = time_to_json(since + LONGEST_CALL) or ""
            self._queue.begin_anew({_AUDIT: text_of(position), _ROWS: rows})
        except (QueueError, AuditUnavailableError, OSError) as problem:
            _log.error("The queue of webhooks is damaged, and cannot be made anew: %s", problem)
            return False
        self._next_rows = None
        _log.error("%s: it is damaged, so the events of the last %d days are queued again", error, GIVEN_UP_AFTER.days)
        return True

    def _rows_are_due(self) -> bool:
        """Tell whether an hour has gone since the last look, or the clock was set back."""
        return self._next_rows is None or not self._next_rows - ROWS_EVERY <= self._now() < self._next_rows

    def _take_entries(self) -> bool:
        """Queue pauses and resumes; begins at the end of the log, since nobody waits for old ones."""
        noted = self._queue.mark(_AUDIT)
        if noted is None:
            self._queue.add([], self._targets, self._now(), mark=(_AUDIT, text_of(end_of(self._log))))
            return False
        found = follow(self._log, position_of(noted))
        if not found.lines:
            return False
        events = [of_entry(line) for line, _ in found.lines if isinstance(line, AuditEntry)]
        known = [event for event in events if event is not None] if not found.is_anew else []
        mark = end_of(self._log) if found.is_anew else found.lines[-1][1]
        self._queue.add(known, self._targets, self._now(), mark=(_AUDIT, text_of(mark)))
        return True

    def _take_rows(self) -> None:
        now, new = self._now(), 0
        noted = time_from_json(self._queue.mark(_ROWS))
        # A mark in the future was made before the clock was set back.
        rows = () if noted is None else self._rows_since(min(noted, now) - LONGEST_CALL)
        ended = (row for row in rows if row.ended_at is not None)
        while some := list(islice(ended, _ROWS_AT_ONCE)):
            events = [event for row in sorted(some, key=lambda row: row.started_at) for event in of_row(row)]
            new += self._queue.add(events, self._targets, now)
        self._queue.add([], self._targets, now, mark=(_ROWS, time_to_json(now) or ""))
        if new:
            _log.warning("%d events were queued for webhooks from the rows of calls", new)

    def _failed(self, problem: str) -> float:
        if problem != self.problem:
            _log.error("Queuing events for webhooks failed; retrying: %s", problem)
        self._failures += 1
        self.problem = problem
        return pause_s(self._failures)


def _before(log: AuditLog, moment: datetime) -> Position:
    """Return the position in the log before the first entry at or after a moment.

    Raises:
        AuditUnavailableError: The log cannot be read.
    """
    after = Position()
    while found := follow(log, after).lines:
        for line, position in found:
            at = time_from_json(line.at) if isinstance(line, AuditEntry) else None
            if at is not None and at >= moment:
                return after
            after = position
    return after
