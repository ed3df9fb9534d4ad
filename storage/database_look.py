"""Looks at a database before it is used: what is in it and who uses it. Neither makes nor changes anything."""

import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from storage.database import SQLITE, make_engine, parse_url
from storage.database_problems import database_problem
from storage.moved import moved_at
from storage.schema_upgrade import Schema
from storage.table_copy import count_rows

_VERSIONS = "schema_version"
_LOOKS, _BETWEEN_LOOKS_S = 10, 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseLook:
    """What a database holds.

    Attributes:
        revision: Of its tables; None if it has none.
        rows: Rows of each table that exists; the table of versions is left out.
        bytes: Size of its tables.
        moved_at: When its rows were moved to another database, or None.
        sessions: Other connections to it, for people: user, address.
        strange: Tables that are not the recorder's.
    """

    revision: str | None = None
    rows: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    moved_at: datetime | None = None
    sessions: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each table that has any."""
        return {name: count for name, count in self.rows.items() if count}

    @property
    def filled(self) -> list[str]:
        """Tables that have rows."""
        return list(self.counts)


def look_at(url: str, schema: Schema, known: set[str]) -> DatabaseLook:
    """Look at a database.

    Args:
        url: Its URL; a file that is missing is not made.
        schema: The tables that it should have.
        known: Revisions that this program knows.

    Raises:
        DatabaseError: It cannot be read, or a newer program made it.
    """
    parsed = parse_url(url)
    if parsed.drivername == SQLITE and not Path(str(parsed.database)).exists():
        return DatabaseLook()
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            found = schema.found(connection)
            schema.refuse_newer(found, known)
            return _look(connection, schema, found)
    except sa.exc.SQLAlchemyError as error:
        raise database_problem(str(parsed.database), error) from error
    finally:
        engine.dispose()


def _look(connection: sa.Connection, schema: Schema, revision: str | None) -> DatabaseLook:
    tables = set(sa.inspect(connection).get_table_names(schema=schema.metadata.schema))
    ours = {table.name for table in schema.metadata.sorted_tables} | {schema.version_table}
    rows = {name: count for name, count in count_rows(connection, schema.metadata).items() if name != _VERSIONS}
    is_server = connection.dialect.name != SQLITE
    return DatabaseLook(
        revision=revision, rows=rows, bytes=_bytes_of(connection, sorted(tables & ours)),
        moved_at=moved_at(connection) if _VERSIONS in tables and revision is not None else None,
        sessions=sessions_of(connection) if is_server else (), strange=tuple(sorted(tables - ours)),
    )  # fmt: skip


def _bytes_of(connection: sa.Connection, tables: list[str]) -> int:
    if connection.dialect.name == SQLITE:
        path = Path(str(connection.engine.url.database))
        files = (path, path.with_name(f"{path.name}-wal"))
        return sum(one.stat().st_size for one in files if one.exists())
    query = sa.text(
        "SELECT coalesce(sum(pg_total_relation_size(to_regclass(name))), 0) FROM unnest(CAST(:names AS text[])) name"
    )
    return int(connection.execute(query, {"names": tables}).scalar_one())


def sessions_of(connection: sa.Connection) -> tuple[str, ...]:
    """Return the other sessions; the server still lists one for a moment after it was closed."""
    query = sa.text(
        "SELECT coalesce(usename, '?') || ' from ' || coalesce(host(client_addr), 'this server') FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        " ORDER BY 1"
    )
    for _ in range(_LOOKS):
        found = tuple(connection.execute(query).scalars())
        if not found:
            break
        time.sleep(_BETWEEN_LOOKS_S)
        connection.execute(sa.func.pg_stat_clear_snapshot().select())  # the view is that of the first look
    return found
