"""The index: one row per call, recorded or not.

The whole row lies as JSON in one column; what is searched by has columns of its own, derived from it at `save`.
Safe from any thread and from several processes.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from storage.database import Database, sqlite_url
from storage.errors import NotFoundError
from storage.holds import kinds_standing
from storage.rows import normalise_number, row_from_json, row_to_json
from storage.tables import microseconds
from storage.tables import recordings as _recordings
from storage.types import RecordingId, RecordingRow, Search

__all__ = ["Index", "normalise_number", "row_from_json", "row_to_json", "sqlite_url"]

_PAGE = 1000
_REMOVED_AT_ONCE = 500
"""Ids in one statement: SQLite takes 999 values at the least."""


class Index:
    """The calls that are known.

    Args:
        database: Where they are, or the URL of one, which is then closed with the index.
        is_deferred: Of a database by URL: see `storage.database.Database`.
        now: The clock, UTC: which holds keep a recording depends on it.

    Raises:
        DatabaseError: The database cannot be used; so for every method.
        OSError: The folder of its file cannot be made; so for every method.
    """

    def __init__(
        self,
        database: Database | str,
        *,
        is_deferred: bool = False,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._now = now
        self._is_owner = isinstance(database, str)
        self.database = Database(database, is_deferred=is_deferred) if isinstance(database, str) else database
        """For what lies beside the index."""

    def save(self, row: RecordingRow) -> None:
        """Store a row durably, in place of an older one of that id; its holds are not in it but in `storage.holds`."""
        self.save_many([row])

    def save_many(self, rows: Iterable[RecordingRow]) -> None:
        """Store rows durably, all or none, each in place of an older one of its id."""
        with self.database.begin() as connection:
            for row in rows:
                values = _columns(row)
                changed = connection.execute(_recordings.update().where(_recordings.c.id == row.id).values(values))
                if not changed.rowcount:
                    connection.execute(_recordings.insert().values(values))

    def get(self, id_or_prefix: str) -> RecordingRow:
        """Return the row of an id, or of a prefix that fits one only.

        Raises:
            NotFoundError: None fits, or more than one.
        """
        if not id_or_prefix.isascii():
            raise NotFoundError("no recording has an id like this")
        column = _recordings.c.id
        with self.database.connect() as connection:
            found = connection.execute(_recordings.select().where(column == id_or_prefix)).one_or_none()
            if found is not None:
                return self._rows(connection, [found])[0]
            query = _recordings.select().order_by(column).limit(2)
            if id_or_prefix:
                beyond = id_or_prefix[:-1] + chr(ord(id_or_prefix[-1]) + 1)
                query = query.where(column >= id_or_prefix, column < beyond)
            matches = connection.execute(query).all()
            if len(matches) != 1:
                number = "no" if not matches else "more than one"
                raise NotFoundError(f"{number} recording begins with {id_or_prefix!r}")
            return self._rows(connection, matches)[0]

    def find(self, search: Search) -> list[RecordingRow]:
        """Return the rows that match, newest first, at most ``search.limit``."""
        query = (
            _recordings.select()
            .where(*_conditions(search))
            .order_by(_recordings.c.started_us.desc(), _recordings.c.id.desc())
            .limit(search.limit)
            .offset(search.offset)
        )
        with self.database.connect() as connection:
            return self._rows(connection, connection.execute(query).all())

    def each(self, search: Search) -> Iterator[RecordingRow]:
        """Yield every row that matches, newest first, whatever the limit and offset; without peaks.

        Read in pages, each by a query of its own: neither memory nor a transaction grows with the number of rows. A row
        that is saved meanwhile may be missed; none comes twice.
        """
        column = _recordings.c
        query = (
            sa.select(column.started_us, column.id, column.document)
            .where(*_conditions(search))
            .order_by(column.started_us.desc(), column.id.desc())
            .limit(_PAGE)
        )
        page = query
        while True:
            with self.database.connect() as connection:
                found = connection.execute(page).all()
                kinds = kinds_standing(connection, [one.id for one in found], self._now())
            for one in found:
                yield replace(row_from_json(json.loads(one.document)), holds=kinds.get(one.id, ()))
            if len(found) < _PAGE:
                return
            last = found[-1]
            is_before = sa.and_(column.started_us == last.started_us, column.id < last.id)
            page = query.where(sa.or_(column.started_us < last.started_us, is_before))

    def count(self, search: Search) -> int:
        """Return how many rows match, whatever the limit."""
        query = sa.select(sa.func.count()).select_from(_recordings).where(*_conditions(search))
        with self.database.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def remove(self, recording: RecordingId) -> bool:
        """Delete a row; tells whether there was one."""
        return bool(self.remove_many([recording]))

    def remove_many(self, recordings: Sequence[RecordingId]) -> int:
        """Delete rows, all or none; returns how many there were. Others who write wait meanwhile."""
        removed = 0
        with self.database.begin() as connection:
            for start in range(0, len(recordings), _REMOVED_AT_ONCE):
                some = recordings[start : start + _REMOVED_AT_ONCE]
                removed += connection.execute(_recordings.delete().where(_recordings.c.id.in_(some))).rowcount
        return removed

    def _rows(self, connection: sa.Connection, found: Sequence[sa.Row[Any]]) -> list[RecordingRow]:
        kinds = kinds_standing(connection, [one.id for one in found], self._now())
        return [_row(one, kinds.get(one.id, ())) for one in found]

    def close(self) -> None:
        """Give the connections back, of a database that was given by its URL."""
        if self._is_owner:
            self.database.close()


def _columns(row: RecordingRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "started_us": microseconds(row.started_at),
        "operator": row.operator,
        "extension": row.extension,
        "caller": row.caller,
        "called": row.called,
        "caller_e164": normalise_number(row.caller),
        "called_e164": normalise_number(row.called),
        "outcome": str(row.outcome),
        "retention_due_us": microseconds(row.retention_due) if row.retention_due else None,
        "document": json.dumps(row_to_json(replace(row, holds=())), ensure_ascii=False),
        "peaks_left": row.peaks[0],
        "peaks_right": row.peaks[1],
    }


def _row(found: sa.Row[Any], holds: tuple[str, ...]) -> RecordingRow:
    row = row_from_json(json.loads(found.document))
    return replace(row, holds=holds, peaks=(bytes(found.peaks_left), bytes(found.peaks_right)))


def _conditions(search: Search) -> list[sa.ColumnElement[bool]]:
    column = _recordings.c
    conditions: list[sa.ColumnElement[bool]] = []
    if search.started_from is not None:
        conditions.append(column.started_us >= microseconds(search.started_from))
    if search.started_to is not None:
        conditions.append(column.started_us < microseconds(search.started_to))
    if search.operator is not None:
        conditions.append(column.operator == search.operator)
    if search.extension is not None:
        conditions.append(column.extension == search.extension)
    if search.outcome is not None:
        conditions.append(column.outcome == str(search.outcome))
    if search.number is not None:
        whole = normalise_number(search.number)
        conditions.append(sa.or_(column.caller_e164 == whole, column.called_e164 == whole))
    return conditions
