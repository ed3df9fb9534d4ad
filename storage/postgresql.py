"""Connections to a PostgreSQL server, with time limits and messages without values. Index and accounts share it.

Only who connects to one imports this module, since the driver takes long to import.
"""

import time
from collections.abc import Mapping
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.abc import RV, PQGen

from storage.answer_time import left_s
from storage.forgotten_engines import close_when_forgotten

ANSWER_S = 5
"""Timeout for connecting to a server, and for noticing that a connection is dead."""
_DISPOSALS = "disposals"
"""Key of what a connection notes: how often its engine had been disposed of before."""
_INTERVAL_S = 0.1
"""How often a waiting thread looks at signals."""


class ServerTimeoutError(psycopg.OperationalError):
    """The server took longer than the limit; the connection is closed."""


class ServerConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection whose errors have no values of rows, and which may be limited in time (`storage.answer_time`).

    A server that is stopped keeps its connections open and acknowledges what is sent, so that no timeout of TCP ends
    the wait.
    """

    longest_s: float | None = None
    """Limit of each statement, seconds; None for no limit."""

    def wait(self, gen: PQGen[RV], interval: float = _INTERVAL_S, timeout: float | None = None) -> RV:
        """Wait for the server; see psycopg.

        Raises:
            ServerTimeoutError: The server took too long.
            psycopg.Error: The server refused, or the connection is lost.
        """
        limits = [one for one in (timeout, self.longest_s, left_s()) if one is not None]
        timeout = min(limits, default=None)
        began_s = time.monotonic()
        try:
            return super().wait(gen, interval, timeout)
        except psycopg.Error as error:
            if timeout is not None and error.sqlstate is None and time.monotonic() - began_s >= timeout:
                self.pgconn.finish()  # its answer may still come, and would be taken for the next statement's
                raise ServerTimeoutError("the server took too long") from None
            if error.diag.message_detail is not None:  # "Key (name)=(anna) already exists."
                error.args = (error.diag.message_primary,)
            raise


def make_server_engine(
    url: sa.URL,
    *,
    longest_s: float | None = None,
    connect_s: int = ANSWER_S,
    **options: Any,  # noqa: ANN401 - as they are
) -> sa.Engine:
    """Return an engine for a PostgreSQL server; does not connect.

    Args:
        url: As `storage.database.parse_url` returns it.
        longest_s: Limit of each statement, seconds; None for no limit.
        connect_s: Limit of connecting, seconds; at least 2.
        options: Further ones of ``sqlalchemy.create_engine``.
    """
    given = {key: value for key, value in url.query.items() if isinstance(value, str)}
    engine = sa.create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,  # the server may have restarted since the last use
        connect_args={
            "connect_timeout": connect_s,
            "keepalives_idle": ANSWER_S,
            "keepalives_interval": 1,
            "keepalives_count": ANSWER_S,
            "tcp_user_timeout": 2000 * ANSWER_S,
            "prepare_threshold": None,  # plans are made for the actual values; works behind pgbouncer
            **given,
        },
        **options,
    )

    @sa.event.listens_for(engine, "do_connect")
    def _connect(_dialect: object, _record: object, _words: object, given: Mapping[str, Any]) -> ServerConnection:
        connection = ServerConnection.connect(**given)
        connection.longest_s = longest_s
        return connection

    _close_what_is_returned_late(engine)
    close_when_forgotten(engine)
    return engine


def _close_what_is_returned_late(engine: sa.Engine) -> None:
    """Close connections that threads have in use while an engine is disposed of, when they return them.

    They go back to the former pool, which nobody uses any more, and would stay open until it is garbage.
    """
    disposals = [0]

    @sa.event.listens_for(engine, "engine_disposed")
    def _disposed(_engine: sa.Engine) -> None:
        disposals[0] += 1

    @sa.event.listens_for(engine, "connect")
    def _connected(_connection: object, record: sa.pool.ConnectionPoolEntry) -> None:
        record.info[_DISPOSALS] = disposals[0]

    @sa.event.listens_for(engine, "checkin")
    def _returned(_connection: object, record: sa.pool.ConnectionPoolEntry) -> None:
        if record.info.get(_DISPOSALS, disposals[0]) != disposals[0]:
            record.close()
