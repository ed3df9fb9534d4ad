"""The tables of accounts, tokens, sessions and of leave to hear, in one SQLite file of the recorder's home."""

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

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Engine,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    event,
)
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateColumn

from recorder.access.triggers import keep_rules
from storage.new_tables import create_tables

metadata = MetaData()

accounts = Table(
    "accounts",
    metadata,
    Column("name", String, primary_key=True),
    Column("display_name", String, nullable=False, unique=True),
    Column("roles", String, nullable=False),
    Column("teams", String, nullable=False),
    Column("extension", String),
    Column("password_hash", String, nullable=False),
    Column("created_s", Float, nullable=False),
    Column("disabled_s", Float),
    Column("failures", Integer, nullable=False, default=0),
    Column("locked_until_s", Float),
    Column("locks", Integer, nullable=False, server_default="0"),
    Column("password_set_s", Float),
    Column("password_set_by", String),
    Column("power_lost_s", Float),
)
"""``password_set_s`` is when the password was last changed; empty while it is the account's first.
``power_lost_s`` is when a role that confirms was last taken away."""

team_changes = Table(
    "team_changes",
    metadata,
    Column("account", String, primary_key=True),
    Column("team", String, primary_key=True),
    Column("from_s", Float, primary_key=True),
    Column("answers", Integer, nullable=False),
    Column("is_done", Integer, nullable=False),
)
"""From when on somebody answers for a team, or does so no more; ``is_done`` once ``accounts`` says so."""

tokens = Table(
    "tokens",
    metadata,
    Column("name", String, primary_key=True),
    Column("secret_hash", String, nullable=False, unique=True),
    Column("scopes", String, nullable=False),
    Column("extensions", String, nullable=False),
    Column("networks", String, nullable=False),
    Column("created_s", Float, nullable=False),
    Column("expires_s", Float),
    Column("revoked_s", Float),
    Column("proposal", String),
)
"""``proposal`` is what somebody else has to confirm before the token is good; empty once they have."""

sessions = Table(
    "sessions",
    metadata,
    Column("secret_hash", String, primary_key=True),
    Column("account", String, nullable=False, index=True),
    Column("csrf", String, nullable=False),
    Column("created_s", Float, nullable=False),
    Column("seen_s", Float, nullable=False),
    Column("kind", String, nullable=False, server_default="browser"),
    Column("is_proven", Integer, nullable=False, server_default="0"),
    Column("enrolling", String),
)

second_factors = Table(
    "second_factors",
    metadata,
    Column("account", String, primary_key=True),
    Column("secret", String, nullable=False),
    Column("last_step", Integer, nullable=False),
    Column("enrolled_s", Float, nullable=False),
)
"""Secrets of authenticator apps. In the clear: who checks a code must know it. The file is 0600."""

recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("code_hash", String, primary_key=True),
    Column("account", String, nullable=False, index=True),
)
"""One row for each that was not used yet."""

identities = Table(
    "identities",
    metadata,
    Column("account", String, primary_key=True),
    Column("issuer", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("connected_s", Float, nullable=False),
    Column("connected_by", String, nullable=False),
    UniqueConstraint("issuer", "subject"),
)
"""Whose account is whose at an OpenID provider: one to one, both ways."""

proposals = Table(
    "proposals",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("change", String, nullable=False),
    Column("roles", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("proposed_by", String, nullable=False),
    Column("proposed_s", Float, nullable=False),
    Column("until_s", Float, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("decided_by", String),
    Column("decided_s", Float),
    Column("password_hash", String),
)
"""``password_hash`` is a new password that waits to be confirmed; empty once it was decided."""

requests = Table(
    "requests",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False, index=True),
    Column("category", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("leave", String, nullable=False),
    Column("reference", String, nullable=False),
    Column("asked_s", Float, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("decided_by", String),
    Column("decided_s", Float),
    Column("words", String, nullable=False),
    Column("until_s", Float),
)

requested = Table(
    "requested",
    metadata,
    Column("recording", String, primary_key=True),
    Column("request", String, primary_key=True, index=True),
    Column("place", Integer, nullable=False),
    Column("spans", String),
)
"""``spans`` is what is asked for or granted of a recording, microseconds, as JSON; empty is all of it, as it is in rows
of before. `recorder.access.triggers` has its rules."""

absences = Table(
    "absences",
    metadata,
    Column("account", String, primary_key=True),
    Column("since_s", Float, nullable=False),
    Column("marked_by", String, nullable=False),
)

deputies = Table(
    "deputies",
    metadata,
    Column("account", String, primary_key=True),
    Column("since_s", Float, nullable=False),
    Column("named_by", String, nullable=False),
    Column("confirmed_by", String),
)
"""``confirmed_by`` is empty in rows of before a deputy took two people. `recorder.access.triggers` has the rules."""

break_glass = Table(
    "break_glass",
    metadata,
    Column("id", String, primary_key=True),
    Column("account", String, nullable=False),
    Column("recording", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("at_s", Float, nullable=False),
    Column("until_s", Float),
    Column("acknowledged_by", String),
    Column("acknowledged_s", Float),
)
"""``until_s`` is empty in rows of before it: half an hour after ``at_s``. `recorder.access.triggers` has its rules."""

sweep_consents = Table(
    "sweep_consents",
    metadata,
    Column("id", String, primary_key=True),
    Column("what", String, nullable=False),
    Column("due", Integer, nullable=False),
    Column("first_by", String, nullable=False),
    Column("first_s", Float, nullable=False),
    Column("second_by", String),
    Column("second_s", Float),
    Column("used_s", Float),
    CheckConstraint("second_by IS NULL OR second_by <> first_by"),
    CheckConstraint("used_s IS NULL OR second_by IS NOT NULL"),
)
"""That a sweep goes on which stopped: two people say so; `recorder.access.triggers` says who."""

erasure_approvals = Table(
    "erasure_approvals",
    metadata,
    Column("erasure", String, primary_key=True),
    Column("ordered_by", String, nullable=False),
    Column("third", String, nullable=False),
    Column("third_s", Float),
    Column("dpo_by", String),
    Column("dpo_s", Float),
    Column("heard_by", String),
    Column("heard_s", Float),
    CheckConstraint("third <> ordered_by"),
    CheckConstraint("dpo_by IS NULL OR dpo_by NOT IN (ordered_by, third)"),
    CheckConstraint("heard_by IS NULL OR heard_by <> ordered_by"),
    CheckConstraint("third_s IS NULL OR dpo_s IS NULL OR heard_s IS NOT NULL"),
)
"""Of orders to erase that take three people: whom they name, who has approved, who has listened to the span."""

case_entries = Table(
    "case_entries",
    metadata,
    Column("case", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("step", String, nullable=False),
    Column("at_s", Float, nullable=False),
    Column("by", String, nullable=False),
    Column("on_day", String, nullable=False),
    Column("text", String, nullable=False),
    Column("details", String, nullable=False),
)

transcripts = Table(
    "transcripts",
    metadata,
    Column("case", String, primary_key=True),
    Column("recording", String, primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("form", String, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

mail_addresses = Table(
    "mail_addresses",
    metadata,
    Column("account", String, primary_key=True),
    Column("address", String, nullable=False),
)

notifications = Table(
    "notifications",
    metadata,
    Column("account", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("moment", String, nullable=False),
    Column("text", String, nullable=False),
    Column("made_s", Float, nullable=False),
    Column("seen_s", Float),
    Column("mail", String, nullable=False, index=True),
    Column("tries", Integer, nullable=False),
    Column("next_try_s", Float),
    Column("sent_s", Float),
    Column("problem", String, nullable=False),
)

acknowledgements = Table(
    "acknowledgements",
    metadata,
    Column("account", String, primary_key=True),
    Column("on_day", String, nullable=False),
)
"""The day on which somebody last acknowledged that they were told that their calls are recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditNote:
    """What must be in the audit log before the act that gave it shows."""

    act: str
    subject: str
    details: Mapping[str, Any] = field(default_factory=dict)


_COLUMNS = "SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'"


def open_people(path: Path) -> Engine:
    """Open the file of people, making it (0600) and its tables when they are missing.

    Every transaction takes the write lock at its start, so that "count the failure, then check the password" is one
    step however many processes try. The caller disposes of the engine.

    Args:
        path: The file; its folder exists.

    Raises:
        OSError: The file can be neither read nor made.
    """
    make_file(path)
    engine = create_engine(
        f"sqlite:///{path}", poolclass=NullPool, connect_args={"timeout": 10.0}, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # the driver's own BEGIN comes too late to lock a read-then-write
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA temp_store = MEMORY")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy hands over its Connection
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.begin() as connection:
        _complete(connection)
        keep_rules(connection)
    return engine


def make_file(path: Path) -> None:
    """Make the file (0600) where it is missing.

    One that is there is never opened here: whoever closes a descriptor of it, other than SQLite's own, takes away the
    locks of every transaction of this process (fcntl(2), advisory record locking).

    Raises:
        OSError: It can be neither read nor made.
    """
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    elif not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _complete(connection: Connection) -> None:
    """Make the tables, or those and the columns that came since; each column is empty or has a default."""
    there: dict[str, set[str]] = {}
    for table, column in connection.exec_driver_sql(_COLUMNS):
        there.setdefault(table, set()).add(column)
    if not there:
        create_tables(connection, metadata)
        return
    if metadata.tables.keys() - there.keys():
        metadata.create_all(connection)
    for name in there.keys() & metadata.tables.keys():
        for column in metadata.tables[name].columns:
            if column.name not in there[name]:
                connection.exec_driver_sql(f"ALTER TABLE {name} ADD COLUMN {CreateColumn(column)}")


class Changes:
    """Tells whether the file of people has changed; safe from any thread.

    SQLite's own word (``PRAGMA data_version``), on a connection that never writes and is kept: it costs a look at the
    file's header, and closing any other descriptor of the file would take away the locks of those who write it.

    Args:
        engine: From ``open_people``; when it is disposed of, or nobody has it any more, the connection is closed.
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
        """Return what is another after each change by anybody, also after the file was replaced by another one.

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
                self._ending.atexit = False  # the system does it; a forked child must not
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
