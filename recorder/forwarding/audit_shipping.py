"""Copies the entries of the audit log into the database of the index, where one is shared by several machines.

The log is the queue, and the database says how far the copy is: nothing is stored here. Entries are added in order, so
after an outage copying goes on behind the newest row. Free texts stay in the home, where they expire. One thread.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from recorder.forwarding.audit_follower import DamagedLine, Lines, Position, follow
from recorder.forwarding.sending_progress import SendingProgress, SendingState
from storage.audit import AuditLog
from storage.audit_copies import AuditCopies, CopyRefusedError
from storage.audit_entry import AuditEntry
from storage.errors import AuditUnavailableError, DatabaseError

_log = logging.getLogger(__name__)

LOOK_S, CONSOLE_LOOK_S = 0.5, 5.0
"""Interval between two looks at the audit log, of the daemon's process and of a console. The console of a home with a
daemon so finds its entries copied already."""


class AuditShipping:
    """Adds entries to the copies until it is told to stop.

    Args:
        log: The audit log.
        copies: The copies.
        name: Name of the log.
        fingerprint: Of the key of its home, 64 hex digits.
        now: The wall clock, UTC.
        look_s: Interval between two looks, seconds.
    """

    def __init__(
        self, log: AuditLog, copies: AuditCopies, *, name: str, fingerprint: str, now: Callable[[], datetime],
        look_s: float = LOOK_S,
    ) -> None:  # fmt: skip
        self._audit = log
        self._copies = copies
        self._name = name
        self._fingerprint = fingerprint
        self._now = now
        self._look_s = look_s
        self._position: Position | None = None
        self._size = -1
        """Length of the log when all of it had been copied, bytes."""
        self._progress = SendingProgress(
            log, now=now, failed="Copying the audit log to the database failed",
            works="The database takes entries of the audit log again",
        )  # fmt: skip

    @property
    def state(self) -> SendingState:
        """How far copying is."""
        return self._progress.state

    def keep(self, stopping: threading.Event) -> None:
        """Copy until told to stop, then once more what is new; close the database."""
        while not stopping.wait(self.run_once()):
            pass
        self.run_once()
        self._copies.close()

    def run_once(self) -> float:
        """Copy what is new; return the seconds until the next try. Never raises."""
        unsent: Lines = []
        try:
            size = self._audit.size()
            if size == self._size:
                return self._look_s
            position = self._begun()
            found = follow(self._audit, position)
            unsent = found.lines
            if found.is_anew:
                raise CopyRefusedError(
                    f"the database has entry {position.number} of the audit log {self._name!r}, and the log here has "
                    "no such entry: it was cut off, restored or made anew; run `recorder audit verify`"
                )
            self._copies.add(self._name, [line for line, _ in unsent if isinstance(line, AuditEntry)])
        except (DatabaseError, CopyRefusedError, AuditUnavailableError, OSError) as error:
            return self._failed(str(error), unsent)
        except Exception as error:  # noqa: BLE001 - a bug here must not end the copying of audit entries
            _log.exception("Copying the audit log to the database failed; retrying")
            return self._failed(f"internal error, {type(error).__name__}; see the log", unsent)
        for line, _ in unsent:
            if isinstance(line, DamagedLine):
                _log.error("The line of the audit log at byte %d is no entry and was not copied", line.offset)
        self._position = unsent[-1][1] if unsent else position
        self._size = -1 if unsent else size
        self._progress.worked(self._position, may_wait=found.is_cut)
        return 0.0 if unsent else self._look_s

    def _begun(self) -> Position:
        """Return the position after the newest row of this log; the database is asked anew after each failure."""
        if self._position is None:
            self._copies.register(self._name, self._fingerprint, self._now())
            newest = self._copies.newest(self._name)
            # Where the entry is in the file is not known; `follow` finds it by its hash.
            self._position = Position() if newest is None else Position(end=1, number=newest[0], hash=newest[1])
        elif (newest := self._copies.newest(self._name)) != self._copied():
            self._told_gone(newest)
            self._position = None
            return self._begun()
        return self._position

    def _copied(self) -> tuple[int, str] | None:
        assert self._position is not None
        return (self._position.number, self._position.hash) if self._position.number else None

    def _told_gone(self, newest: tuple[int, str] | None) -> None:
        """Log that rows which were there are gone; another process of this home may also have added newer ones."""
        number = 0 if newest is None else newest[0]
        assert self._position is not None
        if number < self._position.number:
            _log.error(
                "The database had entry %d of the audit log %s and now ends with entry %d: it was restored, or rows "
                "were deleted; they are copied again",
                self._position.number, self._name, number,
            )  # fmt: skip

    def _failed(self, problem: str, unsent: Lines) -> float:
        position, self._position, self._size = self._position, None, -1
        return self._progress.failed(problem, position or Position(number=self.state.sent), unsent)
