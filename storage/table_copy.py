"""Copies the rows of all tables of some metadata from one database to another, and compares the two. Constant memory.

It works on connections and `sqlalchemy.MetaData`, so that it serves any database of the recorder. The caller owns both
transactions: a copy that is interrupted leaves nothing, if the caller does not commit.
"""

import hashlib
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy as sa

from storage.errors import StorageError

_AT_ONCE = 500
_MODULUS = 1 << 256
_TELL_EVERY = 500

Progress = Callable[[int], None]
"""Called with the number of rows done in a table so far."""


class RowRefusedError(StorageError):
    """A row cannot be stored by the other engine; the message names table and key, and no other value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TableContent:
    """What a table holds: number of rows, and a digest that depends on every value and not on the order of rows."""

    rows: int
    digest: str


def count_rows(connection: sa.Connection, metadata: sa.MetaData) -> dict[str, int]:
    """Return the number of rows of each table that exists."""
    existing = set(sa.inspect(connection).get_table_names(schema=metadata.schema))
    return {
        table.name: int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
        for table in metadata.sorted_tables
        if table.name in existing
    }


def copy_table(
    table: sa.Table, source: sa.Connection, target: sa.Connection, progress: Progress = lambda _done: None
) -> TableContent:
    """Copy all rows of a table; return what was read.

    Args:
        table: A table that is empty in the target.
        source: Sees one moment of the source.
        target: In a transaction; by COPY on PostgreSQL.
        progress: Called regularly.

    Raises:
        RowRefusedError: The target cannot store a row.
        SQLAlchemyError, psycopg.Error: A database failed.
    """
    seen = _Digest(table)
    rows = _followed(_rows(table, source), seen, progress)
    if target.dialect.name == "postgresql":
        _copy_in(table, rows, target)
    else:
        insert = table.insert()
        for some in _in_parts(rows):
            target.execute(insert, [dict(zip(table.c.keys(), row, strict=True)) for row in some])
    return seen.content()


def content_of(table: sa.Table, connection: sa.Connection, progress: Progress = lambda _done: None) -> TableContent:
    """Read all rows of a table, and return what it holds.

    Raises:
        SQLAlchemyError: The database failed.
    """
    seen = _Digest(table)
    for _ in _followed(_rows(table, connection), seen, progress):
        pass
    return seen.content()


def differences(before: Mapping[str, TableContent], after: Mapping[str, TableContent]) -> list[str]:
    """Return a sentence for each table whose rows are not the same."""
    found = []
    for name, content in before.items():
        other = after.get(name)
        if other is None or other.rows != content.rows:
            found.append(f"table {name} has {content.rows} rows, the copy {0 if other is None else other.rows}")
        elif other.digest != content.digest:
            found.append(f"table {name}: a row of the copy differs")
    return found


class _Digest:
    """The sum of the SHA-256 of all rows, modulo 2**256: the engines sort texts differently, so rows have no order."""

    def __init__(self, table: sa.Table) -> None:
        self._start = hashlib.sha256(table.name.encode())
        self._sum = 0
        self.rows = 0

    def add(self, row: Sequence[Any]) -> None:
        """Add a row."""
        digest = self._start.copy()
        for value in row:
            digest.update(_canonical(value))
        self._sum = (self._sum + int.from_bytes(digest.digest())) % _MODULUS
        self.rows += 1

    def content(self) -> TableContent:
        """Return the result."""
        return TableContent(rows=self.rows, digest=f"{self._sum:064x}")


def _canonical(value: Any) -> bytes:  # noqa: ANN401 - of any column
    """Return a value with its kind and length, the same from both engines."""
    match value:
        case None:
            return b"n"
        case bool():
            return b"b1" if value else b"b0"
        case int():
            kind, content = b"i", str(value).encode()
        case float():
            kind, content = b"f", struct.pack(">d", value)
        case str():
            kind, content = b"s", value.encode("utf-8", "surrogatepass")
        case bytes() | memoryview() | bytearray():
            kind, content = b"y", bytes(value)
        case _:
            raise TypeError(f"a value of type {type(value).__name__} cannot be copied")
    return kind + struct.pack(">Q", len(content)) + content


def _rows(table: sa.Table, connection: sa.Connection) -> Iterator[tuple[Any, ...]]:
    with connection.execute(table.select(), execution_options={"yield_per": _AT_ONCE}) as found:
        for some in found.partitions():
            yield from map(tuple, some)


def _followed(rows: Iterator[tuple[Any, ...]], seen: _Digest, progress: Progress) -> Iterator[tuple[Any, ...]]:
    for row in rows:
        seen.add(row)
        if not seen.rows % _TELL_EVERY:
            progress(seen.rows)
        yield row
    progress(seen.rows)


def _in_parts(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    some: list[tuple[Any, ...]] = []
    for row in rows:
        some.append(row)
        if len(some) == _AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def _copy_in(table: sa.Table, rows: Iterator[tuple[Any, ...]], target: sa.Connection) -> None:
    """Write rows by COPY, with the types of the columns, in the transaction of the connection."""
    preparer = target.dialect.identifier_preparer
    columns = ", ".join(preparer.quote(column.name) for column in table.c)
    driver = target.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    statement = f"COPY {preparer.format_table(table)} ({columns}) FROM STDIN"
    keys = [at for at, column in enumerate(table.c) if column.primary_key]
    with driver.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for row in rows:
            if any(isinstance(value, str) and "\0" in value for value in row):
                key = ", ".join(str(row[at]) for at in keys)
                raise RowRefusedError(
                    f"the row {key} of {table.name} has a text with a zero byte, which PostgreSQL cannot store: "
                    "correct or delete that row, then run this again"
                )
            copy.write_row(row)
