"""Sends the entries of the audit log to a syslog server: each at least once, in order.

The log is the spool. The position moves only when the server has read everything up to there, so a restart, a crash or
a lost connection has entries sent again, and none left out. One thread.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from recorder.config.syslog_options import SyslogOptions
from recorder.forwarding.audit_follower import DamagedLine, Position, PositionFile, follow
from recorder.forwarding.retries import pause_s
from recorder.forwarding.syslog_message import damaged_message, message_of
from recorder.forwarding.syslog_server import TIMEOUT_S, SyslogError, send
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from storage.errors import AuditUnavailableError
from storage.rows import time_to_json

_log = logging.getLogger(__name__)

LOOK_S = 0.5
"""Interval between two looks at the audit log."""
LAST_TIMEOUT_S = 2.0
"""How long each step of the last try may take, when the process ends."""

Lines = Sequence[tuple[AuditEntry | DamagedLine, Position]]
Send = Callable[[SyslogOptions, Sequence[bytes], float], None]


def _send(options: SyslogOptions, messages: Sequence[bytes], timeout_s: float) -> None:
    send(options, messages, timeout_s=timeout_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogState:
    """How far sending is.

    Attributes:
        sent: Number of the newest entry that the server has read; 0 for none.
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


class SyslogForwarding:
    """Sends entries until it is told to stop.

    Args:
        log: The audit log.
        options: A checked section with a server.
        position: Where sending is.
        host: Name of this machine, for the messages.
        now: The wall clock, UTC.
        send: Sends messages; raises SyslogError.
    """

    def __init__(
        self, log: AuditLog, options: SyslogOptions, position: PositionFile, *, host: str,
        now: Callable[[], datetime], send: Send = _send,
    ) -> None:  # fmt: skip
        self._log = log
        self._options = options
        self._file = position
        self._position = self._stored = position.load()
        self._host = host
        self._now = now
        self._send = send
        self._failures = 0
        self.state = SyslogState(sent=self._position.number)

    def keep(self, stopping: threading.Event) -> None:
        """Send until told to stop, then once more what is new."""
        while not stopping.wait(self.run_once()):
            pass
        self.run_once(timeout_s=LAST_TIMEOUT_S)

    def run_once(self, *, timeout_s: float = TIMEOUT_S) -> float:
        """Send what is new; return the seconds until the next try. Never raises."""
        unsent: Lines = []
        try:
            found = follow(self._log, self._position)
            unsent = lines = found.lines
            if lines:
                self._send(self._options, [self._message(line) for line, _ in lines], timeout_s)
                self._position, unsent = lines[-1][1], []
                if found.is_anew:  # said once, not with each try
                    _log.error("The audit log is not the one that was sent by syslog before: all its entries are sent")
            self._store()
        except (SyslogError, AuditUnavailableError, OSError) as error:
            return self._failed(str(error), unsent)
        except Exception as error:  # noqa: BLE001 - a bug here must not end the sending of audit entries
            _log.exception("Sending the audit log by syslog failed; retrying")
            return self._failed(f"internal error, {type(error).__name__}; see the log", unsent)
        if self._failures:
            _log.warning("The syslog server takes entries of the audit log again")
        self._failures = 0
        waiting = self._waiting(0) if found.is_cut else 0
        self.state = SyslogState(sent=self._position.number, waiting=waiting)
        return 0.0 if lines else LOOK_S

    def _store(self) -> None:
        """Store the position. Where the disk is full, later entries are still sent; a restart sends these again."""
        if self._stored != self._position:
            self._file.save(self._position)
            self._stored = self._position

    def _message(self, line: AuditEntry | DamagedLine) -> bytes:
        if isinstance(line, DamagedLine):
            return damaged_message(line.offset, time_to_json(self._now()) or "-", self._host)
        return message_of(line, self._host)

    def _failed(self, problem: str, unsent: Lines) -> float:
        self._failures += 1
        if self.state.problem != problem:
            _log.error("Sending the audit log by syslog failed; retrying: %s", problem)
        oldest = next((line.at for line, _ in unsent if isinstance(line, AuditEntry)), self.state.oldest_at)
        since = self.state.failing_since or time_to_json(self._now()) or ""
        self.state = SyslogState(
            sent=self._position.number, waiting=self._waiting(len(unsent)), oldest_at=oldest, failing_since=since,
            problem=problem,
        )  # fmt: skip
        return pause_s(self._failures)

    def _waiting(self, least: int) -> int:
        try:
            head = self._log.head()
        except AuditUnavailableError:
            return least
        newest = head.number if head is not None and head.number is not None else 0
        return max(newest - self._position.number, least)
