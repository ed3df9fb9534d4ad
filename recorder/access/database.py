"""Opens and creates the accounts of a home, in a file or on a server, and tells whether they have changed."""

import errno
import os
import sqlite3
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from recorder.access.kept_connection import make_engine
from recorder.access.schema import bring_up_to_date
from recorder.common.home import Home


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditNote:
    """An audit entry that must be written before the result of its act is shown."""

    act: str
    subject: str
    details: Mapping[str, Any] = field(default_factory=dict)


_engines: weakref.WeakValueDictionary[tuple[Path, str], Engine] = weakref.WeakValueDictionary()


def open_accounts(home: Home, url: str | None) -> Engine:
    """Open the accounts of a home, creating their tables if they are missing, or upgrading them.

    Every transaction is alone, so that "count the failure, then check the password" is atomic between processes. All
    callers of a process get the same engine. To dispose of it closes the connections; the next transaction of any
    caller opens them again. The daemon does not call this.

    Args:
        home: The recorder's home.
        url: The configured ``[storage] accounts_url``; None for the file in the home.

    Raises:
        OSError: The file can neither be read nor created.
        AccountsAwayError: The server does not answer.
        DatabaseError: A newer program made the tables, or they are of an older one and this role may not change them.
    """
    return open_people(home.people) if url is None else _open_server(home.people.absolute(), url)


def has_accounts(home: Home, url: str | None) -> bool:
    """Tell whether a home has accounts: on a server, or in a file that exists."""
    return url is not None or home.people.exists()


def _open_server(people: Path, url: str) -> Engine:
    from recorder.access import accounts_server, server_schema  # noqa: PLC0415 - the driver takes long to import
    from storage.database import parse_url  # noqa: PLC0415

    parsed = parse_url(url)
    engine = _engines.get((people, url)) or _engines.setdefault(
        (people, url), accounts_server.make_engine(parsed, people)
    )
    server_schema.bring_up_to_date(engine)
    return engine


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
    engine = _engines.get((path, "")) or _engines.setdefault((path, ""), _make(path))
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


def from_s(value: float | None) -> datetime | None:
    """Turn stored seconds since 1970 into an aware time in UTC."""
    return None if value is None else datetime.fromtimestamp(value, UTC)
