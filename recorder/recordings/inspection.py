"""Verifies containers and compares each with its row in the index. Needs no private key."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from storage.container_rows import read_row
from storage.containers import Container
from storage.erasures import Erasures, is_open
from storage.errors import DatabaseError, NotFoundError, OutsideError, StorageError
from storage.format import is_recording_id
from storage.index import Index
from storage.rows import row_from_json
from storage.types import RecordingId, RecordingRow, Search, Verification
from storage.vault import Vault
from storage.verify import verify

FILING_S = 60.0
"""Age up to which a finished file needs no row yet, seconds: the daemon files it just after closing it."""
FOREIGN = "it belongs to no recording: it is foreign, or was moved here; remove it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspector:
    """Verifies containers, their sealed keys and their rows.

    Attributes:
        vault: Containers; the keys of its node and of the site's other nodes are trusted.
        index: Their rows.
        now_s: Seconds since 1970.
    """

    vault: Vault
    index: Index
    now_s: Callable[[], float] = time.time

    def one(self, row: RecordingRow) -> Verification:
        """Verify the container of a row that has one.

        Raises:
            DatabaseError: The index cannot be read.
            StorageError: It is in the object store, and that cannot be reached.
        """
        assert row.path is not None, "the caller asks only for recordings with a container"
        try:
            container = self.vault.container(row)
        except OutsideError as error:
            return _finding(row.id, self.vault.root / row.path, str(error))
        return self._compared(verify(container, self.vault.trusted), row, container)

    def all(self, chosen: Callable[[RecordingId], bool] = lambda _: True) -> Iterator[Verification]:
        """Verify every container, then report foreign files and rows without a container; constant memory.

        Args:
            chosen: Tells of a recording whether it is verified.

        Recordings that are deleted or rewritten meanwhile are no findings.

        Raises:
            DatabaseError: The index cannot be read.
        """
        for path in self.vault.finished():
            if not chosen(RecordingId(path.stem)):
                continue
            found = verify(path, self.vault.trusted)
            try:
                row = self._row(found.id)
            except DatabaseError as error:
                if error.is_passing:
                    raise
                yield replace(found, problem=found.problem or str(error))
                continue
            if row is None and not path.exists():
                continue
            yield self._unknown(found) if row is None else self._compared(found, row, path)
        for path in self.vault.strangers():
            if not chosen(RecordingId(path.stem)):
                continue
            yield _finding(RecordingId(path.stem), path, f"{path.relative_to(self.vault.root)}: {FOREIGN}")
        yield from (one for one in self._missing() if chosen(one.id))

    def _missing(self) -> Iterator[Verification]:
        """Yield rows whose container is not at their path."""
        damaged: list[RecordingId] = []
        for row in self.index.each(Search(), on_damaged=damaged.append):
            if row.path is None or self._is_there(row.path):
                continue
            again = self._row(row.id)
            if again is not None and again.path == row.path:
                yield self.one(again)
        for recording in damaged:  # those with a container were reported with it
            if not is_recording_id(recording) or not self.vault.files_of(recording):
                yield _finding(recording, self.vault.root, "its row in the index is damaged, and it has no container")

    def _is_there(self, path: str) -> bool:
        try:
            return self.vault.locate(path).is_file()
        except OutsideError:
            return False

    def _row(self, recording: RecordingId) -> RecordingRow | None:
        try:
            row = self.index.get(recording)
        except NotFoundError:
            return None
        return row if row.id == recording else None

    def _unknown(self, found: Verification) -> Verification:
        if found.problem is not None or self.now_s() - found.path.stat().st_mtime < FILING_S:
            return found
        return replace(found, problem="it is not in the index, so no search finds it: run `recorder index rebuild`")

    def _compared(self, found: Verification, row: RecordingRow, container: Container) -> Verification:
        """Compare a container with its row. A difference is checked twice: it may just have been rewritten."""
        if self._problem(found, row) is None:
            return found
        row = self._row(row.id) or row
        found = verify(container, self.vault.trusted)
        problem = self._problem(found, row)
        if problem is None or (found.problem is None and self._is_being_rewritten(found, row)):
            return found
        return replace(found, problem=problem)

    def _problem(self, found: Verification, row: RecordingRow) -> str | None:
        if found.problem is not None:
            return found.problem + _size(found.path, row)
        path = found.path.relative_to(self.vault.root).as_posix()
        return difference(found, row, path) or self._key_problem(row)

    def _key_problem(self, row: RecordingRow) -> str | None:
        """Return what is wrong with a recording's sealed key; another machine's is in the object store alone."""
        if self.vault.elsewhere is not None and self.vault.sealed.find(row.id) is None:
            container = self.vault.container(row)
            if not isinstance(container, Path) and container.sealed_key() is not None:
                return None
        return self.vault.sealed.problem(row.id)

    def _is_being_rewritten(self, found: Verification, row: RecordingRow) -> bool:
        """Tell whether the new container is in place but the row is not saved yet."""
        if any(is_open(order) for order in Erasures(self.index.database).of_recording(row.id)):
            return True
        try:
            told = row_from_json(read_row(self.vault, found.path)).archived
        except (StorageError, OSError, KeyError, TypeError, ValueError):
            return False
        return told is not None and row.archived is None and told.original_sha256 == row.sha256


def _finding(recording: RecordingId, path: Path, problem: str) -> Verification:
    return Verification(
        id=recording, path=path, is_complete=False, bytes=0, sha256="", signed_by="", problem=problem
    )  # fmt: skip


def _size(path: Path, row: RecordingRow) -> str:
    """Return by how many bytes a file differs from its row, as the end of a sentence."""
    if row.bytes is None or not path.is_file() or (extra := path.stat().st_size - row.bytes) == 0:
        return ""
    return f" ({abs(extra)} bytes {'more' if extra > 0 else 'fewer'} than the {row.bytes} of the index)"


def difference(found: Verification, row: RecordingRow, path: str) -> str | None:
    """Return how an intact container differs from its row, or None."""
    if row.path != path:
        where = "nothing was kept of it" if row.path is None else f"it lies at {row.path}"
        return f"it lies at {path}, the index says that {where}"
    if row.sha256 != found.sha256:
        return (
            f"the index says sha256 {row.sha256}, the file is {found.sha256}: "
            "the row was changed, or the file was exchanged for another one of this node"
        )
    if row.bytes != found.bytes:
        return f"the index says {row.bytes} bytes, the file has {found.bytes}"
    return None
