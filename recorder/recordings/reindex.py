"""Rebuilds the index from containers and audit log, whatever its state. Needs no private key.

A missing or damaged file is replaced in one step by a file with all that the audit log knows, so nobody ever uses an
index without its holds and tombstones. Rows of containers follow in small steps, beside a daemon that may run again:
reading every container can take hours. The sweep waits from before the first step until the DPO has decided
(`reconcile`). Interrupted anywhere, run it again: rows that are right are not read twice.

Lost with an index are rows of calls of which nothing was kept, except those read from the damaged file, those waiting
to be filed, and those that an act tells of (`recorder.recordings.replay`).
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from recorder.audit.late_entries import FOLDERS_WITH_ORDERS as LATE_ENTRIES
from recorder.calls.filing import FOLDER
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.recordings.agreement import set_mark
from recorder.recordings.home_lock import AlreadyRunningError, held
from recorder.recordings.home_stores import open_index
from recorder.recordings.move_note import check_place
from recorder.recordings.replay import Replayed, replay, survey
from recorder.recordings.resurrection_guard import LOCK, SweepBusyError, alone, catch_up
from storage.audit import AuditLog
from storage.container_rows import read_begun_row, read_row
from storage.database import SQLITE, Database, parse_url, sqlite_url
from storage.deletion import Shredder
from storage.durable import make_folder, remove
from storage.errors import DamagedError, StorageError
from storage.format import is_recording_id
from storage.hold_journal import LOCK as HOLDS_LOCK
from storage.hold_journal import UNSETTLED
from storage.holds import Holds
from storage.index import Index
from storage.index_file import FileState, drop_unfinished, new_path, put_in_place, salvage, state_of, users_of
from storage.lost_found import LostFound
from storage.recovery import bare_row
from storage.rows import row_from_json, row_from_text
from storage.stored_rows import StoredRow, StoredRows
from storage.tombstones import Deletions
from storage.types import RecordingId, RecordingRow
from storage.vault import Vault

_T = TypeVar("_T")

REINDEXED = "index.reindexed"
"""Act of the audit log."""
WHY = "the index was rebuilt: check that holds, recordings and deletions are as you know them"
DISCARDED = "discarded"
"""Reason of a row whose recording must not exist."""
_AT_ONCE = 50
"""Containers read and filed under one lock, during which none may be rewritten."""

Progress = Callable[[float, float], None]
"""Called with the number of containers done and the total."""


class ReindexRefusedError(StorageError):
    """It cannot be done now, and nothing was changed; the sentence says what prevents it."""


@dataclass(slots=True, kw_only=True)
class Reindexed:
    """What a run found and did.

    Attributes:
        state: The state of the index before.
        problem: What was wrong with it, or "".
        moved_to: Where its old files are now, relative to the home.
        rows_before: Rows that it had; None if they could not be counted.
        salvaged: Rows read from a damaged file.
        replayed: What the audit log brought back.
        destroyed_again: Deleted recordings that had come back.
        containers: Finished files that were checked.
        added: Rows made from containers.
        corrected: Rows with a wrong path or size of their container.
        waiting: Rows that had waited to be filed.
        late_entries: Queued audit entries; they are not replayed until they are in the log.
        damaged: Damaged containers; their rows hold what could be read.
        unfiled: Foreign files, left alone without a row; a sentence by path.
    """

    state: FileState = FileState.USABLE
    problem: str = ""
    moved_to: list[str] = field(default_factory=list)
    rows_before: int | None = None
    salvaged: int = 0
    replayed: Replayed = field(default_factory=Replayed)
    destroyed_again: int = 0
    containers: int = 0
    added: int = 0
    corrected: int = 0
    waiting: int = 0
    late_entries: int = 0
    damaged: dict[str, str] = field(default_factory=dict)
    unfiled: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the results as JSON values."""
        return {
            "index": str(self.state),
            "index_problem": self.problem,
            "moved_to": list(self.moved_to),
            "rows_before": self.rows_before,
            "rows_salvaged": self.salvaged,
            **self.replayed.as_json(),
            "destroyed_again": self.destroyed_again,
            "containers": self.containers,
            "rows_added": self.added,
            "rows_corrected": self.corrected,
            "rows_waiting": self.waiting,
            "audit_late_entries": self.late_entries,
            "damaged": dict(self.damaged),
            "unfiled": dict(self.unfiled),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Reindexer:
    """Rebuilds one home's index.

    Attributes:
        now: The clock, UTC.
        tell: Called with sentences on the progress.
    """

    home: Home
    config: Config
    vault: Vault
    audit: AuditLog
    now: Callable[[], datetime]
    tell: Callable[[str], None] = lambda _: None

    def look(self) -> Reindexed:
        """Return what there is to do; changes nothing.

        Raises:
            StorageError, OSError: Database, audit log or disk cannot be read.
        """
        done = self._begun()
        done.replayed = survey(self.audit)
        done.containers = sum(1 for _ in self._containers())
        if done.state is FileState.USABLE:
            with self._index() as index:
                rows = StoredRows(index.database)
                done.rows_before = rows.count()
                for some in _in_parts(self._containers()):
                    known = rows.among([RecordingId(path.stem) for path in some])
                    done.added += sum(path.stem not in known for path in some)
        else:
            done.added = done.containers
        return done

    def run(self, by: str, progress: Progress = lambda _done, _total: None) -> Reindexed:
        """Rebuild the index.

        Args:
            by: Who ordered it, for the audit log.
            progress: Called with the progress.

        Raises:
            ReindexRefusedError: Daemon or console have an index open that must be replaced, or a sweep is running.
            StorageError, OSError: Database, audit log or disk failed; run it again.
        """
        done = self._begun()
        with contextlib.ExitStack() as stack:
            if done.state is not FileState.USABLE:
                self._refuse_users(stack)
            set_mark(self.home.state, self.now(), [WHY], {"reindex_begun": True})
            if done.state is not FileState.USABLE:
                self._renew(done)
        with self._index() as index:
            if done.state is FileState.USABLE:
                done.rows_before = StoredRows(index.database).count()
            self._bring_back(index.database, done)
            if done.state is not FileState.USABLE:
                self.tell("the new index is in place; you can start daemon and console, the rows follow")
            self._fill(index, done, progress)
            done.waiting = self._file_waiting(index)
        self.audit.append(REINDEXED, by, "", _noted(done))
        set_mark(self.home.state, self.now(), [WHY], {**done.as_json(), "reindex_begun": False})
        return done

    def _begun(self) -> Reindexed:
        check_place(self.home, self.config)
        folders = [self.home.state / name for name in LATE_ENTRIES]
        late = sum(1 for folder in folders for _ in folder.glob("*.json"))
        if self._is_file:
            state, problem = state_of(self._path)
            return Reindexed(state=state, problem=problem, late_entries=late)
        return Reindexed(late_entries=late)

    # --- the file

    @property
    def _is_file(self) -> bool:
        return not self.config.storage.index_url or parse_url(self.config.storage.index_url).drivername == SQLITE

    @property
    def _path(self) -> Path:
        url = self.config.storage.index_url
        return Path(str(parse_url(url).database)) if url else self.home.index

    @contextlib.contextmanager
    def _index(self) -> Iterator[Index]:
        index = open_index(self.home, self.config, is_renewed=True)
        try:
            yield index
        finally:
            index.close()

    def _refuse_users(self, stack: contextlib.ExitStack) -> None:
        """Lock the home until the new file is in place; refuse while another process has the old one open."""
        what = f"{self._path} must be replaced: stop daemon and console, run this again, and start them while it runs"
        try:
            stack.enter_context(held(self.home))
        except AlreadyRunningError as error:
            raise ReindexRefusedError(f"{error}, and {what}") from error
        make_folder(self._path.parent)
        stack.enter_context(alone(self._path.with_name(f"{self._path.name}-lock"), wait=True))
        if users := users_of(self._path):
            raise ReindexRefusedError(f"process {', '.join(users)} has the index open, and {what}")

    def _renew(self, done: Reindexed) -> None:
        """Make a new file from the audit log and what the old file still has, then replace the old one."""
        drop_unfinished(self._path)
        database = Database(sqlite_url(new_path(self._path)))
        try:
            done.replayed = replay(self.audit, database, self.now)
            if done.state is FileState.DAMAGED:
                done.salvaged = self._salvage(Index(database))
        finally:
            database.close()
        why = f"recorder index rebuild replaced it: {done.problem}"
        done.moved_to = put_in_place(self._path, LostFound(self.home.root, self.now()), why)

    def _salvage(self, index: Index) -> int:
        """Take over rows of a damaged file that have no container."""
        count, rows = 0, StoredRows(index.database)
        deletions = Deletions(index.database)
        for some in _in_parts(salvage(self._path)):
            ids = [row.id for row in some]
            gone = deletions.known(ids) | rows.among(ids).keys()
            kept = {row.id: row for row in some if row.id not in gone and not self._lies_there(row)}
            index.save_many(kept.values())
            count += len(kept)
        return count

    def _lies_there(self, row: RecordingRow) -> bool:
        return is_recording_id(row.id) and any(path.suffix == ".rec" for path in self.vault.files_of(row.id))

    # --- what the audit log knows

    def _bring_back(self, database: Database, done: Reindexed) -> None:
        """Replay the log into the index in use, and destroy deleted recordings that have come back."""
        holds, home = Holds(database), self.home
        try:
            with (
                alone(home.state / LOCK),
                alone(home.erasing_lock, wait=True),
                alone(home.state / HOLDS_LOCK, wait=True),
            ):
                again = replay(self.audit, database, self.now)
                remove(home.state / UNSETTLED)
                if done.state is FileState.USABLE:
                    done.replayed = again
                shredder = Shredder(self.vault, Deletions(database), self.audit)
                done.destroyed_again = len(set(catch_up(shredder, holds, self.now).ids))
        except SweepBusyError as error:
            raise ReindexRefusedError("a sweep is running: wait until it has ended, and run this again") from error

    # --- rows

    def _containers(self) -> Iterator[Path]:
        """Yield every finished file by day and id; links are skipped later."""
        for day in sorted(self.vault.root.glob("[0-9]*/[0-9]*/[0-9]*")):
            yield from sorted(day.glob("*/*.rec"), key=lambda path: path.name)

    def _fill(self, index: Index, done: Reindexed, progress: Progress) -> None:
        rows, deletions = StoredRows(index.database), Deletions(index.database)
        total = sum(1 for _ in self._containers())
        for some in _in_parts(self._containers()):
            with alone(self.home.erasing_lock, wait=True):
                ids = [RecordingId(path.stem) for path in some]
                known, gone = rows.among(ids), deletions.known(ids)
                found = [
                    self._row(path, known.get(RecordingId(path.stem)), done) for path in some if path.stem not in gone
                ]
                index.save_many(row for row in found if row is not None)
            done.containers += len(some)
            progress(done.containers, total)

    def _row(self, path: Path, known: StoredRow | None, done: Reindexed) -> RecordingRow | None:
        """Return the row to save for a container; None if its row is right, or it gets none."""
        where = path.relative_to(self.vault.root).as_posix()
        if self._is_right(path, where, known):
            return None
        problem = self._stranger(path, known)
        if problem is None:
            try:
                row = row_of_container(self.vault, path, done.damaged)
            except FileNotFoundError:
                return None  # deleted meanwhile
            except (DamagedError, OSError, KeyError, TypeError, ValueError) as error:
                problem = str(error)
            else:
                done.added += known is None
                done.corrected += known is not None
                return row
        done.unfiled[where] = problem
        return None

    def _is_right(self, path: Path, where: str, known: StoredRow | None) -> bool:
        row = known.row if known is not None else None
        if known is None or row is None or known.wrong_columns:
            return False
        if row.path == where:
            return path.exists() and row.bytes == path.stat().st_size
        # Two files of one name: the one that the row names counts.
        return row.path is not None and self.vault.locate(row.path).is_file()

    def _stranger(self, path: Path, known: StoredRow | None) -> str | None:
        if path.is_symlink() or not path.resolve().is_relative_to(self.vault.root.resolve()):
            return "it is a link"
        if not is_recording_id(path.stem):
            return "its name is not that of a recording"
        if known is not None and known.row is not None and known.row.reason == DISCARDED:
            return "the call was discarded, so this file must not exist: check it, then delete it"
        return None

    def _file_waiting(self, index: Index) -> int:
        """File the rows that waited for the database; the daemon removes their files when it has filed them too."""
        filed = 0
        for path in sorted((self.home.state / FOLDER).glob("*.json")):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                filed += index.save_late(row_from_text(path.read_bytes()))
        return filed


def row_of_container(vault: Vault, path: Path, damaged: dict[str, str]) -> RecordingRow:
    """Return the row of a finished container; of a damaged one, as much as can be read.

    Args:
        vault: The vault that it is in.
        path: The file.
        damaged: Receives a sentence by path if it is damaged.

    Raises:
        DamagedError: It is not a container of this node, has a newer format, or holds another recording.
        OSError: It cannot be read.
    """
    recording, where = RecordingId(path.stem), path.relative_to(vault.root).as_posix()
    try:
        fields = read_row(vault, path)
    except DamagedError as error:
        fields = read_begun_row(vault, path)
        damaged[where] = str(error)
        outcome = {"outcome": "partial", "reason": "damaged"}
        fields = fields | outcome | {"path": where, "bytes": path.stat().st_size, "sha256": None}
    if fields["id"] != recording:
        raise DamagedError(f"the file was renamed: it holds recording {fields['id']}")
    return row_from_json(bare_row(recording) | fields)


def _noted(done: Reindexed) -> dict[str, Any]:
    """Return the details of the audit entry: counts instead of lists that could be long."""
    lists = {"damaged": len(done.damaged), "unfiled": len(done.unfiled)}
    return {**done.as_json(), **lists}


def _in_parts(values: Iterable[_T]) -> Iterator[Sequence[_T]]:
    rest = iter(values)
    while part := list(islice(rest, _AT_ONCE)):
        yield part
