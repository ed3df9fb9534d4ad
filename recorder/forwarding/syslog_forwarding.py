"""Sends the entries of the audit log to a syslog server: each at least once, in order.

The log is the spool. The position moves only when the server has read everything up to there, so a restart, a crash or
a lost connection has entries sent again, and none left out. One thread.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime

from recorder.config.syslog_options import SyslogOptions
from recorder.forwarding.audit_follower import DamagedLine, Lines, PositionFile, follow
from recorder.forwarding.sending_progress import SendingProgress, SendingState
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

Send = Callable[[SyslogOptions, Sequence[bytes], float], None]


def _send(options: SyslogOptions, messages: Sequence[bytes], timeout_s: float) -> None:
    send(options, messages, timeout_s=timeout_s)


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
        self._progress = SendingProgress(
            log, now=now, failed="Sending the audit log by syslog failed",
            works="The syslog server takes entries of the audit log again", sent=self._position.number,
        )  # fmt: skip

    @property
    def state(self) -> SendingState:
        """How far sending is."""
        return self._progress.state

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
            return self._progress.failed(str(error), self._position, unsent)
        except Exception as error:  # noqa: BLE001 - a bug here must not end the sending of audit entries
            _log.exception("Sending the audit log by syslog failed; retrying")
            return self._progress.failed(f"internal error, {type(error).__name__}; see the log", self._position, unsent)
        self._progress.worked(self._position, may_wait=found.is_cut)
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
