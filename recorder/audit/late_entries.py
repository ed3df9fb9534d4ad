"""Entries of acts that do not wait for the audit log: pauses, resumes, refusals. What it cannot take is entered later.

Such an entry waits in a file of its own, so that it outlives the daemon, and is entered with the time at which it
happened as soon as the log can be written again. Acts that must not happen without their entry never come here.
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
"""How long a log that failed is left in peace: each try may cost the time-out of its lock, and pauses wait for it."""
_AT_ONCE, _AT_ONCE_BEFORE_ANOTHER = 100, 10
"""Entries that are caught up before others may be entered; and by an act that somebody waits for."""

_NAME = re.compile(r"\d{20}-\d{6}", re.ASCII)

Entry = dict[str, Any]


class LateEntries:
    """Enters what may be late, in the order in which it happened. Safe from any thread.

    Args:
        audit: The audit log.
        folder: Where entries wait; made when it is needed. What an earlier process left in it is entered too.
        alarm: Told ``audit_unavailable`` for each entry that has to wait, ``audit_entry_in_memory`` for one that has no
            file either: it is lost if the daemon ends before the log can be written.
        now: The wall clock, UTC.
        clock: Monotonic, seconds.
        soon: Has done what nobody needs to wait for: that texts are settled. None: it is done at once.
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
        """Return how many entries wait for the log."""
        return len(self._waiting)

    def enter(self, act: str, actor: str, subject: str, details: Mapping[str, Any], text: str | None = None) -> None:
        """Enter an act; returns when it is durable, in the log or in its file. Never raises."""
        entry = {"act": act, "actor": actor, "subject": subject, "details": dict(details), "text": text}
        with self._lock:
            self._catch_up(_AT_ONCE_BEFORE_ANOTHER)
            if self._waiting or self._is_down or not self._append(entry):
                self._alarm("audit_unavailable")
                self._put_aside({**entry, "at": time_to_json(self._now())})

    def catch_up(self) -> None:
        """Enter what waits, oldest first, if it is time to try again. Never raises."""
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
                _log.error("a late entry of the audit log cannot be read: %s: %s", self._path(name), error)
                self._waiting.pop(name)  # it stays on disk for whoever looks into it
                continue
            if not self._append(late):
                return
            self._forget(name)

    def _append(self, entry: Entry) -> bool:
        try:
            self._audit.append(**entry, settles=self._soon is None)
        except AuditUnavailableError as error:
            if self._failed_at is None:
                _log.error("%s; what happens meanwhile is entered later", error)
            self._failed_at = self._clock()
            return False
        if self._failed_at is not None:
            _log.warning("the audit log can be written again")
        self._failed_at = None
        if self._soon is not None and entry.get("text") is not None:
            self._settle(self._soon)
        return True

    def _settle(self, soon: Callable[[Callable[[], None]], object]) -> None:
        try:
            soon(self._audit.settle)
        except RuntimeError:  # the executor takes nothing more: the process is being ended
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
            _log.error("an entry of the audit log waits in memory only: %s", error)
            self._waiting[name] = entry
        else:
            self._waiting[name] = None

    def _next_name(self) -> str:
        """Return a name that sorts behind those of all that waits, whatever the clock says now."""
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
            _log.error("the file of an entry that was entered stays, and it is entered again: %s", error)
