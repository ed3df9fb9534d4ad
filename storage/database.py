"""The database of the index, erasure orders, holds and tombstones: SQLite in a file, or PostgreSQL.

Opens it, migrates its tables, and turns driver errors into sentences. Safe from any thread and from several processes.
The tables are in `storage.tables`, migrations in `storage.migrations`.
"""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import copy
from functools import cache, partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection

from storage.database_problems import database_problem
from storage.durable import make_folder
from storage.errors import DatabaseError
from storage.forgotten_engines import close_when_forgotten
from storage.group_modes import open_file, refuse_link, touch
from storage.migrations import INDEX_SCHEMA, refuse_unless_owner, upgrade
from storage.moved import refuse_moved
from storage.tables import METADATA, REVISION

SQLITE, POSTGRESQL = "sqlite", "postgresql"
_BUSY_MS = 5000
POOL_S = 0.5
"""How long a statement with a limit waits for one of the connections to a server, seconds."""
_LOOKED_AT = 1000
"""Entries of each index that `Database.vacuum` samples."""
_DRIVERS = {
    SQLITE: SQLITE,
    "sqlite+pysqlite": SQLITE,
    POSTGRESQL: "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def sqlite_url(path: Path) -> str:
    """Return the URL of a database in a file."""
    return f"sqlite:///{path}"


def _set_up_sqlite(connection: DBAPIConnection, _record: object) -> None:
    # The driver's own BEGIN does not cover changes of tables, and comes too late to lock rows that are read first.
    connection.isolation_level = None
    # A damaged byte in a text must not prevent reading other rows; readers of the row notice the damage.
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
    """Raise DatabaseError for a link, which another user may have made and SQLite would follow."""
    try:
        refuse_link(path)
    except OSError as error:
        raise DatabaseError(f"the database {path} is not opened: {error.strerror}", is_passing=False) from error


def _begin_sqlite(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    if not options.get("is_outside", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("is_writing", False) else "BEGIN")


class Database:
    """One database with current tables.

    Args:
        url: SQLAlchemy URL: `sqlite_url` for a file, ``postgresql://user:password@host/name``.
        is_deferred: Open the database at its first use, and try again at each use until that succeeds: the daemon must
            start, and calls must go on, while it is down or the disk is full.
        check: Called before the database is first opened; raises DatabaseError if it must not be.
        is_moved_too: Open the database even if its rows were moved to another one.
        longest_s: Limit of each statement on a server, seconds, but for upgrades; None for no limit. Who serves people
            has one, so that a server that hangs does not take every thread.

    Raises:
        DatabaseError: The URL is not supported, the database cannot be reached, or a newer program made it; if
            deferred, every method raises the latter two.
        OSError: The folder of the file cannot be made; if deferred, from every method.
    """

    def __init__(
        self,
        url: str,
        *,
        is_deferred: bool = False,
        check: Callable[[], None] = lambda: None,
        is_moved_too: bool = False,
        longest_s: float | None = None,
    ) -> None:
        self._made = make_engine(url, longest_s)
        self._writing = self._made.execution_options(is_writing=True)
        self._url, self._longest_s = url, longest_s
        self._guard: Callable[[sa.Connection], None] | None = None
        self._is_ready = False
        self._check = check
        self._is_moved_too = is_moved_too
        self._preparing = threading.Lock()
        self._file: tuple[int, int] | None = None
        """Device and number of the SQLite file that is open; None before that, and for other databases."""
        if not is_deferred:
            try:
                self._prepare()
            except BaseException:
                self.close()
                raise

    @property
    def revision(self) -> str | None:
        """The revision of its tables now, without upgrading them; None if there are none.

        Raises:
            DatabaseError: The database does not answer or refuses.
        """
        with self._translated(), self._made.connect() as connection:
            return INDEX_SCHEMA.found(connection)

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._made.dialect.name

    @property
    def name(self) -> str:
        """Name of the database for people: a path, or name and server; never a password."""
        url = self._made.url
        return url.database or ":memory:" if self.dialect == SQLITE else server_name(url)

    def guarded(self, guard: Callable[[sa.Connection], None]) -> "Database":
        """Return the same database with a check at the start of every transaction that writes.

        Args:
            guard: Called with the connection; raises if nothing may be written.
        """
        same = copy(self)
        same._guard = guard
        return same

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """Give a connection whose changes are durable when the block ends, and rolled back if it raises.

        On SQLite the whole database is locked for writing from the start of the block.

        Raises:
            DatabaseError: The database does not answer or refuses.
        """
        with self._translated():
            self._prepare()
            with self._writing.begin() as connection:
                if self._guard is not None:
                    self._guard(connection)
                yield connection

    @contextmanager
    def connect(self) -> Iterator[sa.Connection]:
        """Give a connection for reading; on SQLite the block sees one snapshot of the database.

        Raises:
            DatabaseError: The database does not answer or refuses.
        """
        with self._translated():
            self._prepare()
            with self._made.connect() as connection:
                yield connection

    @contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """Give a connection for reading many tables as of one moment, on PostgreSQL too (REPEATABLE READ).

        Raises:
            DatabaseError: The database does not answer or refuses.
        """
        options = {} if self.dialect == SQLITE else {"isolation_level": "REPEATABLE READ"}
        with self._translated():
            self._prepare()
            with self._made.execution_options(**options).connect() as connection:
                yield connection

    @contextmanager
    def _outside(self) -> Iterator[sa.Connection]:
        """Give a connection without a transaction."""
        options = {"is_outside": True} if self.dialect == SQLITE else {"isolation_level": "AUTOCOMMIT"}
        with self._translated():
            self._prepare()
            with self._made.execution_options(**options).connect() as connection:
                yield connection

    def upsert(self, table: sa.Table, values: Mapping[str, Any], *, key: sa.Column[Any]) -> sa.Insert:
        """Return a statement that inserts a row, or replaces the row with its key."""
        insert = sqlite.insert if self.dialect == SQLITE else postgresql.insert
        others = {name: value for name, value in values.items() if name != key.name}
        return insert(table).values(values).on_conflict_do_update(index_elements=[key], set_=others)

    def truncate_log(self) -> bool:
        """Truncate the write-ahead log of a SQLite file, so that it holds no deleted data. No effect on PostgreSQL.

        Deleted data is overwritten in the file at once, but its old pages stay in the log until it is truncated.

        Returns:
            Whether the log is empty; False while another process reads or writes for longer than the timeout.

        Raises:
            DatabaseError: The database does not answer or refuses.
        """
        if self.dialect != SQLITE:
            return True
        with self._outside() as connection:
            is_busy, _, _ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
        return not is_busy

    def upsert_all(self, table: sa.Table, *, key: sa.Column[Any]) -> sa.Insert:
        """Return the statement of `upsert` for many rows, to be executed with the values of each; made once."""
        return _upsert_all(self.dialect, table, key)

    def vacuum(self) -> None:
        """Remove deleted rows from storage (vacuum), and update the planner's statistics.

        Call it about once a day, after the sweep. Takes well under a second on SQLite, on PostgreSQL some seconds for
        each million rows; blocks nobody.

        Raises:
            DatabaseError: The database does not answer or refuses.
        """
        if self.dialect == SQLITE:
            with self.begin() as connection:
                connection.exec_driver_sql(f"PRAGMA analysis_limit={_LOOKED_AT}")
                connection.exec_driver_sql("ANALYZE")
            self.truncate_log()
            return
        with self._outside() as connection:
            for table in METADATA.sorted_tables:
                connection.exec_driver_sql(f"VACUUM (ANALYZE) {table.name}")

    def close(self) -> None:
        """Close the connections; a later use opens new ones."""
        self._made.dispose()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sa.exc.SQLAlchemyError as error:
            raise database_problem(self.name, error) from error

    def _prepare(self) -> None:
        """Migrate the tables, once; one thread and one process at a time."""
        if self._is_ready and not self._is_replaced():
            return
        self._check()
        with self._translated(), self._preparing, self._locked():
            if self._is_ready:
                return
            with self._made.connect() as connection:
                found = INDEX_SCHEMA.found(connection)
                if found == REVISION:
                    self._refuse_moved(connection)
                else:
                    refuse_unless_owner(connection, found)
            if found != REVISION:
                self._upgrade()
                with self._made.connect() as connection:
                    self._refuse_moved(connection)
            self._file = self._found_file()
            self._is_ready = True

    def _is_replaced(self) -> bool:
        """Tell whether another file has come in place of the SQLite file that is open; it is opened at this use.

        Raises:
            DatabaseError: The file is gone. Without this, rows would be written into it as long as it is open, and be
                gone with it; and a new, empty one would take its place.
        """
        if self._file is None:
            return False
        found = self._found_file()
        if found == self._file:
            return False
        if found is None:
            raise DatabaseError(
                f"the database {self.name} was removed or its folder is not mounted: put it back, or stop the recorder "
                "and run `recorder index rebuild`",
                is_passing=True,
            )
        with self._preparing:
            if self._is_ready and found != self._file:
                self._made.dispose()
                self._is_ready = False
        return True

    def _found_file(self) -> tuple[int, int] | None:
        name = self._made.url.database
        if self.dialect != SQLITE or not name or name == ":memory:":
            return None
        try:
            found = Path(name).stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _refuse_moved(self, connection: sa.Connection) -> None:
        if not self._is_moved_too:
            refuse_moved(connection, self.name)

    def _upgrade(self) -> None:
        engine = self._made if self._longest_s is None else make_engine(self._url)  # an upgrade may take minutes
        try:
            with engine.execution_options(is_writing=True).begin() as connection:
                upgrade(connection)
        finally:
            if engine is not self._made:
                engine.dispose()

    def _locked(self) -> AbstractContextManager[None]:
        """Lock a file while it is created or migrated; on a server `upgrade` locks."""
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


@cache
def _upsert_all(dialect: str, table: sa.Table, key: sa.Column[Any]) -> sa.Insert:
    """Return the statement of `Database.upsert_all`; cached, since each is a cycle of some hundred objects."""
    insert = (sqlite.insert if dialect == SQLITE else postgresql.insert)(table)
    others = {column.name: insert.excluded[column.name] for column in table.c if column is not key}
    return insert.on_conflict_do_update(index_elements=[key], set_=others)


def parse_url(text: str) -> sa.URL:
    """Return a database's URL with its driver; does not connect.

    Raises:
        DatabaseError: It cannot be parsed, or is of an unsupported database; the message does not repeat it.
    """
    try:
        url = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise DatabaseError(
            "the database's URL cannot be read; write sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME",
            is_passing=False,
        ) from None  # the original message has the password
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        raise DatabaseError(
            f"{url.drivername!r} is no database that can be used: only sqlite and postgresql are", is_passing=False
        )
    return url.set(drivername=driver)


def make_engine(text: str, longest_s: float | None = None) -> sa.Engine:
    """Return an engine for a URL, with the settings of the recorder; does not connect.

    Args:
        text: The URL.
        longest_s: As of `Database`.

    Raises:
        DatabaseError: The URL is not supported.
    """
    url = parse_url(text)
    if url.drivername == SQLITE:
        engine = sa.create_engine(url, hide_parameters=True)
        sa.event.listen(engine, "do_connect", _check_sqlite)
        sa.event.listen(engine, "connect", _set_up_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        if url.database not in (None, "", ":memory:"):  # one in memory is closed by the thread that has it
            close_when_forgotten(engine)
        return engine
    from storage.postgresql import make_server_engine  # noqa: PLC0415 - the driver takes long to import

    if longest_s is None:
        return make_server_engine(url)
    return make_server_engine(url, longest_s=longest_s, pool_timeout=POOL_S)


def server_name(url: sa.URL) -> str:
    """Return the name of a database on a server for people; never a password."""
    host = url.host or url.query.get("host") or "the local socket"
    return f"{url.database or url.username} on {host}" + (f":{url.port}" if url.port else "")
