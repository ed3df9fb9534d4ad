"""Recordings that a dead node had open are listed at once, and no longer once it is back."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from benchmarks.postgres import PostgresServer
from recorder.service.unfinished_watch import UnfinishedWatch
from recorder.web.system_pages import nodes_away
from storage.database import Database
from storage.errors import DatabaseError
from storage.tables import nodes as _nodes
from storage.types import RecordingId
from storage.unfinished import UnfinishedRecordings

FIRST, SECOND = RecordingId("20261125T030000Z-2001-000001"), RecordingId("20261125T030001Z-2002-000002")


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Database]:
    made = Database(postgres.new_database())
    try:
        yield made
    finally:
        made.close()


def seen(database: Database, node: str, *, seconds_ago: int, state: str = "accepting") -> None:
    values = {"name": node, "fingerprint": "", "address": "", "version": "", "state": state, "calls": 0, "capacity": 0}
    with database.begin() as connection:
        now = connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp()) * 1000000").scalar_one()
        row = {**values, "seen_us": int(now) - seconds_ago * 1_000_000}
        connection.execute(database.upsert(_nodes, row, key=_nodes.c.name))


def test_the_recordings_of_a_node_that_is_away_are_listed(database: Database) -> None:
    table, opened = UnfinishedRecordings(database), {FIRST, SECOND}
    watch = UnfinishedWatch(table, "north", lambda: opened)
    watch.look()
    seen(database, "north", seconds_ago=2)
    assert table.of_nodes_away() == [], "it is there"
    seen(database, "north", seconds_ago=8)
    away = table.of_nodes_away()
    assert [(one.recording, one.node) for one in away] == [(FIRST, "north"), (SECOND, "north")]
    assert away[0].started_at == datetime(2026, 11, 25, 3, tzinfo=UTC)
    assert away[0].seen_at is not None
    (shown,) = nodes_away(database)
    assert (shown.node, shown.count) == ("north", 2)

    back = UnfinishedWatch(table, "north", lambda: {SECOND})
    back.look()
    assert [one.recording for one in table.of_nodes_away()] == [SECOND], "the other was recovered"
    seen(database, "north", seconds_ago=0, state="stopped")
    assert len(table.of_nodes_away()) == 1, "it was stopped"


def test_what_changed_while_the_database_was_away_is_written_later(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, opened = UnfinishedRecordings(database), {FIRST}
    watch = UnfinishedWatch(table, "north", lambda: opened)
    watch.look()
    with monkeypatch.context() as patch:

        def away(*_: object, **__: object) -> None:
            raise DatabaseError("away", is_passing=True)

        patch.setattr(UnfinishedRecordings, "change", away)
        opened.add(SECOND)
        opened.remove(FIRST)
        with pytest.raises(DatabaseError):
            watch.look()
    watch.look()
    assert table.of_node("north") == {SECOND}
    other = UnfinishedWatch(table, "south", lambda: {FIRST})
    other.look()
    assert table.of_node("north") == {SECOND}, "another node's stay"


def test_one_recorder_has_no_such_list() -> None:
    database = Database("sqlite:///:memory:")
    assert nodes_away(database) == []
    database.close()
