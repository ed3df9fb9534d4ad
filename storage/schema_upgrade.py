"""Upgrades the tables of a database to the revision of this program by Alembic's scripts.

Index and accounts share it. A new database is created from its definitions, without scripts; tests compare the two
results. An upgrade is one transaction, so a kill or Ctrl-C leaves the database unchanged, and the next start begins
again. Upgrades that take longer than a few seconds log their progress.
"""

import logging
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import sqlalchemy as sa

from storage.errors import DatabaseError
from storage.new_tables import create_tables

HEAD = "head"
"""The newest revision."""
REPORT_EVERY_S = 5.0
"""Interval of the log lines of a long upgrade."""
_TICK_EVERY = 100_000
"""Instructions of SQLite's virtual machine, some milliseconds, between two looks at Ctrl-C."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The tables of one database, and the scripts that upgrade earlier ones.

    Attributes:
        name: Of the database, for messages.
        metadata: Definitions of the tables.
        revision: Newest revision, which the definitions belong to.
        version_table: Alembic's table of the present revision; not its default name, which another program may use.
        scripts: Folder with ``versions/``.
    """

    name: str
    metadata: sa.MetaData
    revision: str
    version_table: str
    scripts: Path

    def create(self, connection: sa.Connection) -> None:
        """Create all tables of this program in an empty database, and store the revision."""
        create_tables(connection, self.metadata)
        versions = self._versions()
        create_tables(connection, versions.metadata)
        connection.execute(versions.insert().values(version_num=self.revision))

    def _versions(self) -> sa.Table:
        """Return the same table as Alembic creates."""
        return sa.Table(
            self.version_table,
            sa.MetaData(),
            sa.Column("version_num", sa.String(32), nullable=False),
            sa.PrimaryKeyConstraint("version_num", name=f"{self.version_table}_pkc"),
        )

    def migrate(self, connection: sa.Connection, revision: str = HEAD) -> None:
        """Run the scripts that are missing up to a revision, in the caller's transaction.

        Args:
            connection: In a transaction that may write; the caller commits.
            revision: Revision of a script.

        Raises:
            DatabaseError: A newer program made the tables.
        """
        # Alembic is slow to import, and most processes do not need it.
        from alembic import command  # noqa: PLC0415
        from alembic.config import Config  # noqa: PLC0415
        from alembic.script import ScriptDirectory  # noqa: PLC0415

        found = self.found(connection)
        config = Config()
        config.set_main_option("script_location", str(self.scripts).replace("%", "%%"))
        scripts = ScriptDirectory.from_config(config)
        self.refuse_newer(found, {one.revision for one in scripts.walk_revisions()})
        missing = [*scripts.iterate_revisions(revision, found or "base")][::-1]
        progress = UpgradeProgress(self.name, [one.doc.rstrip(".") for one in missing])
        config.attributes |= {"connection": connection, "schema": self, "progress": progress}
        with progress.reporting(), _interruptible(connection):
            command.upgrade(config, revision)

    def run(self, context: Any) -> None:  # noqa: ANN401 - Alembic's, which is imported late
        """Run Alembic's scripts; for ``env.py`` of a folder of scripts."""
        attributes = context.config.attributes
        context.configure(
            connection=attributes["connection"],
            target_metadata=self.metadata,
            version_table=self.version_table,
            transactional_ddl=True,
            on_version_apply=attributes["progress"].step_done,
        )
        with context.begin_transaction():
            context.run_migrations()

    def found(self, connection: sa.Connection) -> str | None:
        """Return the revision of the database, or None: it has none; without Alembic, which takes long to import.

        Raises:
            DatabaseError: It has several.
        """
        if not sa.inspect(connection).has_table(self.version_table):
            return None
        query = f"SELECT version_num FROM {self.version_table}"  # noqa: S608 - a constant
        found = sorted(str(one) for one in connection.exec_driver_sql(query).scalars())
        if len(found) > 1:
            raise DatabaseError(
                f"{self.name} says that it has the schemas {' and '.join(found)}: something else than the recorder "
                "changed it; restore a backup",
                is_passing=False,
            )
        return found[0] if found else None

    def refuse_newer(self, found: str | None, known: set[str]) -> None:
        """Check that this program knows a revision.

        Raises:
            DatabaseError: It does not.
        """
        if found is not None and found not in known:
            raise DatabaseError(
                f"{self.name} has schema {found}, this program knows up to {max(known)}: a newer program "
                "made it; install that version of the recorder again, or restore a backup from before the upgrade",
                is_passing=False,
            )

    def refuse_role(self, role: str, found: str | None) -> NoReturn:
        """Refuse to upgrade tables as a role of a server that does not own them.

        Args:
            role: The role.
            found: Their revision; None if there are none yet.

        Raises:
            DatabaseError: Always: a newer program made them, or their owner has to upgrade them.
        """
        self.refuse_newer(found, {f"{number:04}" for number in range(int(self.revision) + 1)})
        what = "has no tables yet" if found is None else f"has schema {found}, or rules of another version"
        raise DatabaseError(
            f"{self.name} {what}; this program needs schema {self.revision}, and the role {role} may not change it: "
            "run `recorder database upgrade --user recorder_owner`, then try again",
            is_passing=False,
        )


class UpgradeProgress:
    """Logs the progress of an upgrade that takes long; scripts `note` what they have done.

    Args:
        name: Of the database.
        steps: What each script does, in order.
    """

    def __init__(self, name: str, steps: Sequence[str]) -> None:
        self._name = name
        self._steps = steps
        self._began_s = time.monotonic()
        self._done = 0
        self._note = ""
        self._ended = threading.Event()
        self._has_reported = False

    def step_done(self, **_given: object) -> None:
        """Take the end of a step."""
        self._done += 1
        self._note = ""

    def note(self, text: str) -> None:
        """Say how far the present step is, such as ``4000 of 100000 recordings``."""
        self._note = text

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Log the progress every few seconds, from a thread, until the block ends."""
        thread = threading.Thread(target=self._report, name="upgrade-progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()
        if self._has_reported:
            _log.warning("%s: the upgrade took %.0f s", self._name, time.monotonic() - self._began_s)

    def _report(self) -> None:
        while not self._ended.wait(REPORT_EVERY_S):
            # A warning, so that commands without a log show it on standard error.
            _log.warning("%s", self.sentence())
            self._has_reported = True

    def sentence(self) -> str:
        """Return the present state of the upgrade."""
        at = min(self._done, len(self._steps) - 1)
        took = f"{time.monotonic() - self._began_s:.0f} s"
        parts = [f"step {at + 1} of {len(self._steps)} ({self._steps[at]})", self._note, took]
        return f"{self._name}: upgrading its tables, {', '.join(filter(None, parts))}; if interrupted, it begins again"


def progress_of(context: Any) -> UpgradeProgress:  # noqa: ANN401 - Alembic's MigrationContext, from ``op.get_context``
    """Return the progress of the upgrade that a script belongs to."""
    progress: UpgradeProgress = context.config.attributes["progress"]
    return progress


@contextmanager
def _interruptible(connection: sa.Connection) -> Iterator[None]:
    """Let Ctrl-C end an upgrade of SQLite within a long statement or between two, and at no other step.

    Python raises KeyboardInterrupt wherever it is: within SQLAlchemy, that closes the connection under the upgrade,
    and the end of the upgrade then fails with another error. SQLite alone ends no statement before it is done.

    Raises:
        KeyboardInterrupt: It did; the caller's transaction is rolled back.
    """
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        yield  # psycopg looks at signals while it waits
        return
    with _noted() as interrupt:
        driver.set_progress_handler(lambda: interrupt.has_come, _TICK_EVERY)  # ends the statement once it is true
        try:
            with _ended_between_statements(connection, interrupt):
                yield
        except (_InterruptedError, sa.exc.OperationalError) as error:
            if not interrupt.has_come and getattr(error.orig, "sqlite_errorname", "") != "SQLITE_INTERRUPT":
                raise
            raise KeyboardInterrupt from error
        finally:
            driver.set_progress_handler(None, 0)
        if interrupt.has_come:
            raise KeyboardInterrupt


@dataclass
class _Interrupt:
    """Whether Ctrl-C has come; no `threading.Event`, whose lock a second Ctrl-C would wait for in the same thread."""

    has_come: bool = False


class _InterruptedError(Exception):
    """Ends an upgrade between two statements; SQLAlchemy keeps the connection, as it does not for KeyboardInterrupt."""

    orig = None


@contextmanager
def _noted() -> Iterator[_Interrupt]:
    """Note Ctrl-C, where Python would raise KeyboardInterrupt for it in this thread."""
    interrupt = _Interrupt()
    is_raised = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not is_raised or threading.current_thread() is not threading.main_thread():
        yield interrupt
        return

    def note(_signal: int, _frame: FrameType | None) -> None:
        interrupt.has_come = True

    signal.signal(signal.SIGINT, note)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def _ended_between_statements(connection: sa.Connection, interrupt: _Interrupt) -> Iterator[None]:
    def look(*_given: object) -> None:
        if interrupt.has_come:
            raise _InterruptedError

    sa.event.listen(connection, "before_cursor_execute", look)
    try:
        yield
    finally:
        sa.event.remove(connection, "before_cursor_execute", look)
