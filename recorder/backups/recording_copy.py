"""Copies finished recordings to a destination, and compares what was copied with the index.

A recording's container and its sealed key belong together.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from recorder.backups.errors import BackupError
from recorder.backups.pieces import Pieces, look_at
from recorder.backups.rules import is_in_media
from recorder.backups.snapshots import StoredFile
from storage.database import SQLITE, Database
from storage.nodes import Nodes
from storage.object_queries import ObjectState
from storage.objects import Objects
from storage.stored_rows import StoredRows
from storage.tombstones import Deletions
from storage.types import RecordingId, RecordingRow
from storage.vault import Vault

_NEW = ".erasing"
_TRIES, _BETWEEN_TRIES_S = 20, 0.1
"""An erasure or an archiving replaces key and container within moments."""


class RecordingCopier:
    """Copies recordings to one destination.

    Args:
        vault: The recordings.
        pieces: The destination.
    """

    def __init__(self, vault: Vault, pieces: Pieces) -> None:
        self._vault = vault
        self._pieces = pieces

    def copy(self, container: Path, known: dict[str, StoredFile]) -> list[StoredFile]:
        """Copy a container and its key; empty if it is not there any more.

        Args:
            container: A ``.rec``.
            known: Files of an earlier snapshot by path; those that are unchanged are not read.

        Raises:
            UnreadableFileError: The recording cannot be read.
            BackupError, OSError: The destination cannot be used, or the recording does not come to rest.
        """
        recording = RecordingId(container.stem)
        for attempt in range(_TRIES):
            if attempt:
                time.sleep(_BETWEEN_TRIES_S)
            if (files := self._files(container, recording)) is None:
                return []
            if container.with_suffix(_NEW).exists() and attempt < _TRIES - 1:
                continue  # it is being rewritten
            if all(path in known and self._is_known(known[path], file) for path, file in files.items()):
                return [known[path] for path in files]
            before = self._seen(files)
            try:
                copied = [self._one(path, file, recording, known) for path, file in files.items()]
            except FileNotFoundError:
                continue
            if before == self._seen(files) and self._files(container, recording) == files:
                return copied
        raise BackupError(f"recording {recording} kept changing while it was copied: run the backup again")

    def _files(self, container: Path, recording: RecordingId) -> dict[str, Path] | None:
        """Return the files of a recording by their path in the snapshot; None: there is no container."""
        if not container.exists():
            return None
        # A killed erasure may have replaced the key, and left the container that it opens beside the old one.
        new, sealed = container.with_suffix(_NEW), self._vault.sealed
        epochs = sealed.find_all(recording)
        is_new = new.exists() and not any(sealed.next_path(recording, epoch).exists() for epoch in epochs)
        files = {self._relative(container): new if is_new else container}
        for epoch in epochs:
            path = sealed.path(recording, epoch)
            files[self._relative(path)] = path
        return files

    def _seen(self, files: dict[str, Path]) -> list[tuple[int, int, int] | None]:
        return [look_at(file) for file in files.values()]

    def _one(self, path: str, file: Path, recording: RecordingId, known: dict[str, StoredFile]) -> StoredFile:
        before = known.get(path)
        if before is not None and self._is_known(before, file):
            return before
        return self._pieces.add(file, path=path, folder=is_in_media(recording))

    def _is_known(self, before: StoredFile, file: Path) -> bool:
        """Tell whether a file is as a snapshot has it, and still at the destination."""
        seen = look_at(file)
        return seen is not None and before.seen == seen and self._pieces.has(before)

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._vault.home).as_posix()


_SETTLES_S = 1.0
"""How long a recording that differs from its row is waited for: its row follows an erasure or an archiving."""
_AGAIN = 500
"""Recordings that are looked at again in one query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDamage:
    """What is wrong with recordings at the source.

    Attributes:
        problems: A sentence for each, with its id.
        wrong: Paths of the files that must not be in the snapshot.
        kept: Files of an earlier snapshot that are as the index has them, and are in the new one in their place.
    """

    problems: list[str] = field(default_factory=list)
    wrong: set[str] = field(default_factory=set)
    kept: list[StoredFile] = field(default_factory=list)


class SourceCheck:
    """Finds recordings of the index that were altered or removed on this machine's disk.

    Args:
        vault: The recordings.
        database: The index.
        pieces: The destination.
    """

    def __init__(self, vault: Vault, database: Database, pieces: Pieces) -> None:
        self._vault, self._database, self._pieces = vault, database, pieces
        is_alone = database.dialect == SQLITE
        self._own_names = None if is_alone else Nodes(database).names_of(vault.node.fingerprint)

    def suspects(self, files: Iterable[StoredFile]) -> list[RecordingId]:
        """Return the recordings of which the copied files differ from the index; reads the whole index.

        Their rows have had time to follow an erasure or an archiving when this returns.
        """
        there, sealed = _by_path(files)
        found = [row.id for row in self._rows() if self._problem(row, there, sealed)]
        if found:
            time.sleep(_SETTLES_S)
        return found

    def look(
        self, suspects: Sequence[RecordingId], files: Iterable[StoredFile], known: Mapping[str, StoredFile]
    ) -> SourceDamage:
        """Compare the files of a snapshot with the present rows of the recordings that `suspects` returned.

        Args:
            suspects: Those recordings.
            files: Files of the recordings in the snapshot, without those deleted meanwhile.
            known: Files of the newest earlier snapshot, by path.
        """
        there, sealed = _by_path(files)
        found = SourceDamage()
        for row in self._rows_of(suspects):
            if problem := self._problem(row, there, sealed):
                self._note(found, row, problem, known)
        return found

    def _rows(self) -> Iterator[RecordingRow]:
        return (one.row for one in StoredRows(self._database).each() if one.row is not None)

    def _rows_of(self, suspects: Sequence[RecordingId]) -> Iterator[RecordingRow]:
        for start in range(0, len(suspects), _AGAIN):
            found = StoredRows(self._database).among(suspects[start : start + _AGAIN])
            yield from (one.row for _, one in sorted(found.items()) if one.row is not None)

    def _problem(self, row: RecordingRow, there: Mapping[str, StoredFile], sealed: set[str]) -> str:
        """Return what is wrong with a recording, or ""."""
        if row.path is None or row.sha256 is None or self._is_elsewhere(row):
            return ""
        file = there.get(self._path(row))
        if file is None:
            container = self._vault.root / row.path
            if container.is_symlink() or (container.exists() and not container.is_file()):
                return "its file is a link, or no plain file: find out who put it there"
            if container.exists() or Deletions(self._database).get(row.id) is not None:
                return ""  # filed after the list was made, or being deleted
            return "its file is missing"
        if file.sha256 != row.sha256:
            container = self._vault.root / row.path
            if container.with_suffix(_NEW).exists():
                return ""  # it is being rewritten; the next backup has it
            return "its file was altered"
        return "" if row.id in sealed else "its sealed key is missing, so nothing opens it"

    def _note(self, found: SourceDamage, row: RecordingRow, problem: str, known: Mapping[str, StoredFile]) -> None:
        before = known.get(self._path(row))
        keys = [file for path, file in known.items() if path.endswith(f"/{row.id}.key")]
        is_kept = before is not None and before.sha256 == row.sha256 and self._pieces.has(before)
        advice = f"`recorder recordings verify {row.id}`; "
        if before is not None and is_kept:
            found.wrong.add(before.path)
            found.kept.extend([before, *(file for file in keys if self._pieces.has(file))])
            found.wrong.update(file.path for file in keys)
            advice += "the copy of the last backup is as it was and is kept: restore it from there"
        else:
            advice += "no earlier backup here has it as it was"
        found.problems.append(f"recording {row.id}: {problem}: {advice}")

    def _is_elsewhere(self, row: RecordingRow) -> bool:
        if row.node and self._own_names is not None and row.node not in self._own_names:
            return True
        if (self._vault.root / str(row.path)).exists():
            return False
        return any(one.state is ObjectState.STORED for one in Objects(self._database).of(row.id))

    def _path(self, row: RecordingRow) -> str:
        return (self._vault.root / str(row.path)).relative_to(self._vault.home).as_posix()


def _by_path(files: Iterable[StoredFile]) -> tuple[dict[str, StoredFile], set[str]]:
    """Return files by path, and the ids of the recordings whose sealed key is among them."""
    there = {file.path: file for file in files}
    return there, {PurePosixPath(path).stem for path in there if path.endswith(".key")}
