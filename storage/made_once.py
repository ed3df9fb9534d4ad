"""Runs statements whose text is made once, for those of every call: SQLAlchemy would look each up again, at some cost.

The text is SQLAlchemy's own. The driver gets the values as they are, so no column may have a type that converts them.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine.interfaces import Dialect


def run(
    connection: sa.Connection, statement: sa.Insert | sa.Delete, values: Mapping[str, Any] | Sequence[Mapping[str, Any]]
) -> None:
    """Execute a statement that is made once, such as one of a module, as ``connection.execute`` would.

    Args:
        connection: The connection.
        statement: The statement.
        values: Values of its parameters by their names, or of several executions.
    """
    connection.exec_driver_sql(_text(connection.dialect.name, statement), values)


@functools.cache
def _text(dialect: str, statement: sa.Insert | sa.Delete) -> str:
    return str(statement.compile(dialect=_dialect(dialect)))


def _dialect(name: str) -> Dialect:
    if name == "sqlite":
        return sqlite.dialect(paramstyle="named")
    from sqlalchemy.dialects.postgresql import psycopg  # noqa: PLC0415 - the driver takes long to import

    return psycopg.dialect()  # type: ignore[no-untyped-call]
