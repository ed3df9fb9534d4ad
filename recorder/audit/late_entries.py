"""Audit entries of acts that do not wait for the log: pauses, resumes, refusals. They are queued while it fails.

A queued entry is stored in its own file, so that it survives the process. It is written to the log, with the time of
the act, as soon as the log works again. Acts that must not happen without their entry do not use this module.

Daemon and console write what they queued themselves. A command ends before the log works again, so the daemon writes
what commands queued.
"""

import json
import logging
import os
import re
import stat
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
FOLDERS_WITH_ORDERS = (FOLDER, CONSOLE_FOLDER)
"""Those that may hold an order to erase; commands queue refusals only."""
QUEUED, IN_MEMORY = "audit_unavailable", "audit_entry_in_memory"
"""The alarms: an entry is queued; an entry is lost if the process ends before the log works again."""
RETRY_S = 3.0
"""How long a failed log is not tried, seconds: each try may take the time-out of its lock, and pauses wait for it."""
_AT_ONCE, _AT_ONCE_BEFORE_ANOTHER = 100, 10
"""Entries that are caught up before others may be entered; and by an act that somebody waits for."""

_NAME = re.compile(r"\d{20}-\d{6}", re.ASCII)
_MOST_BYTES = 1 << 20
_TYPES: Mapping[str, tuple[type, ...]] = {
    "act": (str,), "actor": (str,), "subject": (str,), "details": (dict,), "text": (str, type(None)), "at": (str,),
}  # fmt: skip
"""Of the fields of a queued entry."""

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
        is_left_to_daemon: Queue only, because this process ends soon.
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
        is_left_to_daemon: bool = False,
    ) -> None:
        self._audit = audit
        self._folder = folder
        self._alarm = alarm
        self._soon = soon
        self._now = now
        self._clock = clock
        self._lock = threading.Lock()
        self._is_left_to_daemon = is_left_to_daemon
        self._waiting: dict[str, Entry | None] = {}
        """By name, which sorts by time; None: it is in its file."""
        self._unreadable: set[str] = set()
        if not is_left_to_daemon:
            self.find()
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
                self._alarm(QUEUED)
                self._put_aside({**entry, "at": time_to_json(self._now())})

    def find(self) -> None:
        """Add what other processes have queued in the folder."""
        with self._lock:
            queued = {path.stem for path in self._folder.glob("*.json")} - self._unreadable
            self._waiting = {**dict.fromkeys(sorted(queued)), **self._waiting}

    def catch_up_others(self) -> None:
        """Write what other processes have queued in the folder. Never raises."""
        self.find()
        self.catch_up()

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
                entry = self._waiting[name] or _read(self._path(name))
            except (OSError, ValueError) as error:
                _log.error("Queued audit entry %s cannot be read, skipped: %s", self._path(name), error)
                self._waiting.pop(name)  # its file stays for inspection
                self._unreadable.add(name)
                continue
            details = {**entry["details"], "late": True, "happened_at": entry["at"]}
            late = {**{key: value for key, value in entry.items() if key != "at"}, "details": details}
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
            if self._is_left_to_daemon:
                _give_to_owner_of(self._folder.parent, self._folder, self._path(name))
        except (OSError, TypeError, ValueError) as error:
            self._alarm(IN_MEMORY)
            _log.error("An audit entry is queued in memory only: %s", error)
            self._waiting[name] = entry
        else:
            if not self._is_left_to_daemon:
                self._waiting[name] = None

    def _next_name(self) -> str:
        """Return a name that sorts after all queued ones, whatever the clock says."""
        process = os.getpid() % 1_000_000 if self._is_left_to_daemon else 0  # two commands may queue at once
        name = f"{int(self._now().timestamp() * 1e9):020d}-{process:06d}"
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


def _read(path: Path) -> Entry:
    """Return a queued entry. ValueError or OSError if the file holds none: another user may have put it there."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("not a regular file")
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"more than {_MOST_BYTES} bytes")
    entry = json.loads(content)
    if not isinstance(entry, dict) or entry.keys() != _TYPES.keys():
        raise ValueError("not an audit entry")
    if not all(isinstance(entry[key], kind) for key, kind in _TYPES.items()):
        raise ValueError("not an audit entry: a field has another type")
    return entry


def _give_to_owner_of(folder: Path, *paths: Path) -> None:
    """Give what root has created to the owner of a folder, so that the daemon can read it."""
    owner = folder.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        for path in paths:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
