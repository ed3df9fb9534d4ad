"""A PostgreSQL server that holds the index during a run, and logs every statement: its files and log are a sink."""

import contextlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg

from benchmarks.postgres import PostgresServer
from tests.helpers.recorder_home import Edits

_LOGGED = {"log_statement": "all", "log_parameter_max_length": "0", "log_min_error_statement": "panic"}
"""Statements without their parameters, as docs/several-machines.md asks of the server."""


class DatabaseServer:
    """The server of one run. Close it.

    Args:
        cluster: Where a cluster without databases is kept for servers to copy; None makes a new one.
    """

    def __init__(self, cluster: Path | None = None) -> None:
        self._server = PostgresServer(settings=_LOGGED, cluster=cluster)
        self._url = self._server.new_database()

    @property
    def edits(self) -> Edits:
        """Return the change of a configuration whose index is there."""
        return (('index_url = "off"', f'index_url = "{self._url}"'),)

    def pieces(self) -> Iterator[tuple[str, bytes]]:
        """Yield the server's files as they are now: tables, write-ahead log, and its own log."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        for path in sorted(self._server.folder.rglob("*")):
            with contextlib.suppress(OSError):  # it has just been recycled
                if path.is_file() and path.stat().st_size:
                    yield path.relative_to(self._server.folder).as_posix(), path.read_bytes()

    def log(self) -> Iterator[tuple[str, bytes]]:
        """Yield the server's own log."""
        yield "log", self._server.log.encode()

    def plant(self, audio: bytes, digits: str, undo: ExitStack) -> None:
        """Store both in a table, until the stack is closed; the files keep them longer."""
        connection = undo.enter_context(psycopg.connect(self._url, autocommit=True))
        connection.execute("CREATE TABLE planted (said BYTEA, keyed TEXT)")
        undo.callback(connection.execute, "DROP TABLE planted")
        connection.execute("INSERT INTO planted VALUES (%s, %s)", (audio, digits))

    def plant_log(self, digits: str) -> None:
        """Have the server log digits, as a statement that has them in its text would."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(f"SELECT '{digits}'".encode())

    def close(self) -> None:
        """End the server and remove its files."""
        self._server.close()
