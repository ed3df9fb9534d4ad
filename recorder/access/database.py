"""The file of people: opened, made and completed; and whether somebody has changed it."""

import errno
import os
import sqlite3
import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateColumn

from recorder.access.tables import metadata
from recorder.access.triggers import keep_rules
from storage.new_tables import create_tables


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditNote:
    """What must be in the audit log before the act that gave it shows."""

    act: str
    subject: str
    details: Mapping[str, Any] = field(default_factory=dict)


_COLUMNS = "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'"


def open_people(path: Path) -> Engine:
    """Open the file of people, making it (0600) and its tables when they are missing.

    Every transaction takes the write lock at its start, so that "count the failure, then check the password" is one
    step however many processes try. The caller disposes of the engine.

    Args:
        path: The file; its folder exists.

    Raises:
        OSError: The file can be neither read nor made.
    """
    make_file(path)
    engine = create_engine(
        f"sqlite:///{path}", poolclass=NullPool, connect_args={"timeout": 10.0}, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver's own BEGIN comes too late to lock a read-then-write
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy hands over its Connection
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.begin() as connection:
        _complete(connection)
        keep_rules(connection)
    return engine


def make_file(path: Path) -> None:
    """Make the file (0600) where it is missing.

    One that is there is never opened here: whoever closes a descriptor of it, other than SQLite's own, takes away the
    locks of every transaction of this process (fcntl(2), advisory record locking).

    Raises:
        OSError: It can be neither read nor made.
    """
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    elif not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _complete(connection: Connection) -> None:
    """Make the tables, or those and the columns that came since; each column is empty or has a default."""
    there: dict[str, set[str]] = {}
    for table, column in connection.exec_driver_sql(_COLUMNS):
        there.setdefault(table, set()).add(column)
    if not there:
        create_tables(connection, metadata)
        return
    if metadata.tables.keys() - there.keys():
        metadata.create_all(connection)
    for name in there.keys() & metadata.tables.keys():
        for column in metadata.tables[name].columns:
            if column.name not in there[name]:
                connection.exec_driver_sql(f"ALTER TABLE {name} ADD COLUMN {CreateColumn(column)}")


class Changes:
    """Tells whether the file of people has changed; safe from any thread.

    SQLite's own word (``PRAGMA data_version``), on a connection that never writes and is kept: it costs a look at the
    file's header, and closing any other descriptor of the file would take away the locks of those who write it.

    Args:
        engine: From ``open_people``; when it is disposed of, or nobody has it any more, the connection is closed.
    """

    def __init__(self, engine: Engine) -> None:
        assert engine.url.database is not None
        self._path = Path(engine.url.database)
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._ending: weakref.finalize[[], Changes] | None = None
        self._file: tuple[int, int] | None = None
        self._opened = 0
        event.listen(engine, "engine_disposed", lambda _engine: self._close())

    def version(self) -> tuple[int, int]:
        """Return what is another after each change by anybody, also after the file was replaced by another one.

        Raises:
            OSError, sqlite3.Error: The file cannot be read.
        """
        with self._lock:
            status = self._path.stat()
            file = (status.st_dev, status.st_ino)
            if self._connection is None or file != self._file:
                self._close()
                uri = f"{self._path.absolute().as_uri()}?mode=ro"
                self._connection = sqlite3.connect(uri, uri=True, timeout=10.0, check_same_thread=False)
                self._ending = weakref.finalize(self, self._connection.close)
                self._ending.atexit = False  # the system does it; a forked child must not
                self._file, self._opened = file, self._opened + 1
            return (self._opened, self._connection.execute("PRAGMA data_version").fetchone()[0])

    def _close(self) -> None:
        with self._lock:
            if self._ending is not None:
                self._ending()
            self._connection = self._ending = None


def from_s(value: float | None) -> datetime | None:
    """Turn stored seconds since 1970 into an aware time in UTC."""
    return None if value is None else datetime.fromtimestamp(value, UTC)
