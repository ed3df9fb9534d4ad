"""Creates or upgrades tables and triggers of accounts in a SQLite file; a current one is recognised by one query."""

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from recorder.access.tables import REVISION, metadata
from recorder.access.triggers import TRIGGERS, keep_rules
from storage.errors import DatabaseError
from storage.schema_upgrade import HEAD, Schema

VERSION_TABLE = "schema_revision"
_STATE = (
    f"SELECT name, sql FROM sqlite_master WHERE type = 'trigger' UNION ALL SELECT '', version_num FROM {VERSION_TABLE}"  # noqa: S608 - constants
)
_CURRENT = {**TRIGGERS, "": REVISION}


def accounts_schema(name: str) -> Schema:
    """Return the schema of the accounts in a database, named as in messages."""
    scripts = Path(__file__).parent / "migrations"
    return Schema(name=name, metadata=metadata, revision=REVISION, version_table=VERSION_TABLE, scripts=scripts)


def bring_up_to_date(engine: sa.Engine) -> None:
    """Create or upgrade the tables in a file, and restore triggers that are missing or of another version.

    Args:
        engine: Of the file; each transaction takes the write lock.

    Raises:
        DatabaseError: A newer program made them, or the file is no database.
    """
    try:
        if _is_current(engine):
            return
        with engine.begin() as connection:
            upgrade(connection)
    except (sa.exc.DatabaseError, sqlite3.DatabaseError) as error:
        what = getattr(error, "orig", None) or error
        raise DatabaseError(f"{engine.url.database} cannot be used: {what}", is_passing=False) from error


def _is_current(engine: sa.Engine) -> bool:
    with closing(engine.raw_connection()) as connection:  # without BEGIN IMMEDIATE: a start waits for no writer
        try:
            return dict(connection.cursor().execute(_STATE).fetchall()) == _CURRENT
        except sqlite3.OperationalError:  # no such table: an earlier version's, or empty
            return False


def upgrade(connection: sa.Connection, revision: str = HEAD) -> None:
    """Migrate the tables to a revision, in the caller's transaction.

    Raises:
        DatabaseError: A newer program made them.
    """
    assert connection.engine.url.database is not None
    schema = accounts_schema(connection.engine.url.database)
    if revision == HEAD and not sa.inspect(connection).get_table_names():
        schema.create(connection)
    elif schema.found(connection) != revision:
        schema.migrate(connection, revision)
    keep_rules(connection)
