"""Creates the tables of a new database from their definitions; the statements are compiled once in a process."""

from functools import cache

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

_DIALECTS = {"sqlite": sqlite.dialect, "postgresql": postgresql.dialect}


def create_tables(connection: sa.Connection, metadata: sa.MetaData) -> None:
    """Create all tables of some metadata with their indices, in the caller's transaction; none may exist."""
    for statement in _statements(metadata, connection.dialect.name):
        connection.exec_driver_sql(statement)


@cache
def _statements(metadata: sa.MetaData, dialect_name: str) -> tuple[str, ...]:
    dialect = _DIALECTS[dialect_name]()
    statements: list[str] = []
    for table in metadata.sorted_tables:
        indices = sorted(table.indexes, key=lambda index: str(index.name))
        made: list[ExecutableDDLElement] = [CreateTable(table), *map(CreateIndex, indices)]
        statements += [str(one.compile(dialect=dialect)) for one in made]
    return tuple(statements)
