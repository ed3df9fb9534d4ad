"""The index: one row per call, recorded or not, in SQLite or PostgreSQL. Portable SQL only.

The whole row lies as JSON in one column; what is searched by has columns of its own, derived from it at `save`.
Safe from any thread and from several processes.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection

from storage.durable import make_folder
from storage.errors import NotFoundError, StorageError
from storage.rows import normalise_number, row_from_json, row_to_json
from storage.types import RecordingId, RecordingRow, Search

__all__ = ["SCHEMA_VERSION", "Index", "normalise_number", "row_from_json", "row_to_json", "sqlite_url"]

SCHEMA_VERSION = 1
_BUSY_MS = 5000
_PAGE = 1000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_metadata = sa.MetaData()
_Ascii = sa.String(80).with_variant(sa.String(80, collation="C"), "postgresql")

_schema = sa.Table(
    "schema_version",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),
)

_recordings = sa.Table(
    "recordings",
    _metadata,
    sa.Column("id", _Ascii, primary_key=True),
    sa.Column("started_us", sa.BigInteger, nullable=False),
    sa.Column("operator", sa.Text, nullable=False),
    sa.Column("extension", sa.Text, nullable=False),
    sa.Column("caller", sa.Text, nullable=False),
    sa.Column("called", sa.Text, nullable=False),
    sa.Column("caller_e164", sa.Text, nullable=False),
    sa.Column("called_e164", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("retention_due_us", sa.BigInteger),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("peaks_left", sa.LargeBinary, nullable=False),
    sa.Column("peaks_right", sa.LargeBinary, nullable=False),
    sa.Index("recordings_by_time", "started_us"),
    sa.Index("recordings_by_operator", "operator", "started_us"),
    sa.Index("recordings_by_extension", "extension", "started_us"),
    sa.Index("recordings_by_outcome", "outcome", "started_us"),
    sa.Index("recordings_by_caller", "caller_e164", "started_us"),
    sa.Index("recordings_by_called", "called_e164", "started_us"),
    sa.Index("recordings_by_raw_caller", "caller", "started_us"),
    sa.Index("recordings_by_raw_called", "called", "started_us"),
    sa.Index("recordings_by_due", "retention_due_us"),
)


def sqlite_url(path: Path) -> str:
    """Return the URL of an SQLite index in a file."""
    return f"sqlite:///{path}"


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _set_up_sqlite(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={_BUSY_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "secure_delete=ON",
        "temp_store=MEMORY",  # sorting many rows would write them to a file in /var/tmp
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


class Index:
    """The calls that are known.

    Args:
        url: SQLAlchemy URL, `sqlite_url` for a file. Tables are made where they are missing.
        is_deferred: Do not touch the database before it is needed, and try again each time until it can be used: calls
            must go on, and the daemon must start, while it is down or the disk is full.

    Raises:
        StorageError: The database was made by a newer program.
        sqlalchemy.exc.SQLAlchemyError: It cannot be reached; so for every method.
    """

    def __init__(self, url: str, *, is_deferred: bool = False) -> None:
        self._made = sa.create_engine(url, hide_parameters=True)
        self._is_ready = False
        if self._made.dialect.name == "sqlite":
            sa.event.listen(self._made, "connect", _set_up_sqlite)
        if not is_deferred:
            self._prepare()

    @property
    def engine(self) -> sa.Engine:
        """Return the database, its tables made; for what lies beside the index."""
        if not self._is_ready:
            self._prepare()
        return self._made

    def _prepare(self) -> None:
        if self._made.dialect.name == "sqlite":
            self._prepare_file()
        _metadata.create_all(self._made)
        self._check_version()
        self._is_ready = True

    def _prepare_file(self) -> None:
        name = self._made.url.database
        if name and name != ":memory:":
            path = Path(name)
            make_folder(path.parent)
            path.touch(mode=0o600)

    def _check_version(self) -> None:
        with self._made.begin() as connection:
            found = connection.execute(sa.select(_schema.c.version)).scalar()
            if found is None:
                connection.execute(_schema.insert().values(id=1, version=SCHEMA_VERSION))
            elif found > SCHEMA_VERSION:
                raise StorageError(f"the index has schema {found}, this program knows {SCHEMA_VERSION}")

    def save(self, row: RecordingRow) -> None:
        """Store a row durably, in place of an older one of that id."""
        values = _columns(row)
        with self.engine.begin() as connection:
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
        with self.engine.connect() as connection:
            found = connection.execute(_recordings.select().where(column == id_or_prefix)).one_or_none()
            if found is not None:
                return _row(found)
            query = _recordings.select().order_by(column).limit(2)
            if id_or_prefix:
                beyond = id_or_prefix[:-1] + chr(ord(id_or_prefix[-1]) + 1)
                query = query.where(column >= id_or_prefix, column < beyond)
            matches = connection.execute(query).all()
        if len(matches) != 1:
            raise NotFoundError(f"{'no' if not matches else 'more than one'} recording begins with {id_or_prefix!r}")
        return _row(matches[0])

    def find(self, search: Search) -> list[RecordingRow]:
        """Return the rows that match, newest first, at most ``search.limit``."""
        query = (
            _recordings.select()
            .where(*_conditions(search))
            .order_by(_recordings.c.started_us.desc(), _recordings.c.id.desc())
            .limit(search.limit)
            .offset(search.offset)
        )
        with self.engine.connect() as connection:
            return [_row(found) for found in connection.execute(query)]

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
            with self.engine.connect() as connection:
                found = connection.execute(page).all()
            for one in found:
                yield row_from_json(json.loads(one.document))
            if len(found) < _PAGE:
                return
            last = found[-1]
            is_before = sa.and_(column.started_us == last.started_us, column.id < last.id)
            page = query.where(sa.or_(column.started_us < last.started_us, is_before))

    def count(self, search: Search) -> int:
        """Return how many rows match, whatever the limit."""
        query = sa.select(sa.func.count()).select_from(_recordings).where(*_conditions(search))
        with self.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def remove(self, recording: RecordingId) -> bool:
        """Delete a row; tells whether there was one."""
        with self.engine.begin() as connection:
            return bool(connection.execute(_recordings.delete().where(_recordings.c.id == recording)).rowcount)

    def close(self) -> None:
        """Give the connections back."""
        self._made.dispose()


def _columns(row: RecordingRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "started_us": _microseconds(row.started_at),
        "operator": row.operator,
        "extension": row.extension,
        "caller": row.caller,
        "called": row.called,
        "caller_e164": normalise_number(row.caller),
        "called_e164": normalise_number(row.called),
        "outcome": str(row.outcome),
        "retention_due_us": _microseconds(row.retention_due) if row.retention_due else None,
        "document": json.dumps(row_to_json(row), ensure_ascii=False),
        "peaks_left": row.peaks[0],
        "peaks_right": row.peaks[1],
    }


def _row(found: sa.Row[Any]) -> RecordingRow:
    row = row_from_json(json.loads(found.document))
    return replace(row, peaks=(bytes(found.peaks_left), bytes(found.peaks_right)))


def _conditions(search: Search) -> list[sa.ColumnElement[bool]]:
    column = _recordings.c
    conditions: list[sa.ColumnElement[bool]] = []
    if search.started_from is not None:
        conditions.append(column.started_us >= _microseconds(search.started_from))
    if search.started_to is not None:
        conditions.append(column.started_us < _microseconds(search.started_to))
    if search.operator is not None:
        conditions.append(column.operator == search.operator)
    if search.extension is not None:
        conditions.append(column.extension == search.extension)
    if search.outcome is not None:
        conditions.append(column.outcome == str(search.outcome))
    if search.number is not None:
        whole = normalise_number(search.number)
        conditions.append(
            sa.or_(
                column.caller_e164 == whole,
                column.called_e164 == whole,
                column.caller == search.number,
                column.called == search.number,
            )
        )
    return conditions
