"""The database that the index, orders to erase, holds and tombstones share: SQLite in a file, or PostgreSQL.

Opens it, brings its tables up to date, and turns what a driver raises into sentences. Safe from any thread and from
several processes. What the tables are is `storage.tables`'s, how old ones become new ones `storage.migrations`'s.
"""

import fcntl
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection

from storage.durable import make_folder
from storage.errors import DatabaseError
from storage.group_modes import open_file, refuse_link, touch
from storage.migrations import VERSION_TABLE, upgrade
from storage.tables import METADATA, REVISION

SQLITE, POSTGRESQL = "sqlite", "postgresql"
_BUSY_MS = 5000
_LOOKED_AT = 1000
"""Entries of each index that `Database.look_over` looks at."""
_ANSWER_S = 5
"""How long a PostgreSQL server that cannot be reached is waited for, and one that has gone silent is believed in."""
_DRIVERS = {
    SQLITE: SQLITE,
    "sqlite+pysqlite": SQLITE,
    POSTGRESQL: "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
_MEANINGS = {
    "42501": "this user may not do that there",
    "53100": "its disk is full",
    "53300": "it has no connection left",
    "SQLITE_BUSY": "another process has been writing for too long",
    "SQLITE_FULL": "the disk is full",
    "SQLITE_NOTADB": "the file is no database",
    "SQLITE_CORRUPT": "the file is damaged",
    "SQLITE_READONLY": "it can only be read",
}
"""What SQLSTATEs (PostgreSQL manual, appendix A) and SQLite's error names mean to whoever looks after the database."""
_REFUSALS = {
    "password authentication failed": "the password, or the user, is wrong",
    "no password supplied": "it wants a password; a file of passwords is left out if others may read it",
    "certificate verify failed": "its certificate is not one that is trusted here",
    "does not match host name": "its certificate is another server's",
    "root certificate file": "there is no file of certificates that are trusted where sslrootcert says",
    "does not support SSL": "it does not speak TLS",
    "does not exist": "there is no such database or user",
    "no pg_hba.conf entry": "the server does not let this user in from here",
    "too many clients": "it has no connection left",
    "is starting up": "it is starting",
    "is shutting down": "it is stopping",
}
"""Words in which a server refuses a connection: for these the driver gives no SQLSTATE."""
_PASSING_REFUSALS = frozenset({"too many clients", "is starting up", "is shutting down"})


def sqlite_url(path: Path) -> str:
    """Return the URL of a database in a file."""
    return f"sqlite:///{path}"


def _set_up_sqlite(connection: DBAPIConnection, _record: object) -> None:
    # The driver's own BEGIN leaves out changes of tables, and comes too late to lock what is read before it is written.
    connection.isolation_level = None
    # A damaged byte in a text must not keep the other rows from being read: what it did is found by who reads the row.
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={_BUSY_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "secure_delete=ON",
        "temp_store=MEMORY",  # sorting many rows would write them to a file in /var/tmp
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _check_sqlite(_dialect: object, _record: object, arguments: Sequence[str], _options: object) -> None:
    if arguments and arguments[0] != ":memory:":
        _refuse_link(Path(arguments[0]))


def _refuse_link(path: Path) -> None:
    """Do nothing unless SQLite would follow a link, which another user may have put there."""
    try:
        refuse_link(path)
    except OSError as error:
        raise DatabaseError(f"the database {path} is not opened: {error.strerror}", is_passing=False) from error


def _begin_sqlite(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("is_outside", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("is_writing", False) else "BEGIN")


class Database:
    """One database, its tables up to date.

    Args:
        url: SQLAlchemy URL: `sqlite_url` for a file, ``postgresql://user:password@host/name``.
        is_deferred: Do not touch the database before it is needed, and try again each time until it can be used: calls
            must go on, and the daemon must start, while it is down or the disk is full.

    Raises:
        DatabaseError: The URL is none of these, the database cannot be reached, or a newer program made it; the latter
            two come from every method when deferred.
        OSError: The folder of the file cannot be made; likewise.
    """

    def __init__(self, url: str, *, is_deferred: bool = False) -> None:
        self._made = _make_engine(url)
        self._is_ready = False
        self._preparing = threading.Lock()
        if not is_deferred:
            try:
                self._prepare()
            except BaseException:
                self.close()
                raise

    @property
    def dialect(self) -> str:
        """Return ``sqlite`` or ``postgresql``."""
        return self._made.dialect.name

    @property
    def name(self) -> str:
        """Return which database it is, for people: a path, or server and name; never a password."""
        url = self._made.url
        if self.dialect == SQLITE:
            return url.database or ":memory:"
        host = url.host or url.query.get("host") or "the local socket"
        return f"{url.database or url.username} on {host}" + (f":{url.port}" if url.port else "")

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """Give a connection whose changes are durable when the block ends, and undone when it raises.

        On SQLite the whole database is locked for writing from here on: what is read stays true until it is written.

        Raises:
            DatabaseError: The database does not answer or refuses.
        """
        with self._translated():
            self._prepare()
            with self._made.execution_options(is_writing=True).begin() as connection:
                yield connection

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """Give a connection for reading; on SQLite one state of the database for the whole block.

        Raises:
            DatabaseError: The database does not answer or refuses.
        """
        with self._translated():
            self._prepare()
            with self._made.connect() as connection:
                yield connection

    @contextmanager
    def _outside(self) -> Iterator[sa.Connection]:
        """Give a connection that is in no transaction."""
        options = {"is_outside": True} if self.dialect == SQLITE else {"isolation_level": "AUTOCOMMIT"}
        with self._translated():
            self._prepare()
            with self._made.execution_options(**options).connect() as connection:
                yield connection

    def upsert(self, table: sa.Table, values: Mapping[str, Any], *, key: sa.Column[Any]) -> sa.Insert:
        """Return a statement that puts a row in, or in place of the one that has its key."""
        insert = sqlite.insert if self.dialect == SQLITE else postgresql.insert
        others = {name: value for name, value in values.items() if name != key.name}
        return insert(table).values(values).on_conflict_do_update(index_elements=[key], set_=others)

    def fold(self) -> bool:
        """Leave nothing beside a SQLite file of what was deleted or replaced; a PostgreSQL server is left alone.

        What is deleted is overwritten in the file at once, but pages of before lie in its log until that is cut.

        Returns:
            Whether the log is empty: not while another process reads or writes for longer than it is waited for.

        Raises:
            DatabaseError: The database does not answer or refuses.
        """
        if self.dialect != SQLITE:
            return True
        with self._outside() as connection:
            is_busy, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        return not is_busy

    def upsert_all(self, table: sa.Table, *, key: sa.Column[Any]) -> sa.Insert:
        """Return a statement that does so for many rows, to be executed with the values of each: it is made once."""
        return _upsert_all(self.dialect, table, key)

    def look_over(self) -> None:
        """Clear away what was deleted, and bring up to date what the planner knows of the tables.

        To be called about once a day, after what is due was deleted. Takes well under a second on SQLite, on PostgreSQL
        some seconds for each million rows; nobody has to wait for it.

        Raises:
            DatabaseError: The database does not answer or refuses.
        """
        if self.dialect == SQLITE:
            with self.begin() as connection:
                connection.exec_driver_sql(f"PRAGMA analysis_limit={_LOOKED_AT}")
                connection.exec_driver_sql("ANALYZE")
            self.fold()
            return
        with self._outside() as connection:
            for table in METADATA.sorted_tables:
                connection.exec_driver_sql(f"VACUUM (ANALYZE) {table.name}")

    def close(self) -> None:
        """Give the connections back; a later use opens new ones."""
        self._made.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            raise _problem(self.name, error) from error

    def _prepare(self) -> None:
        """Bring the tables up to date, once; one thread and one process at a time."""
        if self._is_ready:
            return
        with self._translated(), self._preparing, self._locked():
            if self._is_ready:
                return
            with self._made.connect() as connection:
                is_current = _revision(connection) == REVISION
            if not is_current:
                with self._made.execution_options(is_writing=True).begin() as connection:
                    upgrade(connection)
            self._is_ready = True

    def _locked(self) -> AbstractContextManager[None]:
        """Keep other processes from a file while it is made or changed; a server is locked by `upgrade`."""
        name = self._made.url.database
        if self.dialect != SQLITE or not name or name == ":memory:":
            return nullcontext()
        return _held(Path(name))


@contextmanager
def _held(path: Path) -> Iterator[None]:
    make_folder(path.parent)
    _refuse_link(path)
    touch(path)
    descriptor = open_file(path.with_name(f"{path.name}-lock"), os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _revision(connection: sa.Connection) -> str | None:
    """Return what the newest migration left its name as, without asking Alembic: it takes long to load."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()  # noqa: S608 - a constant
    return None if found is None else str(found)


@cache
def _upsert_all(dialect: str, table: sa.Table, key: sa.Column[Any]) -> sa.Insert:
    """Return the statement of `Database.upsert_all`; each would leave a ring of some hundred objects behind."""
    insert = (sqlite.insert if dialect == SQLITE else postgresql.insert)(table)
    others = {column.name: insert.excluded[column.name] for column in table.c if column is not key}
    return insert.on_conflict_do_update(index_elements=[key], set_=others)


def parse_url(text: str) -> sa.URL:
    """Return a database's URL with the driver that is used for it; touches nothing.

    Raises:
        DatabaseError: It cannot be read, or is of no database that can be used; the sentence does not repeat it.
    """
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise DatabaseError(
            "the database's URL cannot be read; write sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME",
            is_passing=False,
        ) from None  # its message has the password in it
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        raise DatabaseError(
            f"{url.drivername!r} is no database that can be used: only sqlite and postgresql are", is_passing=False
        )
    return url.set(drivername=driver)


def _make_engine(text: str) -> sa.Engine:
    url = parse_url(text)
    if url.drivername == SQLITE:
        engine = sa.create_engine(url, hide_parameters=True)
        sa.event.listen(engine, "do_connect", _check_sqlite)
        sa.event.listen(engine, "connect", _set_up_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    return sa.create_engine(
        url,
        hide_parameters=True,
        pool_pre_ping=True,  # the server may have been started anew since the last use
        connect_args={
            "connect_timeout": _ANSWER_S,
            "keepalives_idle": _ANSWER_S,
            "keepalives_interval": 1,
            "keepalives_count": _ANSWER_S,
            "tcp_user_timeout": 2000 * _ANSWER_S,
            "prepare_threshold": None,  # plans are made for the values at hand; works behind pgbouncer
            **{key: value for key, value in url.query.items() if isinstance(value, str)},
        },
    )


def _problem(name: str, error: sa.exc.SQLAlchemyError) -> DatabaseError:
    """Return what a driver's error means, in a sentence that holds no value of a row and no password."""
    original = error.orig if isinstance(error, sa.exc.DBAPIError) else None
    code = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None)
    if code is None and isinstance(error, sa.exc.OperationalError):
        words = next((words for words in _REFUSALS if words in str(original)), "")
        meaning, is_passing = _REFUSALS.get(words, "it is not reached"), not words or words in _PASSING_REFUSALS
    else:
        family = next((known for known in _MEANINGS if (code or "").startswith(known)), "")
        meaning = _MEANINGS.get(family) or code or type(original or error).__name__
        is_passing = isinstance(error, (sa.exc.OperationalError, sa.exc.TimeoutError, sa.exc.InterfaceError))
    return DatabaseError(f"the database {name} does not answer or refuses: {meaning}", is_passing=is_passing)
