"""A connection to PostgreSQL that a test leaves open is found while another test runs: the warning names the first."""

import gc

import pytest

from benchmarks.postgres import PostgresServer
from storage.database import Database


def test_the_warning_names_the_test_that_opened_the_connection(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    gc.collect()
    with pytest.warns(
        ResourceWarning, match=r"test_the_warning_names_the_test.* opened at .*test_left_connections\.py"
    ):
        Database(url)
        gc.collect()
