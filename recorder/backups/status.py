"""When the last backup was made, and whether deletions reach the destination: `state/backup.json`, for health.

Backup and console write the file; the daemon reads it, and reads no destination.
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from recorder.config.backup_options import BackupOptions
from storage.durable import make_folder, save_atomically
from storage.rows import time_from_json, time_to_json

NAME = "backup.json"
BEHIND, OVERDUE, INCOMPLETE = "backup_behind", "backup_overdue", "backup_incomplete"
"""Alarms: deletions do not reach the destination; no backup was made for `OVERDUE_AFTER`; the last one has problems."""
REHEARSAL_OVERDUE, REHEARSAL_FAILED = "rehearsal_overdue", "rehearsal_failed"
"""Alarms: no backup was restored on trial for `REHEARSED_AFTER`, or never; the last trial found something wrong."""
REHEARSED_AFTER = timedelta(days=40)
"""A rehearsal each month, and some days to spare."""
MOST_PROBLEMS = 20
"""Problems that are kept for health; the audit log and the command's output have all."""
OVERDUE_AFTER = timedelta(hours=36)
"""A nightly backup may take long once."""
BEHIND_AFTER = timedelta(minutes=2)
"""How long the destination may be away unnoticed."""


class BackupStatus:
    """Reads and writes the file.

    Args:
        state: The home's folder of states.
    """

    def __init__(self, state: Path) -> None:
        self._path = state / NAME

    def made(self, snapshot: str, at: datetime, problems: Sequence[str] = ()) -> None:
        """Note a complete snapshot, and what is missing in it. Raises OSError."""
        first = self._load().get("first_at") or time_to_json(at)
        self._save(
            {
                "first_at": first,
                "snapshot": snapshot,
                "at": time_to_json(at),
                "problems": list(problems)[:MOST_PROBLEMS],
            }
        )

    def rehearsed(self, snapshot: str, at: datetime, problems: Sequence[str]) -> None:
        """Note a restore on trial, and what was wrong. Raises OSError."""
        rehearsal = {"snapshot": snapshot, "at": time_to_json(at), "problems": list(problems)[:MOST_PROBLEMS]}
        self._save({"rehearsal": rehearsal})

    def followed(self, at: datetime, problem: str) -> None:
        """Note whether the journal could be continued; the first failure's time is kept. Raises OSError."""
        before = self._load()
        if problem == before.get("problem", "") and "behind_since" in before:
            return
        since = None if not problem else before.get("behind_since") or time_to_json(at)
        self._save({"problem": problem, "behind_since": since})

    def read(self) -> dict[str, Any]:
        """Return what was noted; empty if nothing was.

        Raises:
            OSError, ValueError, TypeError: It cannot be read.
        """
        return dict(json.loads(self._path.read_bytes())) if self._path.exists() else {}

    def _load(self) -> dict[str, Any]:
        try:
            return self.read()
        except (OSError, ValueError, TypeError):
            return {}

    def _save(self, changes: dict[str, Any]) -> None:
        make_folder(self._path.parent)
        save_atomically(self._path, json.dumps({**self._load(), **changes}).encode())


class BackupHealth:
    """The state of backups, for the daemon's health. Blocks.

    Args:
        state: The home's folder of states.
        options: Returns the section ``[backup]``; without a destination there is never an alarm.
        now: The clock, UTC.
        since: When this process started: a new recorder has no backup yet.
    """

    def __init__(
        self, state: Path, options: Callable[[], BackupOptions], now: Callable[[], datetime], since: datetime
    ) -> None:
        self._status = BackupStatus(state)
        self._options = options
        self._now = now
        self._since = since

    def look(self) -> dict[str, Any]:
        """Return the state, with its alarms."""
        destination = self._options().destination
        found: dict[str, Any] = {
            "alarms": {}, "destination": destination, "snapshot": None, "at": None, "problem": "", "problems": [],
            "rehearsal": None,
        }  # fmt: skip
        if destination is None:
            return found
        try:
            noted = self._status.read()
            made, behind = time_from_json(noted.get("at")), time_from_json(noted.get("behind_since"))
            problems, rehearsal = list(noted.get("problems") or []), noted.get("rehearsal")
            rehearsed = None if rehearsal is None else time_from_json(rehearsal["at"])
            is_failed = rehearsal is not None and bool(rehearsal["problems"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            return {**found, "alarms": {BEHIND: 1}, "problem": f"state/{NAME} cannot be read: {type(error).__name__}"}
        alarms = {}
        if behind is not None and self._now() - behind >= BEHIND_AFTER:
            alarms[BEHIND] = 1
        if self._now() - (made or self._since) >= OVERDUE_AFTER:
            alarms[OVERDUE] = 1
        if problems:
            alarms[INCOMPLETE] = len(problems)
        if is_failed:
            alarms[REHEARSAL_FAILED] = 1
        if self._now() - (rehearsed or self._since_first_backup(noted)) >= REHEARSED_AFTER:
            alarms[REHEARSAL_OVERDUE] = 1
        return {
            "alarms": alarms,
            "destination": destination,
            "snapshot": noted.get("snapshot"),
            "at": time_to_json(made),
            "problem": str(noted.get("problem") or ""),
            "problems": problems,
            "rehearsal": rehearsal,
        }

    def _since_first_backup(self, noted: dict[str, Any]) -> datetime:
        """Return from when on a rehearsal that was never made is missed: a restart of the daemon changes nothing."""
        return time_from_json(noted.get("first_at")) or self._since
