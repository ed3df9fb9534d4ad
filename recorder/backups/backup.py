"""Makes a snapshot of a home at a destination, while daemon and console run; verifies it, and expires older ones."""

import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any

from recorder.backups.destinations import ADVICE
from recorder.backups.errors import BackupError, UnreadableFileError
from recorder.backups.expiry import expire
from recorder.backups.journal import Journal, JournalRun
from recorder.backups.pieces import Pieces, seen_of
from recorder.backups.recording_copy import RecordingCopier, SourceCheck
from recorder.backups.rules import DATA, BackupClass, next_id
from recorder.backups.snapshots import Repository, Snapshot, StoredFile
from recorder.backups.sources import Sources
from recorder.backups.status import BackupStatus
from recorder.common.file_lock import locked
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.objects.store import StoreError, problem_of
from recorder.recordings.keyring import months_without_key, private_folder
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from storage.audit_reading import newest_first
from storage.database import Database
from storage.epochs import EpochKeys
from storage.errors import KeyProblemError
from storage.heads import Head
from storage.keys import NodeKeys
from storage.vault import Vault

BEGUN, MADE = "backup.begun", "backup.made"
"""Acts of the audit log."""
LOCK, JOURNAL_LOCK = "backup.lock", "backup-journal.lock"
"""Files in the folder of states: held while a backup is made; held while the journal is continued."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, bytes done and bytes in all."""


class BackupBusyError(BackupError):
    """Another backup is being made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPlan:
    """What a backup would copy now.

    Attributes:
        recordings: Finished recordings.
        new_recordings: Those of them that are new or changed.
        new_bytes: Bytes of the latter, and of everything else, which is read each time.
    """

    recordings: int
    new_recordings: int
    new_bytes: int


@dataclass(slots=True, kw_only=True)
class Made:
    """What a backup did."""

    snapshot: str
    recordings: int = 0
    files: int = 0
    bytes: int = 0
    new_bytes: int = 0
    expired: list[str] = field(default_factory=list)
    keys_at: str | None = None
    open_private_keys: int = 0
    problems: list[str] = field(default_factory=list)
    """What is missing in this backup, or wrong with the home or the destination; the rest was copied."""

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        return {
            "snapshot": self.snapshot,
            "recordings": self.recordings,
            "files": self.files,
            "bytes": self.bytes,
            "new_bytes": self.new_bytes,
            "expired_snapshots": list(self.expired),
            "keys_at": self.keys_at,
            "private_keys_without_passphrase": self.open_private_keys,
            "problems": list(self.problems),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """Makes backups of one home to one destination.

    Attributes:
        repository: The destination.
        keys: The destination of the keys, or None: they are not copied.
        node: Signs snapshots.
        database: The index, opened.
        now: The clock, UTC.
        by: User of the operating system, for the audit log.
    """

    home: Home
    config: Config
    repository: Repository
    keys: Repository | None
    node: NodeKeys
    database: Database
    audit: AuditLog
    now: Callable[[], datetime]
    by: str

    @property
    def vault(self) -> Vault:
        """Return the home's recordings."""
        return Vault(self.home.root, self.node)

    def sources(self, repository: Repository) -> Sources:
        """Return the home's other files, for one destination."""
        return Sources(
            home=self.home, config=self.config, database=self.database, audit=self.audit,
            staging=repository.store.staging,
        )  # fmt: skip

    def plan(self) -> BackupPlan:
        """Return what a backup would copy; changes nothing, and reads no recording."""
        known = {file.path: file for file in self.known().get(BackupClass.MEDIA, ())}
        total = new = new_bytes = 0
        for container, status in self.containers():
            found = known.get(container.relative_to(self.home.root).as_posix())
            total += 1
            if found is None or found.seen != seen_of(status):
                new += 1
                new_bytes += status.st_size
        return BackupPlan(
            recordings=total, new_recordings=new, new_bytes=new_bytes + self.sources(self.repository).size()
        )

    def run(self, progress: Progress = lambda _what, _done, _total: None) -> Made:
        """Make a snapshot.

        Raises:
            BackupBusyError: Another backup is being made.
            BackupError: The destination cannot be used; the last complete snapshot is unchanged.
            StorageError, OSError: The home cannot be read, or the audit log cannot be written.
        """
        for one in filter(None, (self.repository, self.keys)):
            one.check_owner()
        with locked(self.home.state / LOCK, wait=False) as is_alone:
            if not is_alone:
                raise BackupBusyError("another backup is being made: wait until it has ended")
            return _Run(self, progress).run()

    def containers(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Yield the finished recordings with their state; links, and files deleted meanwhile, are left out."""
        for path in self.vault.finished():
            try:
                found = path.lstat()
            except FileNotFoundError:
                continue
            if stat.S_ISREG(found.st_mode):
                yield path, found

    def known(self) -> dict[BackupClass, list[StoredFile]]:
        """Return the files of the newest readable snapshot, which need not be copied again."""
        for name in reversed(self.repository.ids()):
            try:
                snapshot = self.repository.load(name)
                having = [one for one in DATA if self.repository.has(snapshot, one)]
                return {one: self.repository.files(snapshot, one) for one in having}
            except StoreError:
                continue  # `recorder backups check` reports it; everything is read again
        return {}


class _Run:
    """One backup."""

    def __init__(self, backup: Backup, progress: Progress) -> None:
        self._backup = backup
        self._progress = progress
        self._at = backup.now()
        existing = [one for some in (backup.repository, backup.keys) if some is not None for one in some.ids()]
        self._id = next_id(existing, self._at)
        self._files: dict[BackupClass, list[StoredFile]] = {}
        self._known: dict[str, StoredFile] = {}
        """The recordings' files of the newest snapshot, by path."""
        self._done = self._total = 0
        self._what = "copying"

    def run(self) -> Made:
        backup = self._backup
        stores = [one for one in (backup.repository, backup.keys) if one is not None]
        details = {"destination": backup.repository.store.name, "keys_at": backup.keys and backup.keys.store.name}
        try:
            with locked(backup.home.state / JOURNAL_LOCK, wait=True):
                for one in stores:
                    _clear(one.store.staging)
                    one.store.tidy()
                Journal(backup.repository).follow(backup.audit, backup.vault, backup.node)
            begun = backup.audit.append(BEGUN, backup.by, "", {**details, "snapshot": self._id})
            made = Made(snapshot=self._id)
            if backup.keys is not None:
                self._copy_keys(backup.keys, made)
            head = self._copy_data(made)
            made.new_bytes = self._pieces.new_bytes
            self._verify(self._pieces)
            self._complete(begun, head, made)
        except OSError as error:
            raise problem_of(error, error.filename or backup.repository.store.name, ADVICE) from error
        finally:
            for one in stores:
                _clear(one.store.staging)
        backup.audit.append(MADE, backup.by, "", {**details, **made.as_json()})
        BackupStatus(backup.home.state).made(self._id, self._at, made.problems)
        return made

    # --- copying

    def _copy_keys(self, repository: Repository, made: Made) -> None:
        backup = self._backup
        pieces = Pieces(repository.store)
        sources = list(backup.sources(repository).of(BackupClass.KEYS))
        files = [pieces.add(one.file, path=one.path, folder=_folder(BackupClass.KEYS)) for one in sources]
        pieces.verify_new()
        pieces.check_there(files)
        listed = repository.put_list(self._id, BackupClass.KEYS, files)
        repository.put(self._snapshot({BackupClass.KEYS: listed}, backup.audit.head()), backup.node)
        made.keys_at = repository.store.name
        folder = private_folder(backup.home, backup.config)
        keys = EpochKeys(backup.home.root / "keys" / "epochs", folder)
        for name in keys.names():
            try:
                made.open_private_keys += not keys.is_sealed(name)
            except KeyProblemError as error:
                made.problems.append(f"{error}; older snapshots of the keys are kept")
        if missing := months_without_key(folder, backup.vault):
            made.problems.append(
                f"the private keys of {', '.join(missing)} are not in {folder}, so they are not in this backup; older "
                "snapshots of the keys are kept"
            )
        if not made.problems:
            gone = expire(repository, (BackupClass.KEYS,), backup.config.backup.days, self._at)
            made.problems += gone.unreadable

    def _copy_data(self, made: Made) -> Head | None:
        """Copy every class; returns the newest entry of the audit log's copy."""
        backup = self._backup
        known = backup.known()
        trusted = {piece for files in known.values() for file in files for piece in file.pieces}
        self._pieces = Pieces(backup.repository.store, self._copied, trusted)
        sources = backup.sources(backup.repository)
        self._total = sources.size() + sum(found.st_size for _, found in backup.containers())
        head: Head | None = None
        for name in DATA:
            if name is BackupClass.MEDIA:
                self._known = {file.path: file for file in known.get(name, ())}
                self._files[name] = list(self._copy_media(self._known, made))
                continue
            self._what = f"copying {name}"
            if name is BackupClass.AUDIT:
                head = backup.audit.head()
            self._files[name] = []
            for one in sources.of(name):
                try:
                    file = self._pieces.add(one.file, path=one.path, folder=_folder(name), limit=one.limit)
                except FileNotFoundError:
                    continue  # state that is over
                self._files[name].append(file)
        return head

    def _copy_media(self, known: dict[str, StoredFile], made: Made) -> Iterator[StoredFile]:
        backup = self._backup
        self._what = "copying recordings"
        copier = RecordingCopier(backup.vault, self._pieces)
        for container, _ in sorted(backup.containers()):
            try:
                copied = copier.copy(container, known)
            except UnreadableFileError as error:
                made.problems.append(f"recording {container.stem}: {error}")
                copied = []
            for file in copied:
                if file is known.get(file.path):
                    self._copied(file.size)
                yield file

    def _copied(self, size: int) -> None:
        self._done += size
        self._progress(self._what, min(self._done, self._total), self._total)

    def _verify(self, pieces: Pieces) -> None:
        self._what, self._done, self._total = "verifying", 0, pieces.new_bytes
        pieces.verify_new(self._copied)

    # --- completing

    def _complete(self, begun: AuditEntry, head: Head | None, made: Made) -> None:
        """Take out what was deleted meanwhile, store the lists and the document, and expire older snapshots."""
        backup = self._backup
        journal, repository = Journal(backup.repository), backup.repository
        check = SourceCheck(backup.vault, backup.database, self._pieces)
        suspects = check.suspects(self._files[BackupClass.MEDIA])  # not under the lock: deletions are carried meanwhile
        with locked(backup.home.state / JOURNAL_LOCK, wait=True):
            journal.follow(backup.audit, backup.vault, backup.node)
            since = list(takewhile(lambda entry: entry.number > begun.number, newest_first(backup.audit.path)))
            media = _settled(self._files[BackupClass.MEDIA], journal.settle_again(since[::-1], backup.vault))
            damage = check.look(suspects, media, self._known)
            media = [file for file in media if file.path not in damage.wrong] + damage.kept
            made.problems += damage.problems
            self._files[BackupClass.MEDIA] = media
            for files in self._files.values():
                self._pieces.check_there(files)
            listed = {name: repository.put_list(self._id, name, self._files[name]) for name in DATA}
            repository.put(self._snapshot(listed, head), backup.node)
            gone = expire(repository, DATA, backup.config.backup.days, self._at)
        made.expired = gone.snapshots
        made.problems += gone.unreadable
        made.files = sum(one.files for one in listed.values())
        made.bytes = sum(one.bytes for one in listed.values())
        made.recordings = sum(file.path.endswith(".rec") for file in media)

    def _snapshot(self, listed: dict[BackupClass, Any], head: Head | None) -> Snapshot:
        return Snapshot(
            id=self._id, at=self._at, by=self._backup.by, host=socket.gethostname(), head=head, classes=listed
        )


def _settled(files: Sequence[StoredFile], since: JournalRun) -> list[StoredFile]:
    """Return the recordings' files without those deleted since, and with the present ones of those rewritten since."""
    gone = {*since.removed, *since.rewritten}
    kept = [file for file in files if PurePosixPath(file.path).stem not in gone]
    return kept + [file for some in since.rewritten.values() for file in some]


def _folder(name: BackupClass) -> str:
    return f"{name}/pieces"


def _clear(staging: Path) -> None:
    shutil.rmtree(staging, ignore_errors=True)
