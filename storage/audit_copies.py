"""Copies of the entries of several audit logs in one database, for reading and search; the logs stay the originals.

Each log has a name of its own. Rows are only added: the roles of daemon and console may neither change nor delete one,
and `recorder.audit.copies_check` finds a row that was changed by somebody who may.
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.audit_entry import AuditEntry, parse_line, stored_line
from storage.database import SQLITE, Database
from storage.errors import StorageError
from storage.rows import time_from_json
from storage.tables import audit_entries as _entries
from storage.tables import audit_logs as _logs
from storage.tables import microseconds

_AT_ONCE = 1000
_AFTER_ALL = "\U0010ffff"
"""Sorts after all characters, as bytes of UTF-8 too."""


class CopyRefusedError(StorageError):
    """The entries of a log cannot be added, now and later: the copy is another log's, or differs from the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedLog:
    """A log that has copies.

    Attributes:
        name: Its name.
        fingerprint: Of the key of its home, 64 hex digits.
    """

    name: str
    fingerprint: str


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """The place of an entry among those of all logs, by time; `AuditCopies.find` begins with the last."""

    at_us: int
    node: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedEntry:
    """A row as it is stored.

    Attributes:
        node: Name of the log.
        line: The line, without its line feed.
        columns: The columns that searches use, by name.
    """

    node: str
    number: int
    line: str
    columns: dict[str, Any]

    @property
    def place(self) -> Place:
        """Its place among all entries."""
        return Place(self.columns["at_us"], self.node, self.number)

    def entry(self) -> AuditEntry:
        """Return the entry of the line. Raises ValueError if the line is none, or was changed."""
        return parse_line(self.line.encode())

    def is_derived_from(self, entry: AuditEntry) -> bool:
        """Tell whether the columns are those of the entry."""
        return self.columns == _columns(self.node, entry)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyFilter:
    """Which entries `AuditCopies.find` returns; None matches all.

    Attributes:
        node: Name of the log.
        act: One act, ``call.pause``, or all of a noun, ``call``.
        actor: Who did it.
        subject: The beginning of the subject.
        start: From this moment on.
        end: Before this moment.
    """

    node: str | None = None
    act: str | None = None
    actor: str | None = None
    subject: str | None = None
    start: datetime | None = None
    end: datetime | None = None

    def conditions(self) -> Iterator[sa.ColumnElement[bool]]:
        """Yield the conditions of a query."""
        columns = _entries.c
        for column, value in ((columns.node, self.node), (columns.actor, self.actor)):
            if value is not None:
                yield column == value
        if self.act is not None:
            yield sa.or_(columns.act == self.act, _begins(columns.act, f"{self.act}."))
        if self.subject is not None:
            yield _begins(columns.subject, self.subject)
        if self.start is not None:
            yield columns.at_us >= microseconds(self.start)
        if self.end is not None:
            yield columns.at_us < microseconds(self.end)


def _begins(column: sa.ColumnElement[str], text: str) -> sa.ColumnElement[bool]:
    """Return the condition that a column begins with a text, which an index serves."""
    return sa.and_(column >= text, column <= f"{text}{_AFTER_ALL}")


class AuditCopies:
    """The copies in one database. Blocks; safe from any thread.

    Raises:
        DatabaseError: The database cannot be used; applies to every method.
        OSError: The folder of its file cannot be made; applies to every method.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def close(self) -> None:
        """Close the connections; a later use opens new ones."""
        self._database.close()

    # --- adding

    def register(self, name: str, fingerprint: str, now: datetime) -> None:
        """Take a name for the log of a home; nothing happens if it has the name already.

        Raises:
            CopyRefusedError: The home of another key has the name.
        """
        values = {"name": name, "fingerprint": fingerprint, "began_us": microseconds(now)}
        with self._database.begin() as connection:
            connection.execute(self._insert(_logs).on_conflict_do_nothing(), values)
            known = connection.execute(sa.select(_logs.c.fingerprint).where(_logs.c.name == name)).scalar_one()
        if known != fingerprint:
            raise CopyRefusedError(
                f"the audit log of another machine is stored as {name!r}: the key there is {known[:16]}..., the one "
                f"here {fingerprint[:16]}...; give one of the two another name in [node] of recorder.toml"
            )

    def newest(self, name: str) -> tuple[int, str] | None:
        """Return number and hash of the newest entry of a log, or None: it has none."""
        query = sa.select(_entries.c.number, _entries.c.hash).where(_entries.c.node == name)
        with self._database.connect() as connection:
            found = connection.execute(query.order_by(_entries.c.number.desc()).limit(1)).first()
        return None if found is None else (found.number, found.hash)

    def add(self, name: str, entries: Sequence[AuditEntry]) -> None:
        """Add entries of a log, all or none; those that are there already are left as they are.

        Raises:
            CopyRefusedError: A row that is there differs from its entry. Nothing was added.
        """
        with self._database.begin() as connection:
            for some in _in_parts(entries):
                rows = [{**_columns(name, one), "line": stored_line(one)} for one in some]
                added = connection.execute(self._insert(_entries).on_conflict_do_nothing(), rows).rowcount
                if added != len(rows):
                    _refuse_other(connection, name, some)

    def _insert(self, table: sa.Table) -> Any:  # noqa: ANN401 - one of two classes of SQLAlchemy
        return (sqlite.insert if self._database.dialect == SQLITE else postgresql.insert)(table)

    # --- reading

    def is_readable(self) -> bool:
        """Tell whether this role may read entries; that of a daemon may not, and only sees how far its copy is."""
        if self._database.dialect == SQLITE:
            return True
        with self._database.connect() as connection:
            query = sa.select(sa.func.has_column_privilege(_entries.name, _entries.c.line.name, "SELECT"))
            return bool(connection.execute(query).scalar())

    def logs(self) -> list[CopiedLog]:
        """Return the logs, by name."""
        query = sa.select(_logs.c.name, _logs.c.fingerprint).order_by(_logs.c.name)
        with self._database.connect() as connection:
            return [CopiedLog(name=name, fingerprint=key) for name, key in connection.execute(query)]

    def names(self) -> set[str]:
        """Return the names that entries have; reads all of them."""
        with self._database.connect() as connection:
            return set(connection.execute(sa.select(_entries.c.node).distinct()).scalars())

    def find(self, wanted: CopyFilter, *, after: Place | None = None, most: int) -> list[CopiedEntry]:
        """Return entries of all logs, newest first.

        Args:
            wanted: Which.
            after: The place of the last entry of the page before.
            most: How many at most.
        """
        columns = _entries.c
        query = sa.select(_entries).where(*wanted.conditions())
        if after is not None:
            place = sa.tuple_(columns.at_us, columns.node, columns.number)
            last = (sa.literal(after.at_us), sa.literal(after.node), sa.literal(after.number))
            query = query.where(place < sa.tuple_(*last))
        query = query.order_by(columns.at_us.desc(), columns.node.desc(), columns.number.desc()).limit(most)
        with self._database.connect() as connection:
            return [_row(one) for one in connection.execute(query)]

    def walk(self, name: str) -> Generator[CopiedEntry]:
        """Yield all entries of a log, by number, as of one moment; constant memory.

        Close it if it is not read to its end.
        """
        query = sa.select(_entries).where(_entries.c.node == name).order_by(_entries.c.number)
        with (
            self._database.snapshot() as connection,
            connection.execution_options(yield_per=_AT_ONCE).execute(query) as found,
        ):
            for one in found:
                yield _row(one)


def _refuse_other(connection: sa.Connection, name: str, entries: Sequence[AuditEntry]) -> None:
    numbers = [one.number for one in entries]
    query = sa.select(_entries.c.number, _entries.c.hash).where(_entries.c.node == name, _entries.c.number.in_(numbers))
    stored = {number: digest for number, digest in connection.execute(query)}
    for one in entries:
        if stored.get(one.number, one.hash) != one.hash:
            raise CopyRefusedError(
                f"entry {one.number} of the audit log {name!r} is stored otherwise than it is in the log here: two "
                "homes have the same key and name, or one of the two was changed; run `recorder audit verify`"
            )


def place_of(name: str, entry: AuditEntry) -> Place:
    """Return the place that an entry of a log has among the copies."""
    return Place(_columns(name, entry)["at_us"], name, entry.number)


def _columns(name: str, entry: AuditEntry) -> dict[str, Any]:
    try:
        at = time_from_json(entry.at)
    except ValueError:
        at = None  # the entry is not one that the recorder writes; it is still copied
    return {
        "node": name, "number": entry.number, "at_us": 0 if at is None else microseconds(at), "act": entry.act,
        "actor": entry.actor, "subject": entry.subject, "hash": entry.hash,
    }  # fmt: skip


def _row(row: sa.Row[Any]) -> CopiedEntry:
    fields = row._asdict()
    line = fields.pop("line")
    return CopiedEntry(node=row.node, number=row.number, line=line, columns=fields)


def _in_parts(entries: Sequence[AuditEntry]) -> Iterator[Sequence[AuditEntry]]:
    for start in range(0, len(entries), _AT_ONCE):
        yield entries[start : start + _AT_ONCE]
