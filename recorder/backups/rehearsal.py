"""Restores a backup on trial: into a scratch folder, with every check of a real restore, and removes it again."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from recorder.backups.errors import BackupError
from recorder.backups.restore import MARK, Progress, Restore, Restored, is_on_trial
from recorder.backups.snapshots import Repository
from recorder.backups.status import BackupStatus
from recorder.common.file_lock import locked
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.recordings.home_stores import open_reader
from storage.audit import AuditLog
from storage.database import Database, sqlite_url
from storage.errors import StorageError
from storage.key_files import destroy_secret
from storage.stored_rows import StoredRows
from storage.types import RecordingRow

REHEARSED = "backup.rehearsed"
"""Act of the audit log."""
FOLDER, LOCK = "rehearsal", "rehearsal.lock"
"""The scratch folder, in the home; and a file in the folder of states, held while a rehearsal runs."""


@dataclass(slots=True, kw_only=True)
class Rehearsed:
    """What a rehearsal found.

    Attributes:
        snapshot: What was restored.
        recordings: Recordings that were verified.
        opened: Recordings that were also opened with the private keys of the backup: the newest of each month.
        took_s: How long it took, seconds: a real restore takes as long.
        problems: What was wrong; none means that this backup can be restored.
    """

    snapshot: str
    recordings: int = 0
    opened: int = 0
    took_s: float = 0.0
    problems: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {
            "snapshot": self.snapshot, "recordings": self.recordings, "opened": self.opened,
            "took_s": round(self.took_s, 1), "problems": list(self.problems),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """Restores a backup on trial.

    Attributes:
        data: The destination of the data.
        keys: The destination of the keys.
        home: The recorder's home, whose audit log and health tell of it; nothing else in it is changed.
        scratch: The folder to restore into; it is removed before and afterwards.
        snapshot: Id of the snapshot; None for the newest.
        now: The clock, UTC.
        clock: Monotonic clock, seconds.
        by: User of the operating system, for the audit log.
    """

    data: Repository
    keys: Repository
    home: Home
    scratch: Path
    snapshot: str | None
    now: Callable[[], datetime]
    clock: Callable[[], float]
    by: str

    def run(self, progress: Progress = lambda _what, _done, _total: None) -> Rehearsed:
        """Restore, verify, remove and note the result.

        Raises:
            BackupError: Another rehearsal runs, or the scratch folder is something else's.
            StorageError, OSError: The audit log or the state cannot be written.
        """
        with locked(self.home.state / LOCK, wait=False) as is_alone:
            if not is_alone:
                raise BackupError("another rehearsal is running: wait until it has ended")
            self._check_scratch()
            remove(self.scratch)
            done, began_s = Rehearsed(snapshot=self.snapshot or ""), self.clock()
            try:
                self._restore(done, progress)
            except (StorageError, BackupError, OSError) as error:
                done.problems.append(str(error))
            finally:
                remove(self.scratch)
            done.took_s = self.clock() - began_s
            details = {"destination": self.data.store.name, "keys_at": self.keys.store.name, **done.as_json()}
            AuditLog(self.home.audit).append(REHEARSED, self.by, "", details)
            BackupStatus(self.home.state).rehearsed(done.snapshot, self.now(), done.problems)
            return done

    def _check_scratch(self) -> None:
        if self.scratch.is_symlink() or (self.scratch.exists() and not self.scratch.is_dir()):
            raise BackupError(f"{self.scratch} is no folder: name another one with --into")
        if self.scratch.exists() and any(self.scratch.iterdir()) and not is_on_trial(self.scratch):
            raise BackupError(f"{self.scratch} is not empty, and would be removed: name another folder with --into")

    def _restore(self, done: Rehearsed, progress: Progress) -> None:
        home = Home(self.scratch)
        restored = Restore(
            data=self.data, keys=self.keys, home=home, snapshot=self.snapshot, index_url="off", now=self.now,
            by=self.by, is_rehearsal=True,
        ).run(progress)  # fmt: skip
        done.snapshot = restored.plan.snapshot.id
        done.recordings = restored.settled.verified
        done.problems += _problems_of(restored)
        self._open_one_of_each_month(home, done)

    def _open_one_of_each_month(self, home: Home, done: Rehearsed) -> None:
        config, newest = read_config(home.config), dict[str, RecordingRow]()
        database = Database(sqlite_url(home.index))
        try:
            for one in StoredRows(database).each():
                if one.row is not None and one.row.path is not None and (home.recordings / one.row.path).exists():
                    newest[one.id[:6]] = one.row
        finally:
            database.close()
        for _, row in sorted(newest.items()):
            try:
                for _ in open_reader(home, config, row).blocks():
                    pass
            except (StorageError, OSError) as error:
                done.problems.append(f"recording {row.id} does not open with the keys of the backup: {error}")
            else:
                done.opened += 1


def _problems_of(restored: Restored) -> list[str]:
    found = [f"recording {one}: {problem}" for one, problem in restored.settled.problems.items()]
    found += [
        f"recordings are sealed to {month}, whose private key is not in the backup of the keys"
        for month in restored.settled.months_without_key
    ]
    return found + ([restored.plan.gap] if restored.plan.gap else [])


def remove_left(home: Home) -> bool:
    """Remove what a rehearsal left that was killed: private keys, and recordings that may have to be deleted since.

    Only the folder in the home, and none of a rehearsal that runs.

    Returns:
        Whether there was something.

    Raises:
        OSError: From the system.
    """
    scratch = home.root / FOLDER
    if scratch.is_symlink() or not is_on_trial(scratch):
        return False
    with locked(home.state / LOCK, wait=False) as is_alone:
        if is_alone:
            remove(scratch)
        return is_alone


def remove(scratch: Path) -> None:
    """Remove a restored home: its keys are overwritten first, its mark goes last. It may be missing. Raises OSError."""
    if not scratch.exists():
        return
    home = Home(scratch)
    for folder in (home.private_keys, scratch / "keys" / "node"):
        for path in folder.glob("*") if folder.is_dir() else ():
            destroy_secret(path)
    for path in scratch.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != MARK:
            path.unlink()
    shutil.rmtree(scratch)
