"""Lists and checks the snapshots at a destination: every signature, list and piece is read."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from recorder.backups.journal import Journal, entries_of, erased_by, removed_by
from recorder.backups.pieces import Copied
from recorder.backups.rules import BackupClass
from recorder.backups.snapshots import Repository, Snapshot, StoredFile, read_pieces
from recorder.objects.store import StoreError
from storage.rows import time_to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One snapshot of a destination.

    Attributes:
        id: Its id.
        at: When it was begun; None if it cannot be read.
        by: Who made it.
        classes: Classes that it still has: files and bytes.
        problem: Why it cannot be read, or "".
    """

    id: str
    at: datetime | None = None
    by: str = ""
    classes: Mapping[BackupClass, tuple[int, int]]
    problem: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the snapshot as JSON values."""
        classes = {str(name): {"files": files, "bytes": size} for name, (files, size) in self.classes.items()}
        return {
            "snapshot": self.id, "at": time_to_json(self.at), "by": self.by, "classes": classes,
            "problem": self.problem,
        }  # fmt: skip


def list_snapshots(repository: Repository) -> list[Listed]:
    """Return the complete snapshots of a destination, oldest first."""
    found = []
    for name in repository.ids():
        try:
            one = repository.load(name)
        except StoreError as error:
            found.append(Listed(id=name, classes={}, problem=str(error)))
            continue
        left = {key: (part.files, part.bytes) for key, part in one.classes.items() if repository.has(one, key)}
        found.append(Listed(id=name, at=one.at, by=one.by, classes=left))
    return found


class BackupChecker:
    """Checks one destination.

    Args:
        repository: The destination.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._good: set[str] = set()
        self.checked = 0
        """Pieces that were read."""

    def problems(self, progress: Copied = lambda _bytes: None) -> Iterator[str]:
        """Yield what is wrong, as sentences; each piece is read once.

        Raises:
            BackupError: The destination cannot be used.
        """
        self._repository.check_owner()
        snapshots = []
        for name in self._repository.ids():
            try:
                snapshots.append(self._repository.load(name))
            except StoreError as error:
                yield str(error)
        having = [one for one in snapshots if self._repository.has(one, BackupClass.AUDIT)]
        yield from self._journal([one.head.number or 0 for one in having if one.head is not None])
        for one in snapshots:
            yield from self._snapshot(one, progress)

    def _journal(self, heads: list[int]) -> Iterator[str]:
        journal = Journal(self._repository)
        try:
            if gap := journal.gap(heads):
                yield gap
            for segment in journal.after(0):
                entries_of(segment)
        except StoreError as error:
            yield str(error)

    def _snapshot(self, snapshot: Snapshot, progress: Copied) -> Iterator[str]:
        explained: set[str] = set()
        for name in snapshot.classes:
            if not self._repository.has(snapshot, name):
                continue
            try:
                files = self._repository.files(snapshot, name)
                if name is BackupClass.MEDIA:
                    explained = gone_since(self._repository, snapshot)
            except StoreError as error:
                yield str(error)
                continue
            has_audit = self._repository.has(snapshot, BackupClass.AUDIT)
            for file in files:
                if name is BackupClass.MEDIA and (
                    PurePosixPath(file.path).stem in explained or not (has_audit or self._is_there(file))
                ):
                    continue  # deleted since; without its audit log a snapshot does not tell
                if (problem := self._file(file, progress)) is not None:
                    yield f"snapshot {snapshot.id}: {problem}"

    def _is_there(self, file: StoredFile) -> bool:
        return all(self._repository.store.size(key) is not None for key in file.pieces)

    def _file(self, file: StoredFile, progress: Copied) -> str | None:
        if file.pieces and self._good.issuperset(file.pieces):
            return None
        whole = hashlib.sha256()
        try:
            for piece in read_pieces(self._repository.store, file):
                whole.update(piece)
                self.checked += 1
                progress(len(piece))
        except StoreError as error:
            return str(error)
        self._good.update(file.pieces)
        return None if whole.hexdigest() == file.sha256 else f"the pieces of {file.path} do not make up the file"


def gone_since(repository: Repository, snapshot: Snapshot) -> set[str]:
    """Return the recordings that were deleted, or rewritten, after a snapshot: it lacks them rightly.

    Raises:
        BackupError: The journal cannot be read.
    """
    number = 0 if snapshot.head is None else snapshot.head.number or 0
    entries = [entry for one in Journal(repository).after(number) for entry in entries_of(one) if entry.number > number]
    return {*removed_by(entries), *erased_by(entries)}
