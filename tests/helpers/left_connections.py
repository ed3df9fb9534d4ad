"""Says which test opened a connection to a database that nobody closed, and where.

The garbage collector finds such a connection while another test runs, and the driver's warning names only that one.
sqlite3 warns since Python 3.13; here its connections are watched with each version.
"""

import os
import sqlite3
import sys
import warnings
from types import FrameType
from typing import Any

_CALLS = 25
"""Calls of the stack that are kept."""


class _WatchedConnection(sqlite3.Connection):
    """A connection to SQLite that knows where it was opened."""

    def __init__(self, *words: Any, **named: Any) -> None:
        super().__init__(*words, **named)
        self.warning_text = _warning_text()

    def __del__(self) -> None:
        try:
            _ = self.in_transaction
        except sqlite3.ProgrammingError:
            return  # it was closed
        _warn(self)


def watch_sqlite() -> None:
    """Have SQLite's connections of this process say where they were opened, if they are freed while they are open."""

    connect_unwatched = sqlite3.connect

    def connect(*words: Any, **named: Any) -> Any:
        return connect_unwatched(*words, **{"factory": _WatchedConnection} | named)

    modules: list[Any] = [sqlite3, sqlite3.dbapi2]  # SQLAlchemy takes the second
    for module in modules:
        module.connect = connect


def watch_postgresql() -> None:
    """Do the same with connections to PostgreSQL."""
    from storage.postgresql import ServerConnection  # noqa: PLC0415 - the driver takes long to import

    patched: Any = ServerConnection
    connect_unwatched = patched.connect.__func__

    def connect(cls: type[ServerConnection], /, *words: object, **named: object) -> ServerConnection:
        made = connect_unwatched(cls, *words, **named)
        made.warning_text = _warning_text()
        return made  # type: ignore[no-any-return]

    def end(connection: Any) -> None:
        if hasattr(connection, "warning_text") and not connection.closed:
            connection.pgconn.finish()
            _warn(connection)

    patched.connect = classmethod(connect)
    patched.__del__ = end


def _warning_text() -> str:
    """Return what is warned of a connection: the test that runs, and the calls that opened it. Reads no source file."""
    frame: FrameType | None = sys._getframe(2)
    calls: list[str] = []
    while frame is not None and len(calls) < _CALLS:
        calls.append(f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}")
        frame = frame.f_back
    return (
        f"{os.environ.get('PYTEST_CURRENT_TEST', 'no test')} left a connection open that was opened at "
        + " < ".join(calls)
    )


def _warn(connection: Any) -> None:
    warnings.warn(connection.warning_text, ResourceWarning, 1)
