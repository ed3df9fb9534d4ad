"""Migrations of the database from any earlier version, by Alembic's scripts; `storage.database` runs them.

A new database is created from the definitions in `storage.tables`, without scripts; a test compares the two results.
Either is one transaction, so a kill leaves the database unchanged.
"""

from pathlib import Path

import sqlalchemy as sa

from storage.errors import DatabaseError
from storage.new_tables import create_tables
from storage.tables import METADATA, REVISION, schema

VERSION_TABLE = "schema_revision"
"""Alembic's table of the present revision; not its default name, which another program may use in this database."""
_revisions = sa.Table(
    VERSION_TABLE,
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)
"""The same table as Alembic creates."""
_ADVISORY_LOCK = 0x7265_636F_7264
"""Key of the lock for changing the tables of a PostgreSQL database."""
_LAST_UNVERSIONED = 1
"""``schema_version`` of programs from before the migrations."""


def upgrade(connection: sa.Connection, revision: str = "head") -> None:
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
    if not tables and revision == "head":
        _make(connection)
        return
    # Alembic is slow to import, and most processes do not need it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    _refuse_foreign(connection, tables, known)
    command.upgrade(config, revision)


def _make(connection: sa.Connection) -> None:
    """Create the tables of this version, and store its revision."""
    create_tables(connection, METADATA)
    create_tables(connection, _revisions.metadata)
    connection.execute(_revisions.insert().values(version_num=REVISION))
    connection.execute(schema.insert().values(id=1, version=int(REVISION)))


def _refuse_foreign(connection: sa.Connection, tables: set[str], known: set[str]) -> None:
    if VERSION_TABLE in tables:
        for found in connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalars():  # noqa: S608
            if found not in known:
                raise DatabaseError(
                    f"the database has schema {found}, this program knows up to {max(known)}: a newer program made it",
                    is_passing=False,
                )
    elif "schema_version" in tables:
        found = connection.execute(sa.text("SELECT version FROM schema_version WHERE id = 1")).scalar()
        if found is not None and found > _LAST_UNVERSIONED:
            raise DatabaseError(f"the database has schema {found}, which this program does not know", is_passing=False)
    elif "recordings" in tables:
        raise DatabaseError("the database holds tables of another program: give it one of its own", is_passing=False)
