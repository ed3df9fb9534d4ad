"""Migrations of the index's database from any earlier version; `storage.database` runs them.

A new database is created from the definitions in `storage.tables`. Either is one transaction, so a kill leaves the
database unchanged.
"""

from pathlib import Path

import sqlalchemy as sa

from storage.errors import DatabaseError
from storage.schema_upgrade import HEAD, Schema
from storage.tables import METADATA, REVISION, schema

VERSION_TABLE = "schema_revision"
INDEX_SCHEMA = Schema(
    name="the database of the index",
    metadata=METADATA,
    revision=REVISION,
    version_table=VERSION_TABLE,
    scripts=Path(__file__).parent,
)
_ADVISORY_LOCK = 0x7265_636F_7264
"""Key of the lock for changing the tables of a PostgreSQL database."""
_OWNER = f"""
SELECT current_user, coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AND NOT EXISTS (
  SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = current_schema() AND c.relname = '{VERSION_TABLE}' AND NOT pg_has_role(c.relowner, 'USAGE'))
"""  # noqa: S608 - of constants
_LAST_UNVERSIONED = 1
"""``schema_version`` of programs from before the migrations."""


def upgrade(connection: sa.Connection, revision: str = HEAD) -> None:
    """Migrate the tables to a revision, in the caller's transaction. Safe if several processes do so together.

    Args:
        connection: In a transaction that may write; the caller commits.
        revision: Revision of a script in ``versions``.

    Raises:
        DatabaseError: A newer or another program made the tables.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
    tables = set(sa.inspect(connection).get_table_names())
    if not tables and revision == HEAD:
        INDEX_SCHEMA.create(connection)
        connection.execute(schema.insert().values(id=1, version=int(REVISION)))
        return
    if VERSION_TABLE not in tables:
        _refuse_unversioned(connection, tables)
    INDEX_SCHEMA.migrate(connection, revision)


def refuse_unless_owner(connection: sa.Connection, found: str | None) -> None:
    """Check that this role may create or change the tables; on SQLite who opens the file may.

    Args:
        connection: To the database.
        found: Revision of the tables; None if there are none yet.

    Raises:
        DatabaseError: It may not, or a newer program made them.
    """
    if connection.dialect.name == "postgresql":
        role, may_change = connection.exec_driver_sql(_OWNER).one()
        if not may_change:
            INDEX_SCHEMA.refuse_role(role, found)


def _refuse_unversioned(connection: sa.Connection, tables: set[str]) -> None:
    if "schema_version" in tables:
        found = connection.execute(sa.text("SELECT version FROM schema_version WHERE id = 1")).scalar()
        if found is not None and found > _LAST_UNVERSIONED:
            raise DatabaseError(f"the database has schema {found}, which this program does not know", is_passing=False)
    elif "recordings" in tables:
        raise DatabaseError("the database holds tables of another program: give it one of its own", is_passing=False)
