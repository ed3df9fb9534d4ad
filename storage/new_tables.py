"""Tables of a new database, made from their definitions; the statements are worked out once in a process."""

from functools import cache

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable, ExecutableDDLElement

_DIALECTS = {"sqlite": sqlite.dialect, "postgresql": postgresql.dialect}


def create_tables(connection: sa.Connection, metadata: sa.MetaData) -> None:
    """Make every table of some definitions, with its indices, inside the caller's transaction; none is there yet."""
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
