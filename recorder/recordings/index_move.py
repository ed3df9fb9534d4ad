"""Moves a home's index between SQLite and PostgreSQL: copies, compares, and closes the old database.

Copying and comparing are one transaction of the new database, and the old one takes no writes meanwhile. Interrupted
before its end, nothing was copied; interrupted later, running it again finds the copy and goes on. The old database
keeps its rows, and is marked so that nothing opens it any more.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from recorder.audit.anchoring import NODE_CHARACTERS
from recorder.audit.reading import noted_heads, problems_of
from recorder.common.home import Home
from recorder.recordings.home_lock import AlreadyRunningError, all_stopped
from recorder.recordings.move_note import MoveNote, place_of, write_note
from recorder.recordings.move_plan import MovePlan, MovePlanner, MoveRefusedError
from storage.anchors import Anchors
from storage.audit import AuditLog
from storage.database import POSTGRESQL, SQLITE, Database, parse_url, sqlite_url
from storage.database_look import sessions_of
from storage.errors import DatabaseError
from storage.index_file import drop_unfinished, new_path, put_in_place, users_of
from storage.keys import NodeKeys
from storage.lost_found import LostFound
from storage.moved import mark_moved
from storage.table_copy import TableContent, content_of, copy_table, differences
from storage.tables import METADATA, anchors, schema

MOVING, MOVED = "index.moving", "index.moved"
"""Acts of the audit log: an index is about to be copied; it was, and the old database is closed."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, rows done and rows in all."""


@dataclass(slots=True, kw_only=True)
class Moved:
    """What a move did.

    Attributes:
        plan: The plan.
        tables: Rows and digest of each table, the same in both databases.
        audit_entries: Entries of the audit log that were verified with the heads in the new database.
        set_aside: Former files of the index in the home, in lost+found.
        seconds: How long it took.
    """

    plan: MovePlan
    tables: dict[str, TableContent] = field(default_factory=dict)
    audit_entries: int = 0
    set_aside: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON values."""
        tables = {name: {"rows": one.rows, "digest": one.digest} for name, one in self.tables.items()}
        return {
            **self.plan.as_json(), "tables": tables, "audit_entries": self.audit_entries,
            "set_aside": list(self.set_aside), "seconds": round(self.seconds, 1),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexMove:
    """Moves one home's index.

    Attributes:
        home: The home.
        planner: Says what is moved to where.
        now: The clock, UTC.
    """

    home: Home
    planner: MovePlanner
    now: Callable[[], datetime]

    def run(self, by: str, progress: Progress = lambda _what, _done, _total: None) -> Moved:
        """Copy, compare, and close the old database. Run it again if it was interrupted.

        The caller is in the block of `nobody_else`.

        Args:
            by: Who ordered it, for the audit log.
            progress: Called regularly.

        Raises:
            MoveRefusedError: It cannot be moved, and nothing was changed.
            StorageError, OSError: A database, the audit log or the disk failed; the old index is still in use.
        """
        began_s = time.monotonic()
        done = Moved(plan=self.planner.plan())
        if not done.plan.is_closed:
            self._audit().append(MOVING, by, "", _facts(done.plan))
            with _database(done.plan.source) as source, _reading(source) as read:
                self._copy(read, done, progress)
                done.audit_entries = self._verify_audit(done.plan)
                self._refuse_users(read)
                self._close(done, by)
                mark_moved(read, self.now())
        else:
            self._mark(done.plan.source)
        done.seconds = time.monotonic() - began_s
        return done

    def _mark(self, url: str) -> None:
        """Mark the old database; a file may have been removed since."""
        parsed = parse_url(url)
        if parsed.drivername == SQLITE and not Path(str(parsed.database)).exists():
            return
        with _database(url, is_moved_too=True) as old, _writing(old) as connection:
            mark_moved(connection, self.now())

    def _audit(self) -> AuditLog:
        return AuditLog(self.home.audit, now=self.now)

    def _copy(self, read: sa.Connection, done: Moved, progress: Progress) -> None:
        plan = done.plan
        path = self.home.index
        is_new_file = parse_url(plan.target).drivername == SQLITE and not plan.is_copied
        if is_new_file:
            drop_unfinished(path)
        with (
            _database(sqlite_url(new_path(path)) if is_new_file else plan.target) as target,
            _writing(target) as write,
        ):
            _name_anchors(read, NodeKeys.load(self.home.root).fingerprint[:NODE_CHARACTERS])
            if plan.is_copied:
                done.tables = _contents(read, "reading", plan, progress)
            else:
                done.tables = _copied(read, write, plan, progress)
            if found := differences(done.tables, _contents(write, "comparing", plan, progress)):
                what = "the new database is not empty" if plan.is_copied else "the copy is not the same"
                raise MoveRefusedError(f"{what}, so nothing was changed: {'; '.join(found)}")
        if is_new_file:
            why = f"recorder database move moved the index from {plan.names[0]} to this place"
            done.set_aside = put_in_place(path, LostFound(self.home.root, self.now()), why)

    def _verify_audit(self, plan: MovePlan) -> int:
        node = NodeKeys.load(self.home.root).fingerprint[:NODE_CHARACTERS]
        with _database(plan.target) as database:
            state = self._audit().verify(noted_heads(Anchors(database, node)))
        if problems := problems_of(state):
            raise MoveRefusedError(
                f"the rows were copied, but the audit log is not whole, so the old index stays in use: {problems[0]}; "
                "see `recorder audit verify`, then run this again"
            )
        return state.entries

    def _refuse_users(self, read: sa.Connection) -> None:
        """Refuse if another process has opened the old database since: it would write there after the move."""
        if users := users_of(self.home.index) if read.dialect.name == SQLITE else sessions_of(read):
            raise MoveRefusedError(
                f"the rows were copied, but the old index stays in use, because it was opened meanwhile by "
                f"{', '.join(users)}: stop that, and run this again"
            )

    def _close(self, done: Moved, by: str) -> None:
        """Write down that the index moved; from here on the old database is out of use."""
        counts = {name: one.rows for name, one in done.tables.items() if one.rows}
        digests = {name: one.digest for name, one in done.tables.items() if one.rows}
        self._audit().append(MOVED, by, "", {**_facts(done.plan), "rows": counts, "digests": digests})
        url = "" if done.plan.setting == "off" else done.plan.setting
        write_note(self.home.state, MoveNote(left=place_of(self.home, done.plan.source), url=url, at=self.now()))


@contextlib.contextmanager
def nobody_else(home: Home) -> Iterator[None]:
    """Keep daemon and console of a home from starting.

    Raises:
        MoveRefusedError: One of them runs, or a process has the file of the index open.
    """
    try:
        with all_stopped(home):
            if users := users_of(home.index):
                raise MoveRefusedError(f"process {', '.join(users)} has the index open: stop it, and run this again")
            yield
    except AlreadyRunningError as error:
        raise MoveRefusedError(f"{error}: stop daemon and console, then run this again") from error


def _facts(plan: MovePlan) -> dict[str, Any]:
    kinds = [SQLITE if parse_url(url).drivername == SQLITE else POSTGRESQL for url in (plan.source, plan.target)]
    return {"from": kinds[0], "to": kinds[1]}


@contextlib.contextmanager
def _database(url: str, *, is_moved_too: bool = False) -> Iterator[Database]:
    database = Database(url, is_deferred=True, is_moved_too=is_moved_too)
    try:
        yield database
    finally:
        database.close()


@contextlib.contextmanager
def _reading(source: Database) -> Iterator[sa.Connection]:
    """Give a connection to the source that keeps all others from writing."""
    with _writing(source) as connection:
        if source.dialect == POSTGRESQL:
            names = ", ".join(table.name for table in METADATA.sorted_tables)
            connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE ROW EXCLUSIVE MODE NOWAIT")
        else:
            # Elsewhere damaged bytes in a text are replaced, so that the rest can be read; a copy must not.
            driver: Any = connection.connection.driver_connection
            driver.text_factory = str
        yield connection


@contextlib.contextmanager
def _writing(database: Database) -> Iterator[sa.Connection]:
    try:
        with database.begin() as connection:
            yield connection
    except psycopg.Error as error:  # of COPY, which SQLAlchemy does not see
        raise DatabaseError(
            f"the database {database.name} does not take the rows: {_reason(error)}", is_passing=True
        ) from error


def _reason(error: psycopg.Error) -> str:
    return "its disk is full" if error.sqlstate == "53100" else error.sqlstate or type(error).__name__


def _name_anchors(source: sa.Connection, node: str) -> None:
    """Write this home's node into heads from before they had one: in a database of several homes they need it."""
    if source.dialect.name == SQLITE:
        source.execute(anchors.update().where(anchors.c.node == "").values(node=node))


def _copied(read: sa.Connection, write: sa.Connection, plan: MovePlan, progress: Progress) -> dict[str, TableContent]:
    write.execute(schema.delete())
    done, before = {}, 0
    for table in METADATA.sorted_tables:
        try:
            done[table.name] = copy_table(table, read, write, _telling(progress, "copying", before, plan.total))
        except sa.exc.OperationalError as error:
            if "Could not decode" not in str(error.orig):
                raise
            raise MoveRefusedError(
                f"a text in the table {table.name} is damaged, so nothing was changed: run `recorder index check` first"
            ) from error
        before += done[table.name].rows
    return done


def _contents(connection: sa.Connection, what: str, plan: MovePlan, progress: Progress) -> dict[str, TableContent]:
    done, before = {}, 0
    for table in METADATA.sorted_tables:
        done[table.name] = content_of(table, connection, _telling(progress, what, before, plan.total))
        before += done[table.name].rows
    return done


def _telling(progress: Progress, what: str, before: int, total: int) -> Callable[[int], None]:
    return lambda done: progress(what, before + done, total)


def summary(tables: Mapping[str, TableContent]) -> str:
    """Return the counts that matter most, for people."""
    words = {"recordings": "calls", "holds": "legal holds", "deletions": "tombstones", "claims": "rights requests"}
    return ", ".join(f"{tables[name].rows} {said}" for name, said in words.items() if name in tables)
