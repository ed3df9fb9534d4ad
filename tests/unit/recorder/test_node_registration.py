"""What a node says when its row cannot be renewed: the name is another's, clocks are apart, the database is away."""

from collections.abc import Callable

import pytest

from recorder.service.node_registration import (
    AWAY_AFTER,
    CLOCK_APART,
    NAME_TAKEN,
    REGISTRY_AWAY,
    REMOVED,
    NodeLoad,
    NodeRegistration,
)
from storage.errors import DatabaseError
from storage.nodes import Beat, NodeRow

NOW_US = 1_790_000_000_000_000


class Table:
    """Answers renewals as a test says, and keeps what it was told."""

    def __init__(self) -> None:
        self.rows: list[NodeRow] = []
        self.answer: Callable[[], Beat] = lambda: Beat(clock_us=NOW_US)

    def renew(self, node: NodeRow) -> Beat:
        self.rows.append(node)
        return self.answer()

    def stop(self, name: str, fingerprint: str) -> None:
        raise AssertionError("these tests do not stop it")


@pytest.fixture
def table() -> Table:
    return Table()


@pytest.fixture
def alarms() -> set[str]:
    return set()


@pytest.fixture
def node(table: Table, alarms: set[str]) -> NodeRegistration:
    return NodeRegistration(
        table,  # type: ignore[arg-type]
        name="north", fingerprint="a" * 64, address="192.0.2.1:7443",
        load=lambda: NodeLoad(is_draining=True, calls=2, capacity=50),
        set_alarm=lambda name, is_on: alarms.add(name) if is_on else alarms.discard(name),
        wall_us=lambda: NOW_US,
    )  # fmt: skip


def test_it_says_its_load_and_when_it_started(table: Table, node: NodeRegistration, alarms: set[str]) -> None:
    node.beat()
    node.beat()
    first, second = table.rows
    assert (first.state, first.calls, first.capacity, first.started_us) == ("draining", 2, 50, None)
    assert second.started_us == NOW_US
    assert (node.as_json()["registered"], alarms) == (True, set())


def test_a_name_that_another_node_has_is_said_once(
    table: Table, node: NodeRegistration, alarms: set[str], caplog: pytest.LogCaptureFixture
) -> None:
    table.answer = lambda: Beat(clock_us=NOW_US, taken_by="b" * 64)
    node.beat()
    node.beat()
    assert alarms == {NAME_TAKEN} and not node.as_json()["registered"]
    assert len([one for one in caplog.messages if "Another node of this site is named north" in one]) == 1
    table.answer = lambda: Beat(clock_us=NOW_US)
    node.beat()
    assert alarms == set() and node.as_json()["registered"]


def test_a_removed_node_says_so(table: Table, node: NodeRegistration, alarms: set[str]) -> None:
    table.answer = lambda: Beat(clock_us=NOW_US, is_removed=True)
    node.beat()
    assert alarms == {REMOVED} and not node.as_json()["registered"]


@pytest.mark.parametrize(("apart_s", "is_apart"), [(1.9, False), (2.5, True), (-2.5, True)])
def test_clocks_that_are_apart_are_an_alarm(
    table: Table, node: NodeRegistration, alarms: set[str], apart_s: float, is_apart: bool
) -> None:
    table.answer = lambda: Beat(clock_us=NOW_US + round(apart_s * 1e6))
    node.beat()
    assert (CLOCK_APART in alarms) is is_apart
    assert node.as_json()["clock_apart_s"] == pytest.approx(apart_s, abs=0.05)


def test_a_database_that_is_away_is_an_alarm_only_after_a_while(
    table: Table, node: NodeRegistration, alarms: set[str]
) -> None:
    def away() -> Beat:
        raise DatabaseError("it is away", is_passing=True)

    table.answer = away
    for _ in range(AWAY_AFTER - 1):
        node.beat()
    assert alarms == set()
    node.beat()
    assert alarms == {REGISTRY_AWAY}
    table.answer = lambda: Beat(clock_us=NOW_US)
    node.beat()
    assert alarms == set()
