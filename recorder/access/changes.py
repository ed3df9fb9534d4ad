"""Tells whether the accounts have changed, at little cost."""

import sqlite3
import threading
import weakref
from collections.abc import Callable, Hashable
from pathlib import Path

from sqlalchemy import Engine, event

from recorder.access.tables import tokens

_ROWS = "SELECT count(*), md5(string_agg(xmin::text || ctid::text, ',' ORDER BY ctid)) FROM accounts.{table}"
"""A row that was changed has another place and another transaction. Tens of rows are read, and none is returned."""


def changes_of_tokens(engine: Engine) -> Callable[[], Hashable]:
    """Return a function whose result differs after each change of the tokens by anybody; safe from any thread.

    The function raises OSError or sqlite3.Error if a file cannot be read, and AccountsAwayError or DatabaseError from a
    server.

    Args:
        engine: From ``open_accounts``.
    """
    if engine.dialect.name == "sqlite":
        return _FileChanges(engine).version
    from recorder.access.accounts_server import look  # noqa: PLC0415 - the driver takes long to import

    query = _ROWS.format(table=tokens.name)
    return lambda: tuple(look(engine, query))


class _FileChanges:
    """Tells whether a file of people has changed; safe from any thread.

    It uses SQLite's ``PRAGMA data_version`` on a connection that never writes and stays open. That costs a read of the
    file's header. Closing any other descriptor of the file would release the locks of writers.

    Args:
        engine: From ``open_accounts``; the connection is closed when it is disposed of or no longer referenced.
    """

    def __init__(self, engine: Engine) -> None:
        assert engine.url.database is not None
        self._path = Path(engine.url.database)
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._ending: weakref.finalize[[], _FileChanges] | None = None
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
