"""Compares recordings with their rows, keys and orders to erase, a day at a time."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from recorder.recordings.finding import ERASING, PART, REC, HomeFiles, deleted
from recorder.recordings.inspection import FILING_S
from storage.container_rows import read_begun_row, read_row
from storage.database import Database
from storage.erasures import Erasures
from storage.errors import DamagedError
from storage.format import is_recording_id
from storage.fsck import Finding, Kind, ScannedContainer, compare_recording
from storage.object_queries import ObjectState
from storage.objects import Objects
from storage.rows import row_from_json
from storage.stored_rows import StoredRow, StoredRows
from storage.tombstones import Deletions
from storage.tree import DAY_CHARACTERS, Tree
from storage.types import RecordingId, RecordingRow
from storage.vault import Vault
from storage.verify import verify

Progress = Callable[[float, float], None]
"""Called with the number of containers done and the total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingCheck:
    """Checks the recordings of one home.

    Attributes:
        is_live: A daemon is running, so its open files are no left-overs.
        is_quick: Do not read containers.
        counts: Receives the numbers of rows and containers.
        own_names: This machine's names as a node; recordings of other nodes are on their disks. None: there are none.
    """

    vault: Vault
    database: Database
    home_files: HomeFiles
    is_live: bool
    is_quick: bool
    counts: Counter[str]
    own_names: frozenset[str] | None = None

    def findings(self, progress: Progress, total: int) -> Iterator[Finding]:
        """Yield findings, a day at a time; see `recorder.recordings.fsck.Checker.findings`."""
        open_orders = {one.recording for one in Erasures(self.database).open_orders()}
        tree = Tree(self.vault.root)
        astray = tree.astray()
        rows = groupby(StoredRows(self.database).each(), key=lambda one: one.id[:DAY_CHARACTERS])
        epochs = _Epochs(self.vault)
        days = sorted({*tree.days(), *(path.name[:DAY_CHARACTERS] for path in astray)})
        for day, stored in _merged(days, rows):
            files = tree.of_day(day)
            for path in astray:
                if path.name.startswith(day):
                    files.setdefault(RecordingId(path.stem), []).append(path)
            known = {one.id: one for one in stored}
            gone = Deletions(self.database).of_day(day)
            for recording in sorted(files.keys() | known.keys()):
                if not is_recording_id(recording):
                    continue
                paths = sorted(files.get(recording, []))
                if recording in gone:
                    if paths or recording in known:
                        yield deleted(
                            recording, str(paths[0]) if paths else recording, "it was deleted, but is still there"
                        )
                    continue
                yield from self._recording(recording, known.get(recording), paths, epochs, recording in open_orders)
            self.counts["rows"] += len(known)
            self.counts["containers"] += sum(path.suffix == REC for paths in files.values() for path in paths)
            progress(self.counts["containers"], total)
        yield from self._beside_alone()

    def _beside_alone(self) -> Iterator[Finding]:
        deletions = Deletions(self.database)
        for recording in StoredRows(self.database).alone():
            if deletions.get(recording) is not None:
                yield deleted(recording, recording, "it was deleted, but the index still has its officers")
            else:
                what = "the index has its officers, but no row of it"
                yield Finding(kind=Kind.LONE_OFFICERS, where=recording, what=what, recording=recording)

    def _recording(
        self,
        recording: RecordingId,
        stored: StoredRow | None,
        paths: Sequence[Path],
        epochs: "_Epochs",
        is_being_erased: bool,
    ) -> Iterator[Finding]:
        finished = [path for path in paths if path.suffix == REC]
        for path in paths:
            if path.suffix == PART and not self.is_live:
                yield self.home_files.finding(Kind.UNFINISHED, path, "a daemon that died left it open", recording)
            if path.suffix == ERASING and not is_being_erased and self.home_files.age_s(path) >= FILING_S:
                yield self.home_files.finding(Kind.HALF_ERASED, path, "no order to erase from it is open", recording)
        found = list(self._compared(recording, stored, finished))
        if found and not is_being_erased:
            yield from self._again(recording, found, finished)
        if finished and recording not in epochs:
            what = "its sealed key is missing, so nothing opens it"
            yield self.home_files.finding(Kind.NO_KEY, finished[0], what, recording)

    def _compared(
        self, recording: RecordingId, stored: StoredRow | None, finished: Sequence[Path]
    ) -> Iterator[Finding]:
        containers = [one for path in finished if (one := self._container(path, stored)) is not None]
        is_young = any(self.home_files.age_s(path) < FILING_S for path in finished)
        for finding in compare_recording(recording, stored, containers, is_filed_later=is_young):
            if finding.kind is not Kind.NO_CONTAINER or not self._is_elsewhere(stored):
                yield finding

    def _is_elsewhere(self, stored: StoredRow | None) -> bool:
        """Tell whether a container is in the object store, or on another machine's disk."""
        row = None if stored is None else stored.row
        if row is not None and row.node and self.own_names is not None and row.node not in self.own_names:
            return True
        return row is not None and any(
            one.state is ObjectState.STORED or (one.state is ObjectState.WAITING and one.node != self._node)
            for one in Objects(self.database).of(row.id)
            if one.sha256 == row.sha256
        )

    @property
    def _node(self) -> str:
        return self.vault.node.fingerprint

    def _again(self, recording: RecordingId, found: Sequence[Finding], finished: Sequence[Path]) -> Iterator[Finding]:
        """Yield findings that remain at a second look; others were being filed, rewritten or deleted."""
        if Deletions(self.database).get(recording) is not None:
            return
        stored = StoredRows(self.database).among([recording]).get(recording)
        finished = [path for path in finished if path.exists()]
        again = {(one.kind, one.where) for one in self._compared(recording, stored, finished)}
        yield from (one for one in found if (one.kind, one.where) in again)

    def _container(self, path: Path, stored: StoredRow | None) -> ScannedContainer | None:
        where = path.relative_to(self.vault.root).as_posix()
        try:
            size = path.stat().st_size
            if self.is_quick:
                row = stored.row if stored is not None else None
                return ScannedContainer(path=where, bytes=size, expected_path=self._belongs(row, path))
            try:
                row = _plain(read_row(self.vault, path))
            except (DamagedError, KeyError, TypeError, ValueError) as error:
                is_ours = self._is_ours(path)
                return ScannedContainer(path=where, bytes=size, problem=str(error), is_ours=is_ours)
            problem = verify(path, self.vault.trusted).problem
            return ScannedContainer(
                path=where, bytes=size, row=row, expected_path=self._belongs(row, path), problem=problem
            )
        except FileNotFoundError:
            return None

    def _is_ours(self, path: Path) -> bool:
        try:
            return bool(read_begun_row(self.vault, path)["id"] == path.stem)
        except (DamagedError, OSError, KeyError, TypeError, ValueError):
            return False

    def _belongs(self, row: RecordingRow | None, path: Path) -> str | None:
        if row is None or not row.operator_key:
            return None
        try:
            folder = self.vault.folder(row.started_at, row.operator_key)
        except ValueError:
            return None
        return (folder / path.name).relative_to(self.vault.root).as_posix()


class _Epochs:
    """Tells which recordings have a sealed key; most are in the epoch of their month."""

    def __init__(self, vault: Vault) -> None:
        self._sealed = vault.sealed
        self._names = vault.sealed.epochs()

    def __contains__(self, recording: RecordingId) -> bool:
        month = f"{recording[:4]}-{recording[4:6]}"
        names = sorted(self._names, key=lambda name: not name.startswith(month))
        return any(self._sealed.path(recording, name).exists() for name in names) or bool(self._sealed.find(recording))


def _plain(fields: Mapping[str, object]) -> RecordingRow:
    return row_from_json({name: value for name, value in fields.items() if name != "peaks"})


def _merged(
    days: Iterable[str], rows: Iterable[tuple[str, Iterator[StoredRow]]]
) -> Iterator[tuple[str, list[StoredRow]]]:
    """Yield every day that either side has, in order, with its rows."""
    both = heapq.merge(((day, []) for day in days), ((day, list(some)) for day, some in rows), key=lambda one: one[0])
    for day, sides in groupby(both, key=lambda one: one[0]):
        yield day, [row for _, some in sides for row in some]
