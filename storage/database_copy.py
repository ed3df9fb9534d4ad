"""Copies a whole index: a SQLite file while it is in use, or the rows of every table from one database to another.

A copy is always a SQLite file, also of an index on a PostgreSQL server, so that either kind can be restored from it.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from storage.database import Database, sqlite_url
from storage.durable import make_folder
from storage.errors import DatabaseError
from storage.group_modes import refuse_link
from storage.tables import METADATA, schema

_AT_ONCE = 1000
_PAGES_AT_ONCE = 4096


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy a SQLite database that others may be writing (SQLite's online backup); the copy is one moment's.

    The copy has no write-ahead log, so it is one file.

    Args:
        source: An existing file.
        target: A new file, mode 0600.

    Raises:
        DatabaseError: One of the files cannot be read or written.
        OSError: The source is a link, or from the system.
    """
    refuse_link(source)
    make_folder(target.parent, is_private=True)
    target.unlink(missing_ok=True)
    target.touch(mode=0o600)
    try:
        with (
            closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=rw", uri=True, timeout=5.0)) as read,
            closing(sqlite3.connect(target)) as write,
        ):
            if read.execute("PRAGMA journal_mode").fetchone() == ("wal",):
                # SQLite begins a copy again after each write that is made between two steps, unless a reader holds its
                # view. With a write-ahead log that blocks no writer; without one it would, and the files are small.
                read.execute("BEGIN")
                read.execute("SELECT count(*) FROM sqlite_master").fetchone()
            read.backup(write, pages=_PAGES_AT_ONCE, progress=_look_at_signals)
            write.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise DatabaseError(f"{source} cannot be copied: {error}", is_passing=True) from error


def _look_at_signals(_status: int, _left: int, _total: int) -> None:
    """Do nothing: Python handles pending signals at the call, so Ctrl-C ends a long copy."""


def copy_to_file(source: Database, target: Path) -> None:
    """Copy the rows of an index on a server into a new SQLite file, as one transaction sees them.

    Raises:
        DatabaseError, OSError: The source cannot be read, or the target cannot be written.
    """
    target.unlink(missing_ok=True)
    made = Database(sqlite_url(target))
    try:
        _copy_rows(source, made)
        made.truncate_log()
    finally:
        made.close()
    target.with_name(f"{target.name}-lock").unlink(missing_ok=True)


def copy_from_file(source: Path, target: Database) -> None:
    """Copy the rows of a SQLite file into an index that is not `filled`, in one transaction.

    Raises:
        DatabaseError: The source cannot be read, or the target cannot be written; no row was copied.
        OSError: From the system.
    """
    read = Database(sqlite_url(source))
    try:
        _copy_rows(read, target)
    finally:
        read.close()


def filled(database: Database) -> list[str]:
    """Return the tables that have rows; the table of versions does not count."""
    with database.connect() as connection:
        return [
            table.name
            for table in METADATA.sorted_tables
            if table is not schema and connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first()
        ]


def _copy_rows(source: Database, target: Database) -> None:
    with source.snapshot() as read, target.begin() as write:
        write.execute(schema.delete())
        for table in METADATA.sorted_tables:
            found = read.execution_options(yield_per=_AT_ONCE).execute(table.select())
            for rows in found.mappings().partitions():
                write.execute(table.insert(), [dict(row) for row in rows])
