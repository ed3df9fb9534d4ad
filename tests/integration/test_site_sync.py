"""Sign-ons and PINs are the same on all nodes of a site, also for one that was away, and without the database."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks.postgres import PostgresServer
from recorder.access.agents import SignOnClashError, SignOns
from recorder.access.pin_sync import PinSync
from recorder.common.serial_executor import SerialExecutor
from recorder.service.site_sync import SignOnSync, SiteSync
from storage.database import Database
from storage.shared_sign_ons import SharedPins, SharedSignOns
from storage.tables import sign_ons

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
LASTS = timedelta(hours=12)


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[Database]:
    made = Database(postgres.new_database())
    try:
        yield made
    finally:
        made.close()


class Node:
    """One node's sign-ons; its clock is set by hand."""

    def __init__(self, folder: Path, database: Database) -> None:
        folder.mkdir(exist_ok=True)
        self.now = NOW
        self.folder = folder
        self.sign_ons = SignOns(folder / "agents.json", now=lambda: self.now, lasts=lambda: LASTS)
        self.executor = SerialExecutor("acts")
        self.sync = SignOnSync(
            self.sign_ons, SharedSignOns(database), self.executor, now=lambda: self.now, lasts=lambda: LASTS
        )

    def who(self, extension: str) -> tuple[str, bool] | None:
        there = self.sign_ons.of(extension)
        return None if there is None else (there.operator, there.is_proven)


@pytest.fixture
def nodes(tmp_path: Path, database: Database) -> Iterator[list[Node]]:
    made = [Node(tmp_path / name, database) for name in ("north", "south")]
    yield made
    for node in made:
        node.executor.close()


def test_a_sign_on_at_one_node_is_known_at_the_other(nodes: list[Node], database: Database, tmp_path: Path) -> None:
    north, south = nodes
    north.sign_ons.sign_on("2001", "bob", is_proven=True)
    north.sync.look()
    south.sync.look()
    assert south.who("2001") == ("bob", True)
    south.now += timedelta(minutes=1)
    south.sign_ons.sign_on("2001", "carol", is_proven=True, instead_of="bob")
    south.sync.look()
    north.sync.look()
    assert north.who("2001") == ("carol", True)
    north.now += timedelta(minutes=2)
    assert north.sign_ons.sign_off("2001", "carol")
    north.sync.look()
    south.sync.look()
    assert south.who("2001") is None
    returned = Node(tmp_path / "east", database)
    returned.sign_ons.sign_on("2002", "dave", is_proven=False)
    returned.now += timedelta(minutes=3)
    returned.sync.look()
    north.sync.look()
    assert returned.who("2001") is None
    assert north.who("2002") == ("dave", False)
    restarted = Node(tmp_path / "east", database)
    restarted.now += timedelta(minutes=3)
    assert restarted.who("2002") == ("dave", False)
    for node in (returned, restarted):
        node.executor.close()


def test_a_sign_on_that_was_told_already_is_no_clash(nodes: list[Node]) -> None:
    """The console asks every node; one of them may have it from the database before that."""
    north, south = nodes
    north.sign_ons.sign_on("2001", "bob", is_proven=False)
    north.sync.look()
    south.sync.look()
    south.now += timedelta(seconds=1)
    assert south.sign_ons.sign_on("2001", "bob", is_proven=False).at == NOW
    with pytest.raises(SignOnClashError, match="bob is signed on there"):
        south.sign_ons.sign_on("2001", "carol", is_proven=False)


def test_a_node_that_was_away_tells_and_takes_what_is_later(nodes: list[Node], database: Database) -> None:
    north, south = nodes
    south.sign_ons.sign_on("2001", "old", is_proven=True)
    south.sign_ons.sign_on("2002", "kept", is_proven=True)
    north.now += timedelta(minutes=5)
    north.sign_ons.sign_on("2001", "new", is_proven=True)
    north.sync.look()
    south.now += timedelta(minutes=10)
    south.sync.look()
    north.sync.look()
    for node in nodes:
        assert (node.who("2001"), node.who("2002")) == (("new", True), ("kept", True))


def test_nothing_is_written_where_nothing_is_new(nodes: list[Node], database: Database) -> None:
    north, south = nodes
    north.sign_ons.sign_on("2001", "bob", is_proven=True)
    for _ in range(2):
        north.sync.look()
        south.sync.look()

    def changed() -> int:
        with database.connect() as connection:
            return int(connection.execute(sa.text("SELECT max(changed_us) FROM sign_ons")).scalar_one())

    before, files = changed(), [(node.folder / "agents.json").stat().st_mtime_ns for node in nodes]
    for node in nodes:
        node.sync.look()
    assert changed() == before
    assert [(node.folder / "agents.json").stat().st_mtime_ns for node in nodes] == files


@pytest.mark.parametrize("lie", [{"at_us": 2**62}, {"changed_us": 2**62}, {"at_us": 2**62, "changed_us": 2**62}])
def test_a_sign_on_of_the_future_neither_stays_nor_hides_others(
    nodes: list[Node], database: Database, lie: dict[str, int]
) -> None:
    """Every node's role can write the table; and a clock may be years ahead."""
    north, south = nodes
    for node in nodes:
        node.now = datetime.now(UTC)
    north.sign_ons.sign_on("2001", "bob", is_proven=True)
    north.sync.look()
    with database.begin() as connection:
        connection.execute(sa.update(sign_ons).values(operator="eve", **lie))
    north.sync.look()
    south.sync.look()
    for node in nodes:
        node.now = datetime.now(UTC) + timedelta(seconds=1)
    south.sign_ons.sign_on("2001", "carol", is_proven=True)
    south.sign_ons.sign_on("2002", "dave", is_proven=True)
    south.sync.look()
    north.sync.look()
    for node in nodes:
        assert (node.who("2001"), node.who("2002")) == (("carol", True), ("dave", True))


def test_old_sign_ons_do_not_stay_in_the_database(nodes: list[Node], database: Database) -> None:
    north, south = nodes
    north.sign_ons.sign_on("2001", "bob", is_proven=True)
    north.sync.look()
    south.now += LASTS + timedelta(days=1, minutes=1)
    south.sync.look()
    assert SharedSignOns(database).since(0).rows == []
    assert south.who("2001") is None


def test_without_the_database_what_is_known_holds(nodes: list[Node], caplog: pytest.LogCaptureFixture) -> None:
    north, south = nodes
    north.sign_ons.sign_on("2001", "bob", is_proven=True)
    away = Database("postgresql://nobody@127.0.0.1:1/none?connect_timeout=1", is_deferred=True)
    north.sync._table = SharedSignOns(away)
    site = SiteSync(north.sync.look, lambda: south.sign_ons.sign_on("2003", "eve", is_proven=True))
    site.look()
    site.look()
    assert caplog.text.count("Exchanging sign-ons or PINs with the other nodes failed") == 1
    assert north.who("2001") == ("bob", True)
    assert south.who("2003") == ("eve", True), "one failure does not keep the rest from being done"


def test_pins_set_at_a_console_reach_the_nodes(tmp_path: Path, database: Database) -> None:
    table = SharedPins(database)
    paths = [tmp_path / name / "pins.json" for name in ("console", "node", "console2")]
    for path in paths:
        path.parent.mkdir()
    console, node, second = (PinSync(path, table, is_publishing="console" in str(path.parent.name)) for path in paths)
    node.look()
    assert not paths[1].exists()
    paths[0].write_text("hashes 1")
    console.look()
    node.look()
    second.look()
    assert [path.read_text() for path in paths] == ["hashes 1"] * 3
    assert paths[1].stat().st_mode & 0o077 == 0
    paths[2].write_text("hashes 2")
    later = datetime.now(UTC).timestamp() + 5
    os.utime(paths[2], (later, later))
    for sync in (second, console, node):
        sync.look()
    assert [path.read_text() for path in paths] == ["hashes 2"] * 3
    paths[1].write_text("made at a node")
    os.utime(paths[1], (later + 5, later + 5))
    console.look()
    node.look()
    assert [path.read_text() for path in paths] == ["hashes 2"] * 3, "a node publishes nothing"
