"""Connections that nobody closes: a forgotten database closes its own, others name the test that opened them."""

import gc
import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest

from benchmarks.postgres import PostgresServer
from storage.database import Database
from storage.postgresql import ServerConnection

_NAMED = r"test_the_warning_names_the_test.* opened at .*test_left_connections\.py"


def test_the_warning_names_the_test_that_opened_a_connection_to_postgresql(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    gc.collect()
    with pytest.warns(ResourceWarning, match=_NAMED):
        ServerConnection.connect(url)
        gc.collect()


def test_the_warning_names_the_test_that_opened_a_connection_to_sqlite(tmp_path: Path) -> None:
    gc.collect()
    with pytest.warns(ResourceWarning, match=_NAMED):
        sqlite3.connect(tmp_path / "left.sqlite")
        gc.collect()
    sqlite3.connect(tmp_path / "closed.sqlite").close()


def test_a_database_that_is_forgotten_closes_its_connections(ready_url: str) -> None:
    def used() -> Any:
        with Database(ready_url).connect() as connection:
            return connection.connection.dbapi_connection

    connection = used()
    gc.collect()
    with pytest.raises((sqlite3.ProgrammingError, psycopg.OperationalError), match="closed"):
        connection.execute("SELECT 1")


def test_a_connection_in_use_while_its_engine_is_disposed_of_is_closed_when_it_is_returned(
    postgres: PostgresServer,
) -> None:
    database = Database(postgres.new_database())
    with database.connect() as connection:
        returned = connection.connection.dbapi_connection
        database.close()
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1, "who has it may go on"
    assert isinstance(returned, ServerConnection)
    assert returned.closed
