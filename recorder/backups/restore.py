"""Restores a home from a backup, into an empty folder.

The configuration is written last: until then nothing starts in that folder. An interrupted restore is continued by
running it again. Deletions, holds, rights requests and orders to erase of the audit log are replayed before that, so a
recording that was deleted after the snapshot is gone before anybody can search.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from recorder.backups.errors import BackupError
from recorder.backups.journal import entries_of
from recorder.backups.restore_plan import PLACED, RestorePlan, journal_after, plan_restore
from recorder.backups.rules import BackupClass
from recorder.backups.settling import Settled, settle
from recorder.backups.snapshots import Repository, StoredFile, read_pieces
from recorder.backups.sources import INDEX
from recorder.common.home import Home
from recorder.config.changing import with_setting
from recorder.config.reading import read_config
from recorder.config.settings import Config
from recorder.config.toml_tables import ConfigError
from recorder.objects.store import Store
from recorder.recordings.move_note import forget_note
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry, break_between
from storage.audit_reading import newest_first
from storage.audit_texts import StoredText
from storage.database import Database, sqlite_url
from storage.database_copy import copy_from_file, filled
from storage.durable import make_folder, remove, save_atomically, sync_file_system

MARK = "restore.json"
"""In the new home while it is not complete: which snapshot is being restored. It stays in one that is on trial."""
_CONFIG, _PENDING = "recorder.toml", "restored.toml"
"""The configuration, and its name until everything else is there."""
_ROOM_BYTES = 64 << 20
_NEW = ".new-"
"""Prefix of files that are being written."""
_BESIDE = ("-wal", "-shm", "-journal")
Progress = Callable[[str, int, int], None]
"""Called with what is being done, bytes done and bytes in all."""


@dataclass(slots=True, kw_only=True)
class Restored:
    """What a restore did.

    Attributes:
        plan: What was restored from which snapshot.
        entries: Entries of the journal that were added to the audit log.
        settled: What was replayed, and the recordings that do not verify.
        notes: Sentences on what the operator has to do.
    """

    plan: RestorePlan
    entries: int = 0
    settled: Settled = field(default_factory=Settled)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {
            **self.plan.as_json(), "entries_from_journal": self.entries, **self.settled.as_json(),
            "notes": list(self.notes),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Restore:
    """Restores into one folder.

    Attributes:
        data: The destination of the data; its public key is that of the keys.
        keys: The destination of the keys.
        home: The new home; it must be missing or empty, or hold an interrupted restore of the same snapshot.
        snapshot: Id of the snapshot; None for the newest.
        index_url: Database of the index instead of the configured one; ``off`` for a file in the home.
        now: The clock, UTC.
        by: User of the operating system, for the audit log.
    """

    data: Repository
    keys: Repository
    home: Home
    snapshot: str | None
    index_url: str | None
    now: Callable[[], datetime]
    by: str
    is_rehearsal: bool = False
    """Whether it is a restore on trial, which must not reach the object store of the real recorder."""

    def plan(self) -> RestorePlan:
        """Return what would be restored; changes nothing.

        Raises:
            BackupError: It cannot be restored, or the folder is not free.
        """
        plan = plan_restore(self.data, self.keys, self.snapshot or self._begun())
        self._check_free(plan)
        return plan

    def run(self, progress: Progress = lambda _what, _done, _total: None) -> Restored:
        """Restore, replay and verify.

        Raises:
            BackupError: It cannot be restored; the message says what to do. Run it again to continue.
            StorageError, OSError: From disk or database, likewise.
        """
        plan = self.plan()
        done = Restored(plan=plan, notes=[f"{plan.gap}. Deletions and holds since may be unknown"] if plan.gap else [])
        make_folder(self.home.root, is_private=True)
        for left in self.home.root.rglob(f"{_NEW}*"):
            left.unlink()
        if self._begun() is None:
            mark = {"snapshot": plan.snapshot.id, "is_rehearsal": self.is_rehearsal}
            save_atomically(self.home.root / MARK, json.dumps(mark).encode())
        self._place_all(plan, progress)
        sync_file_system(self.home.root)
        done.entries = self._extend_audit(plan)
        config, text = self._configured(done)
        database = self._open_index(config)
        try:
            settle(self.home, config, database, plan, done.settled, by=self.by, now=self.now, progress=progress)
        finally:
            database.close()
        save_atomically(self.home.config, text)
        remove(self.home.root / _PENDING)
        if not self.is_rehearsal:
            remove(self.home.root / MARK)
        return done

    def _begun(self) -> str | None:
        """Return the snapshot of an interrupted restore, or None."""
        try:
            return str(json.loads((self.home.root / MARK).read_bytes())["snapshot"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _check_free(self, plan: RestorePlan) -> None:
        root = self.home.root
        if root.exists() and any(not path.name.startswith(_NEW) for path in root.iterdir()):
            begun = self._begun()
            if begun is None:
                raise BackupError(f"{root} is not empty, and nothing in it is overwritten: name a new folder")
            if begun != plan.snapshot.id:
                raise BackupError(
                    f"{root} holds an interrupted restore of snapshot {begun}: continue it with --snapshot {begun}, or "
                    "name a new folder"
                )
        above = next(one for one in (root, *root.parents) if one.exists())
        have = _bytes_below(root) if root.exists() else 0
        if shutil.disk_usage(above).free < plan.bytes - have + _ROOM_BYTES:
            raise BackupError(f"{above} has no room for {plan.bytes:,} bytes: free space there, or name another disk")

    # --- files

    def _place_all(self, plan: RestorePlan, progress: Progress) -> None:
        done, total = 0, plan.bytes
        for name in PLACED:
            store = self.keys.store if name is BackupClass.KEYS else self.data.store
            for file in plan.files[name]:
                self._place(store, file)
                done += file.size
                progress("restoring", done, total)

    def _place(self, store: Store, file: StoredFile) -> None:
        name = _PENDING if file.path == _CONFIG else file.path
        target = self.home.root / name
        if target.exists() and _sha256(target) == file.sha256:
            return
        make_folder(target.parent, is_private=True)
        for end in _BESIDE:  # of a database that an interrupted restore had opened
            target.with_name(target.name + end).unlink(missing_ok=True)
        temporary = target.with_name(f"{_NEW}{secrets.token_hex(8)}")
        whole = hashlib.sha256()
        try:
            descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as write:
                for piece in read_pieces(store, file):
                    whole.update(piece)
                    write.write(piece)
            if whole.hexdigest() != file.sha256:
                raise BackupError(f"the pieces of {file.path} do not make up the file: `recorder backups check`")
            if file.seen is not None:
                os.utime(temporary, ns=(file.seen[1], file.seen[1]))
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    # --- audit log, configuration, index

    def _extend_audit(self, plan: RestorePlan) -> int:
        """Append the journal's entries and texts to the audit log; returns how many entries.

        Raises:
            BackupError: The journal does not continue the log.
        """
        audit = AuditLog(self.home.audit)
        last = next(newest_first(audit.path), None)
        added = 0
        with audit.path.open("ab") as log:
            for segment in journal_after(self.data, plan):
                texts = (StoredText(commitment=a, salt=bytes.fromhex(b), text=c) for a, b, c in segment.texts)
                audit.texts.restore(texts)
                for line, entry in zip(segment.lines, entries_of(segment), strict=True):
                    if entry.number <= (last.number if last else 0):
                        continue
                    _check_follows(last, entry, self.data.store)
                    log.write(line.encode("ascii") + b"\n")
                    last, added = entry, added + 1
            log.flush()
            os.fsync(log.fileno())
        return added

    def _configured(self, done: Restored) -> tuple[Config, bytes]:
        """Return the configuration for the new home, and its text."""
        path = self.home.root / _PENDING
        text = path.read_text(encoding="utf-8")
        before = self._read(path)
        if before.storage.private_keys is not None:
            text = with_setting(text, "storage", "private_keys", "off")
            done.notes.append(
                f"the private keys are in {self.home.private_keys}; they were in {before.storage.private_keys}, so "
                'private_keys is "off" in recorder.toml now'
            )
        for key in ("keys_destination", "destination"):
            if getattr(before.backup, key) is not None:
                text = with_setting(text, "backup", key, "off")
        if before.backup.destination is not None:
            done.notes.append(
                "[backup] is off in recorder.toml, so that a restore on trial does not write to the real backup: set "
                f'destination = "{before.backup.destination}" again once this recorder takes the place of the other'
            )
        if self.is_rehearsal and before.objects.url is not None:
            text = with_setting(text, "objects", "url", "off")
        if self.index_url is not None:
            text = with_setting(text, "storage", "index_url", self.index_url)
        save_atomically(path, text.encode())
        return self._read(path), text.encode()

    def _read(self, path: Path) -> Config:
        try:
            return read_config(path)
        except ConfigError as error:
            raise BackupError(f"the configuration of the snapshot cannot be used: {error}") from error

    def _open_index(self, config: Config) -> Database:
        """Open the index; one on a server is filled first."""
        if config.storage.index_url is None:
            forget_note(self.home.state)  # the index of the snapshot is there, wherever it was when that was made
            return Database(sqlite_url(self.home.index))
        database = Database(config.storage.index_url)
        mark = {"snapshot": self._begun(), "index": database.name, "is_rehearsal": self.is_rehearsal}
        try:
            tables = filled(database)
            if json.loads((self.home.root / MARK).read_bytes()).get("index") != database.name:
                if tables:
                    raise BackupError(
                        f"{database.name} has rows in {', '.join(tables)}, and nothing is overwritten: empty it, or "
                        "name another database with --index-url"
                    )
                save_atomically(self.home.root / MARK, json.dumps(mark).encode())
            if not tables:  # rows are those of an interrupted restore, which copied all of them or none
                copy_from_file(self.home.root / INDEX, database)
        except BaseException:
            database.close()
            raise
        remove(self.home.root / INDEX)
        return database


def is_on_trial(root: Path) -> bool:
    """Tell whether a folder holds what a restore on trial made, and nothing else that a recorder would miss."""
    try:
        return json.loads((root / MARK).read_bytes())["is_rehearsal"] is True
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _check_follows(last: AuditEntry | None, entry: AuditEntry, store: Store) -> None:
    if (problem := break_between(last, entry)) is not None:
        raise BackupError(
            f"the journal of {store.name} does not continue the audit log at entry {entry.number}: {problem}"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bytes_below(root: Path) -> int:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
