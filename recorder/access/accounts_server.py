"""The accounts on a PostgreSQL server: every transaction is alone, as on SQLite, and finds its tables in one schema.

Only who connects to one imports this module, since the driver takes long to import.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, PoolProxiedConnection, QueuePool, event
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError

from recorder.access.account_key import PEOPLE
from recorder.access.reachability import AccountsAwayError, Reachability
from storage.database import POOL_S, server_name
from storage.database_problems import database_problem
from storage.postgresql import ServerTimeoutError, make_server_engine

SCHEMA = "accounts"
"""Schema of the tables; the daemon's role has no right on it."""
LOCK = 0x6163_636F_756E
"""Key of the advisory lock that each transaction takes."""
_LONGEST_S = 5.0
"""How long a statement may take; those of accounts take milliseconds."""
_BEGIN = (
    f"SELECT set_config('search_path', '{SCHEMA}, pg_temp', true), set_config('lock_timeout', '4s', true), "
    f"set_config('idle_in_transaction_session_timeout', '10s', true), pg_advisory_xact_lock({LOCK})"
)
"""First statement of each transaction. The lock does what BEGIN IMMEDIATE does on SQLite: "count the failure, then
check the password" is atomic between processes, and code that reads and then writes need not be repeated. A process
that is stopped in a transaction loses it."""


def make_engine(url: sa.URL, people: Path) -> Engine:
    """Return an engine for the accounts on a server; does not connect.

    Statements raise AccountsAwayError if the server does not answer, and DatabaseError if it refuses.

    Args:
        url: As `storage.database.parse_url` returns it.
        people: Path of the home's SQLite file of accounts, which need not exist.
    """
    state, name = Reachability(time.monotonic), server_name(url)

    class _Pool(QueuePool):
        def connect(self) -> PoolProxiedConnection:
            state.enter()
            try:
                return super().connect()
            except sa.exc.TimeoutError as error:
                raise AccountsAwayError(f"all connections to {name} are in use") from error

    engine = make_server_engine(
        url, longest_s=_LONGEST_S, connect_s=2, poolclass=_Pool, pool_size=3, max_overflow=7, pool_timeout=POOL_S,
        execution_options={PEOPLE: people},
    )  # fmt: skip

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if connection.get_execution_options().get("isolation_level") is None:
            connection.exec_driver_sql(_BEGIN)

    @event.listens_for(engine, "checkout")
    def _taken(_connection: object, _record: object, _proxy: object) -> None:
        state.answered()

    @event.listens_for(engine, "handle_error")
    def _failed(context: sa.engine.ExceptionContext) -> None:
        error, is_late = context.sqlalchemy_exception, isinstance(context.original_exception, ServerTimeoutError)
        if error is None or isinstance(error, IntegrityError) or (context.is_pre_ping and not is_late):
            return  # a connection that is lost is replaced by a new one
        problem = database_problem(name, error)
        if context.connection is not None and not isinstance(error, (OperationalError, InterfaceError)):
            raise problem
        if is_late or context.is_disconnect or context.connection is None:
            state.failed(str(problem))
        raise AccountsAwayError(str(problem), is_passing=problem.is_passing)

    return engine


@contextmanager
def snapshot(engine: Engine) -> Iterator[Connection]:
    """Give a connection for reading all tables as of one moment, beside other transactions.

    Raises:
        AccountsAwayError: The server does not answer.
        DatabaseError: It refuses.
    """
    with engine.execution_options(isolation_level="REPEATABLE READ").connect() as connection:
        connection.exec_driver_sql(f"SET LOCAL search_path = {SCHEMA}, pg_temp")
        yield connection


def look(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    """Return the rows of a query outside of any transaction, without waiting for one; names tables with their schema.

    Raises:
        AccountsAwayError: The server does not answer.
        DatabaseError: It refuses.
    """
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]
