"""The table of nodes: who registers, who has a name, and who is away; on both engines."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from storage.database import Database
from storage.nodes import AWAY_US, REMOVED, NodeRow, Nodes, clock_us
from storage.tables import nodes as table

NORTH = NodeRow(
    name="north", fingerprint="a" * 64, address="192.0.2.1:7443", version="1.0", started_us=None, seen_us=None,
    state="accepting", calls=3, capacity=1000,
)  # fmt: skip
IMPOSTOR = replace(NORTH, fingerprint="b" * 64, address="192.0.2.9:7443")


@pytest.fixture
def nodes(database: Database) -> Nodes:
    return Nodes(database)


def ago(database: Database, us: int) -> None:
    """Have the node last been seen so long ago."""
    with database.begin() as connection:
        connection.execute(sa.update(table).values(seen_us=clock_us(connection) - us))


def test_a_node_registers_and_renews_its_row(nodes: Nodes) -> None:
    beat = nodes.renew(NORTH)
    assert (beat.taken_by, beat.is_removed) == (None, False)
    nodes.renew(replace(NORTH, started_us=beat.clock_us, calls=4, state="draining"))
    (row,), now_us = nodes.all()
    assert (row.started_us, row.calls, row.state) == (beat.clock_us, 4, "draining")
    assert row.seen_us is not None and beat.clock_us <= row.seen_us <= now_us
    assert row.is_there(now_us) and not row.is_there(row.seen_us + AWAY_US + 1)


def test_another_node_cannot_take_a_name_while_its_owner_is_seen(nodes: Nodes, database: Database) -> None:
    nodes.renew(NORTH)
    assert nodes.renew(IMPOSTOR).taken_by == NORTH.fingerprint
    assert nodes.all()[0][0].address == NORTH.address, "the row is the first one's"
    ago(database, AWAY_US + 1)
    assert nodes.renew(IMPOSTOR).taken_by is None, "a machine that replaces one that is away"
    assert nodes.renew(NORTH).taken_by == IMPOSTOR.fingerprint, "who comes back is told"


def test_the_name_of_a_node_that_was_stopped_is_free(nodes: Nodes) -> None:
    nodes.renew(NORTH)
    nodes.stop(IMPOSTOR.name, IMPOSTOR.fingerprint)
    assert nodes.all()[0][0].state == "accepting", "only a node itself says that it has stopped"
    nodes.stop(NORTH.name, NORTH.fingerprint)
    (row,), now_us = nodes.all()
    assert (row.state, row.calls, row.is_there(now_us)) == ("stopped", 0, False)
    assert nodes.renew(IMPOSTOR).taken_by is None


def test_a_node_that_was_removed_does_not_come_back(nodes: Nodes, database: Database) -> None:
    nodes.renew(NORTH)
    with database.begin() as connection:
        connection.execute(sa.update(table).values(state=REMOVED))
    assert nodes.renew(NORTH).is_removed
    nodes.stop(NORTH.name, NORTH.fingerprint)
    assert nodes.all()[0][0].state == REMOVED
    assert not nodes.renew(IMPOSTOR).is_removed, "a new machine of that name is added"
