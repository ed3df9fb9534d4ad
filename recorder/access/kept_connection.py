"""Keeps a connection to the accounts database open between transactions, while nobody else writes the file.

To open the file and read its 60 tables and triggers takes eight times as long as a short transaction.
"""

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import QueuePool, create_engine, event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DisconnectionError

from storage.forgotten_engines import close_when_forgotten

_LEFT = "left"


def make_engine(path: Path) -> Engine:
    """Return an engine for a SQLite file that keeps at most one idle connection.

    The connection is used again by the same process if the file is exactly as that connection left it. After a write by
    another process, a restore, or a change of its owner or mode, the file is opened anew. Between transactions the
    connection holds no lock and no content of the file, only the definitions of its tables.

    Args:
        path: The file; absolute.
    """
    engine = create_engine(
        f"sqlite:///{path}", poolclass=QueuePool, pool_size=1, max_overflow=-1, connect_args={"timeout": 10.0},
        hide_parameters=True,
    )  # fmt: skip

    close_when_forgotten(engine)

    @event.listens_for(engine, "checkin")
    def _returned(connection: sqlite3.Connection | None, record: Any) -> None:  # noqa: ANN401
        if connection is not None:
            connection.execute("PRAGMA shrink_memory")
            record.info[_LEFT] = _state(path)

    @event.listens_for(engine, "checkout")
    def _taken(_connection: object, record: Any, _proxy: object) -> None:  # noqa: ANN401
        if _LEFT in record.info and record.info.pop(_LEFT) != _state(path):
            raise DisconnectionError  # the pool closes it and opens another

    return engine


def _state(path: Path) -> tuple[int, ...] | None:
    """Return what differs after any change of a file, and in another process; None if it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (os.getpid(), found.st_dev, found.st_ino, found.st_ctime_ns, found.st_size)
