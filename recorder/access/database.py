"""Opens and creates the file of people, and tells whether it has changed."""

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

from sqlalchemy import Engine, event

from recorder.access.kept_connection import make_engine
from recorder.access.schema import bring_up_to_date


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditNote:
    """An audit entry that must be written before the result of its act is shown."""

    act: str
    subject: str
    details: Mapping[str, Any] = field(default_factory=dict)


_engines: weakref.WeakValueDictionary[Path, Engine] = weakref.WeakValueDictionary()


def open_people(path: Path) -> Engine:
    """Open the file of people, creating it (0600) and its tables if they are missing, or upgrading them.

    Every transaction takes the write lock at its start, so that "count the failure, then check the password" is atomic
    between processes. All callers of a process get the same engine for a file. To dispose of it closes the file; the
    next transaction of any caller opens it again.

    Args:
        path: The file; its folder exists.

    Raises:
        OSError: The file can neither be read nor created.
        DatabaseError: A newer program made its tables, or it is no database.
    """
    make_file(path)
    path = path.absolute()
    engine = _engines.get(path) or _engines.setdefault(path, _make(path))
    bring_up_to_date(engine)
    return engine


def _make(path: Path) -> Engine:
    engine = make_engine(path)

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver's own BEGIN is too late for a read-then-write
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy hands over its Connection
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def make_file(path: Path) -> None:
    """Create the file (0600) if it is missing.

    An existing file is never opened here: closing a descriptor that is not SQLite's would release the locks of every
    transaction of this process (fcntl(2), advisory record locking).

    Raises:
        OSError: It can neither be read nor created.
    """
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    elif not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


class Changes:
    """Tells whether the file of people has changed; safe from any thread.

    It uses SQLite's ``PRAGMA data_version`` on a connection that never writes and stays open. That costs a read of the
    file's header. Closing any other descriptor of the file would release the locks of writers.

    Args:
        engine: From ``open_people``; the connection is closed when it is disposed of or no longer referenced.
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
        """Return a value that differs after each change by anybody, also after the file was replaced.

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
                self._ending.atexit = False  # the system closes it at exit; a forked child must not
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
