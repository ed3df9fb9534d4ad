"""Audit entries of acts that do not wait for the log: pauses, resumes, refusals. They are queued while it fails.

A queued entry is stored in its own file, so that it survives the daemon. It is written to the log, with the time of the
act, as soon as the log works again. Acts that must not happen without their entry do not use this module.
"""

import json
import logging
import re
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from storage.audit import AuditLog
from storage.durable import make_folder, remove, save_atomically
from storage.errors import AuditUnavailableError
from storage.rows import time_to_json

_log = logging.getLogger(__name__)

FOLDER, CONSOLE_FOLDER, SHELL_FOLDER = "late_entries", "late_console_entries", "late_shell_entries"
"""Of the files, in the home's folder of states: the daemon's, the console's, and those of commands."""
FOLDERS = (FOLDER, CONSOLE_FOLDER, SHELL_FOLDER)
RETRY_S = 3.0
"""How long a failed log is not tried, seconds: each try may take the time-out of its lock, and pauses wait for it."""
_AT_ONCE, _AT_ONCE_BEFORE_ANOTHER = 100, 10
"""Entries that are caught up before others may be entered; and by an act that somebody waits for."""

_NAME = re.compile(r"\d{20}-\d{6}", re.ASCII)

Entry = dict[str, Any]


class LateEntries:
    """Writes entries to the log, or queues them, in the order in which they happened. Safe from any thread.

    Args:
        folder: The queue; created when needed. Entries of an earlier process are written too.
        alarm: Called with ``audit_unavailable`` for each queued entry, and with ``audit_entry_in_memory`` for one that
            could not be stored either: it is lost if the daemon ends first.
        now: The wall clock, UTC.
        clock: Monotonic, seconds.
        soon: Runs work that nobody waits for, such as settling texts; None to do it at once.
    """

    def __init__(
        self,
        audit: AuditLog,
        folder: Path,
        *,
        alarm: Callable[[str], None],
        now: Callable[[], datetime],
        clock: Callable[[], float],
        soon: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._audit = audit
        self._folder = folder
        self._alarm = alarm
        self._soon = soon
        self._now = now
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: dict[str, Entry | None] = {path.stem: None for path in sorted(folder.glob("*.json"))}
        """By name, which sorts by time; None: it is in its file."""
        self._failed_at: float | None = None

    @property
    def waiting(self) -> int:
        """Return the number of queued entries."""
        return len(self._waiting)

    def enter(self, act: str, actor: str, subject: str, details: Mapping[str, Any], text: str | None = None) -> None:
        """Write or queue an entry; returns when it is durable. Never raises."""
        entry = {"act": act, "actor": actor, "subject": subject, "details": dict(details), "text": text}
        with self._lock:
            self._catch_up(_AT_ONCE_BEFORE_ANOTHER)
            if self._waiting or self._is_down or not self._append(entry):
                self._alarm("audit_unavailable")
                self._put_aside({**entry, "at": time_to_json(self._now())})

    def catch_up(self) -> None:
        """Write queued entries, oldest first, if it is time to try again. Never raises."""
        with self._lock:
            self._catch_up(_AT_ONCE)

    @property
    def _is_down(self) -> bool:
        return self._failed_at is not None and self._clock() < self._failed_at + RETRY_S

    def _catch_up(self, at_most: int) -> None:
        for name in sorted(self._waiting)[:at_most]:
            if self._is_down:
                return
            try:
                entry = self._waiting[name] or json.loads(self._path(name).read_bytes())
                at = entry.pop("at")
                late = {**entry, "details": {**entry["details"], "late": True, "happened_at": at}}
            except (OSError, ValueError, KeyError, TypeError) as error:
                _log.error("Queued audit entry %s cannot be read, skipped: %s", self._path(name), error)
                self._waiting.pop(name)  # its file stays for inspection
                continue
            if not self._append(late):
                return
            self._forget(name)

    def _append(self, entry: Entry) -> bool:
        try:
            self._audit.append(**entry, settles=self._soon is None)
        except AuditUnavailableError as error:
            if self._failed_at is None:
                _log.error("%s; entries are queued", error)
            self._failed_at = self._clock()
            return False
        if self._failed_at is not None:
            _log.warning("The audit log can be written again")
        self._failed_at = None
        if self._soon is not None and entry.get("text") is not None:
            self._settle(self._soon)
        return True

    def _settle(self, soon: Callable[[Callable[[], None]], object]) -> None:
        try:
            soon(self._audit.settle)
        except RuntimeError:  # the executor is closed, because the process is ending
            self._audit.settle()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _put_aside(self, entry: Entry) -> None:
        name = self._next_name()
        try:
            make_folder(self._folder)
            save_atomically(self._path(name), json.dumps(entry).encode())
        except (OSError, TypeError, ValueError) as error:
            self._alarm("audit_entry_in_memory")
            _log.error("An audit entry is queued in memory only: %s", error)
            self._waiting[name] = entry
        else:
            self._waiting[name] = None

    def _next_name(self) -> str:
        """Return a name that sorts after all queued ones, whatever the clock says."""
        name = f"{int(self._now().timestamp() * 1e9):020d}-000000"
        last = max(filter(_NAME.fullmatch, self._waiting), default="")
        if name > last:
            return name
        time, _, count = last.partition("-")
        return f"{time}-{int(count) + 1:06d}"

    def _forget(self, name: str) -> None:
        self._waiting.pop(name)
        try:
            if self._path(name).exists():
                remove(self._path(name))
        except OSError as error:
            _log.error("Removing a queued audit entry failed; it will be written twice: %s", error)
