"""Statements whose text is made once are those of SQLAlchemy, and lose nothing by going to the driver."""

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import psycopg

from storage.made_once import run
from storage.tables import identities, officers, recordings

_DIALECTS = {"sqlite": sqlite.dialect(), "postgresql": psycopg.dialect()}  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("name", _DIALECTS)
def test_no_column_has_a_type_that_converts_its_values(name: str) -> None:
    dialect = _DIALECTS[name]
    converting = {
        str(column)
        for table in (recordings, officers, identities)
        for column in table.c
        if column.type.dialect_impl(dialect).bind_processor(dialect) is not None
        and not isinstance(column.type, sa.LargeBinary)  # makes a memoryview of what are bytes already
    }
    assert converting == set()


def test_it_is_executed_once_or_for_several_values_in_the_transaction() -> None:
    table = sa.Table("things", sa.MetaData(), sa.Column("name", sa.Text), sa.Column("content", sa.LargeBinary))
    engine = sa.create_engine("sqlite://")
    table.create(engine)
    insert, forget = table.insert(), table.delete().where(table.c.name == sa.bindparam("one"))
    with engine.begin() as connection:
        run(connection, insert, {"name": "it's", "content": b"\x00\xff"})
        run(connection, insert, [{"name": name, "content": b""} for name in ("b", "c:name", "%d")])
        run(connection, forget, {"one": "c:name"})
        assert connection.execute(table.select()).all() == [("it's", b"\x00\xff"), ("b", b""), ("%d", b"")]
        connection.rollback()
    with engine.connect() as connection:
        assert connection.execute(table.select()).all() == []
    engine.dispose()
