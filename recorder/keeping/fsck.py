"""Compares the files of a home with its index, its keys and its audit log, and names what does not fit. Reads only.

Both sides are read in order, a day at a time: memory grows with the busiest day and with what is wrong, not with the
number of recordings. Works beside a running daemon: what may just be happening is no finding. Needs no private key.
"""

import heapq
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, islice
from pathlib import Path

from recorder.home import Home
from recorder.keeping.agreement import differences, read_mark
from recorder.keeping.inspection import FILING_S
from recorder.keeping.replay import ORDER_ACTS, orders_of, readable
from storage.audit import AuditLog
from storage.database import Database
from storage.epochs import is_epoch
from storage.erasures import Erasures, is_open
from storage.errors import DamagedError
from storage.format import is_recording_id
from storage.fsck import Container, Finding, Kind, compare_recording
from storage.hold_journal import ACTS as HOLD_ACTS
from storage.hold_journal import journalled
from storage.holds import Holds
from storage.rows import row_from_json
from storage.stored_rows import StoredRow, StoredRows
from storage.tombstones import DELETED, Deletions, since_settled, tombstones_of
from storage.tree import DAY_CHARACTERS, Tree
from storage.types import HoldState, RecordingId, RecordingRow
from storage.vault import Vault, read_begun_row, read_row
from storage.verify import verify

REC, PART, ERASING = ".rec", ".part", ".erasing"
SETTLED_S = 24 * 3600.0
"""A key may be so old before there must be a file that it opens; a temporary file, before it is a left-over."""
_AT_ONCE = 500

Progress = Callable[[float, float], None]
"""Called with containers done and in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checker:
    """Looks one home over.

    Attributes:
        home: The recorder's home.
        vault: Where containers lie.
        database: The index.
        audit: The audit log.
        now: The clock, UTC.
        is_live: A daemon is running: what it has open is no left-over.
        is_quick: Do not read containers through: what they say of themselves, and their digests, are not compared.
        counts: Gets how many rows, containers and sealed keys were looked at.
    """

    home: Home
    vault: Vault
    database: Database
    audit: AuditLog
    now: Callable[[], datetime]
    is_live: bool
    is_quick: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def findings(self, progress: Progress = lambda _done, _total: None, total: int = 0) -> Iterator[Finding]:
        """Yield what is wrong, as it is found.

        Args:
            progress: Told how far it is.
            total: How many containers there are, for ``progress``.

        Raises:
            StorageError, OSError: Database, audit log or disk cannot be read.
        """
        if read_mark(self.home.state) is None:  # else the DPO is asked already
            for why in differences(self.home.state, self.database, self.audit):
                yield Finding(kind=Kind.RESTORED, where="state/agreement.json", what=why)
        yield from self._audit()
        yield from self._holds()
        yield from self._orders()
        yield from self._unsettled()
        yield from self._recordings(progress, total)
        yield from self._keys()
        yield from self._strange_files()

    @property
    def _tree(self) -> Tree:
        return Tree(self.vault.root)

    # --- the audit log, and what it knows

    def _audit(self) -> Iterator[Finding]:
        state = self.audit.verify()
        where = "audit/audit.log"
        if state.bad is not None:
            is_torn = self._is_last(state.bad.offset)
            yield Finding(kind=Kind.AUDIT_TORN if is_torn else Kind.AUDIT, where=where, what=state.bad.sentence)
        for sentence in state.problems[state.bad is not None :]:
            yield Finding(kind=Kind.AUDIT, where="audit/texts.sqlite", what=sentence)

    def _is_last(self, offset: int) -> bool:
        """Tell whether nothing whole follows a place in the log: the next entry moves such an end aside."""
        with self.audit.path.open("rb") as file:
            file.seek(offset)
            file.readline()
            return not file.read(1)

    def _holds(self) -> Iterator[Finding]:
        holds, now = Holds(self.database), self.now()
        for hold, _ in journalled(readable(self.audit, HOLD_ACTS)).values():
            if hold.state_at(now) is HoldState.OVER:
                continue  # the table may have forgotten it
            known = [one for one in holds.of_recording(hold.recording) if one.id == hold.id]
            if not known:
                what = f"hold {hold.id} ({hold.kind}) is in the audit log, and not in the index"
            elif known[0].state_at(now) is not hold.state_at(now) or known[0].kind is not hold.kind:
                what = f"hold {hold.id}: the audit log says {hold.kind}, {hold.state_at(now)}; "
                what += f"the index {known[0].kind}, {known[0].state_at(now)}"
            else:
                continue
            yield Finding(kind=Kind.HOLD, where=hold.recording, what=what, recording=hold.recording)

    def _orders(self) -> Iterator[Finding]:
        known = {one.id for one in Erasures(self.database).open_orders()}
        for order in orders_of(readable(self.audit, ORDER_ACTS)).values():
            if is_open(order) and order.id not in known:
                what = f"the order {order.id} to erase from it is open in the audit log, and not in the index"
                yield Finding(kind=Kind.ORDER, where=order.recording, what=what, recording=order.recording)

    def _unsettled(self) -> Iterator[Finding]:
        """Yield deletions that a kill cut off, or that an index from a backup does not know."""
        deletions = Deletions(self.database)
        for entry in since_settled(self.audit, deletions):
            if entry.act != DELETED:
                continue
            ids = [one.id for one in tombstones_of(entry)]
            for recording in sorted(set(ids) - deletions.known(ids)):
                yield _deleted(recording, "index", "the audit log says that it was deleted, the index does not know")

    # --- recordings, a day at a time

    def _recordings(self, progress: Progress, total: int) -> Iterator[Finding]:
        open_orders = {one.recording for one in Erasures(self.database).open_orders()}
        astray = self._tree.astray()
        rows = groupby(StoredRows(self.database).each(), key=lambda one: one.id[:DAY_CHARACTERS])
        epochs = _Epochs(self.vault)
        days = sorted({*self._tree.days(), *(path.name[:DAY_CHARACTERS] for path in astray)})
        for day, stored in _merged(days, rows):
            files = self._tree.of_day(day)
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
                        yield _deleted(recording, str(paths[0]) if paths else "index", "it was deleted, and is there")
                    continue
                yield from self._recording(recording, known.get(recording), paths, epochs, recording in open_orders)
            self.counts["rows"] += len(known)
            self.counts["containers"] += sum(path.suffix == REC for paths in files.values() for path in paths)
            progress(self.counts["containers"], total)

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
                yield self._file(Kind.UNFINISHED, path, "a daemon that died left it open", recording)
            if path.suffix == ERASING and not is_being_erased and self._age_s(path) >= FILING_S:
                yield self._file(Kind.HALF_ERASED, path, "no order to erase from it is open", recording)
        found = list(self._compared(recording, stored, finished))
        if found and not is_being_erased:
            yield from self._again(recording, found, finished)
        if finished and recording not in epochs:
            yield self._file(Kind.NO_KEY, finished[0], "its sealed key is missing, so nothing opens it", recording)

    def _compared(
        self, recording: RecordingId, stored: StoredRow | None, finished: Sequence[Path]
    ) -> Iterator[Finding]:
        containers = [one for path in finished if (one := self._container(path, stored)) is not None]
        is_young = any(self._age_s(path) < FILING_S for path in finished)
        return compare_recording(recording, stored, containers, is_filed_later=is_young)

    def _again(self, recording: RecordingId, found: Sequence[Finding], finished: Sequence[Path]) -> Iterator[Finding]:
        """Yield what is still wrong at a second look: it may just have been filed, rewritten or deleted."""
        if Deletions(self.database).get(recording) is not None:
            return
        stored = StoredRows(self.database).among([recording]).get(recording)
        finished = [path for path in finished if path.exists()]
        again = {(one.kind, one.where) for one in self._compared(recording, stored, finished)}
        yield from (one for one in found if (one.kind, one.where) in again)

    def _container(self, path: Path, stored: StoredRow | None) -> Container | None:
        where = path.relative_to(self.vault.root).as_posix()
        try:
            size = path.stat().st_size
            if self.is_quick:
                row = stored.row if stored is not None else None
                return Container(path=where, bytes=size, expected_path=self._belongs(row, path))
            try:
                row = _plain(read_row(self.vault, path))
            except (DamagedError, KeyError, TypeError, ValueError) as error:
                is_ours = self._is_ours(path)
                return Container(path=where, bytes=size, problem=str(error), is_ours=is_ours)
            problem = verify(path, self.vault.node.sign_public).problem
            return Container(path=where, bytes=size, row=row, expected_path=self._belongs(row, path), problem=problem)
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

    # --- keys

    def _keys(self) -> Iterator[Finding]:
        """Yield sealed keys that open nothing; the files of keys are read in no order, some hundred at once."""
        rows, deletions = StoredRows(self.database), Deletions(self.database)
        for epoch in self.vault.sealed.epochs():
            for some in _in_parts(self._files(self.home.root / "keys" / "sealed" / epoch)):
                named = {path: RecordingId(path.stem) for path in some if is_recording_id(path.stem)}
                self.counts["keys"] += len(named)
                known = rows.among(sorted(set(named.values())))
                gone = deletions.known(list(known.keys() ^ set(named.values())))
                for path, recording in named.items():
                    if recording in gone:
                        yield _deleted(recording, self._where(path), "it was deleted, and its key is there")
                    elif self._is_lone(path, recording, known.get(recording)):
                        what = "there is neither a file nor a row of its recording"
                        yield self._file(Kind.LONE_KEY, path, what, recording)

    def _is_lone(self, path: Path, recording: RecordingId, stored: StoredRow | None) -> bool:
        is_young = self._age_s(path) < SETTLED_S
        if stored is not None or is_young or self.vault.files_of(recording):
            return False
        return not self._tree.everywhere(recording)

    # --- what else lies there

    def _strange_files(self) -> Iterator[Finding]:
        for name in ("recordings", "keys", "audit", "state"):
            yield from self._walk(self.home.root / name, name)
        for path in sorted(self.home.root.glob("index.sqlite*")):
            yield from self._rights(path)

    def _walk(self, root: Path, name: str) -> Iterator[Finding]:
        for folder, folders, names in os.walk(root):
            yield from self._rights(Path(folder))
            yield from (self._link(path) for one in folders if (path := Path(folder, one)).is_symlink())
            for one in sorted(names):
                path = Path(folder, one)
                if path.is_symlink():
                    yield self._link(path)
                    continue
                yield from self._rights(path)
                yield from self._unknown(path, name)

    def _unknown(self, path: Path, root: str) -> Iterator[Finding]:
        if path.name.startswith(".new-"):
            if self._age_s(path) >= SETTLED_S:
                yield self._file(Kind.TEMPORARY, path, "whoever wrote it was killed")
            return
        parts = path.relative_to(self.home.root).parts
        is_sealed = root == "keys" and parts[1] == "sealed"
        if root == "recordings":
            is_known = len(parts) == 6 and is_recording_id(path.stem) and path.suffix in (REC, PART, ERASING)
        elif is_sealed:
            is_known = len(parts) == 4 and is_epoch(parts[2]) and is_recording_id(path.stem)
            is_known = is_known and path.suffix in (".key", ".next")
        else:
            return
        if not is_known:
            yield self._file(Kind.UNKNOWN, path, "no recorder puts such a file there")

    def _rights(self, path: Path) -> Iterator[Finding]:
        try:
            found = path.lstat()
        except FileNotFoundError:
            return
        if found.st_uid != os.geteuid():
            yield self._file(Kind.MODE, path, f"it belongs to user {found.st_uid}, not to {os.geteuid()}")
        elif found.st_mode & 0o077:
            rights = f"{stat.S_IMODE(found.st_mode):04o}"
            yield self._file(Kind.MODE, path, f"its mode is {rights}: others may get at it")

    def _link(self, path: Path) -> Finding:
        return self._file(Kind.LINK, path, f"it is a link to {path.readlink()}; no recorder makes one")

    def _files(self, folder: Path) -> Iterator[Path]:
        with os.scandir(folder) as found:
            for entry in found:
                if entry.is_file(follow_symlinks=False) and not entry.name.startswith("."):
                    yield Path(entry.path)

    def _file(self, kind: Kind, path: Path, what: str, recording: str = "") -> Finding:
        return Finding(kind=kind, where=self._where(path), what=what, recording=recording)

    def _where(self, path: Path) -> str:
        return path.relative_to(self.home.root).as_posix()

    def _age_s(self, path: Path) -> float:
        try:
            return self.now().timestamp() - path.lstat().st_mtime
        except FileNotFoundError:
            return 0.0


class _Epochs:
    """Tells which recordings have a sealed key; the month of its day is where most have theirs."""

    def __init__(self, vault: Vault) -> None:
        self._sealed = vault.sealed
        self._names = vault.sealed.epochs()

    def __contains__(self, recording: RecordingId) -> bool:
        month = f"{recording[:4]}-{recording[4:6]}"
        names = sorted(self._names, key=lambda name: not name.startswith(month))
        return any(self._sealed.path(recording, name).exists() for name in names) or bool(self._sealed.find(recording))


def _plain(fields: Mapping[str, object]) -> RecordingRow:
    return row_from_json({name: value for name, value in fields.items() if name != "peaks"})


def _deleted(recording: RecordingId, where: str, what: str) -> Finding:
    return Finding(kind=Kind.DELETED, where=where, what=what, recording=recording)


def _merged(
    days: Iterable[str], rows: Iterable[tuple[str, Iterator[StoredRow]]]
) -> Iterator[tuple[str, list[StoredRow]]]:
    """Yield every day that either side has, in order, with its rows."""
    both = heapq.merge(((day, []) for day in days), ((day, list(some)) for day, some in rows), key=lambda one: one[0])
    for day, sides in groupby(both, key=lambda one: one[0]):
        yield day, [row for _, some in sides for row in some]


def _in_parts(paths: Iterable[Path]) -> Iterator[list[Path]]:
    rest = iter(paths)
    while part := list(islice(rest, _AT_ONCE)):
        yield part
