"""Two recorders with PostgreSQL and an object store that go away under load: no call ends, no recording is lost.

``DATABASE_AWAY_S`` and ``OBJECTS_AWAY_S`` say for how long each is away (10 s if not set). With ``pytest -s`` the test
prints its figures.
"""

import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.placed import PlacedCalls, extensions
from benchmarks.postgres import PostgresServer
from storage.keys import NodeKeys
from tests.helpers.radosgw import Gateway, radosgw
from tests.helpers.recorder_home import HANGS_S, RecorderHome, eventually, recorder_home
from tests.helpers.sip_peer import State

pytestmark = [pytest.mark.peer, pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(1200)]
DATABASE_AWAY_S, OBJECTS_AWAY_S = (float(os.environ.get(name, "10")) for name in ("DATABASE_AWAY_S", "OBJECTS_AWAY_S"))
STANDING, LATER = int(os.environ.get("CLUSTER_CALLS", "20")) // 2, 10
"""Calls of each node that stand when something goes away, and that are placed meanwhile in both outages."""
_TALK_S = 2.0
CAUGHT_UP_S = 60.0
RATE = 10.0


@dataclass
class Node:
    """A recorder and its calls."""

    home: RecorderHome
    placed: PlacedCalls

    def place(self, upto: int) -> None:
        """Place calls until there are so many, and wait until each is connected."""
        self.placed.place(self.home.sip, rate=RATE, upto=upto)
        eventually(lambda: len(self.placed.joined_at_s) == upto, "each call is connected", timeout_s=HANGS_S)

    def end(self, first: int, last: int) -> None:
        """Have callers hang up, once each call has lasted a moment."""
        time.sleep(_TALK_S)
        for call in self.placed.placed[first:last]:
            call.hang_up()
            call.wait_ended(HANGS_S)
            assert call.ended_by == "us"

    def pause(self) -> float:
        """Have an officer pause; return how long the answer took."""
        began = time.monotonic()
        extension = self.home.live.get("/api/calls", headers={}).json()["calls"][0]["extension"]
        answer = self.home.act(f"/api/extensions/{extension}/pause")
        assert answer.status_code == 200, answer.text
        assert answer.json()["calls"][0]["state"] == "paused"
        return time.monotonic() - began


@dataclass
class Site:
    """Both nodes, and what they share."""

    nodes: list[Node]
    server: PostgresServer
    store: Path

    @property
    def filed(self) -> int:
        """How many recordings the common index has."""
        return len(self.nodes[0].home.rows())

    @property
    def stored(self) -> int:
        """How many recordings were stored in the object store, as both nodes say."""
        return sum(node.home.health()["objects"]["uploaded"] for node in self.nodes)


def give_own_keys(root: Path) -> None:
    """Give a home keys of its own: homes of tests are copies of one."""
    shutil.rmtree(root / "keys" / "node")
    NodeKeys.create(root)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Site, Gateway, ExitStack]]:
    count = STANDING + 2 * LATER
    with ExitStack() as stack:
        server = PostgresServer()
        stack.callback(server.close)
        running = stack.enter_context(ExitStack())
        gateway = running.enter_context(radosgw(tmp_path / "store"))
        bucket, account = f"s3://{gateway.bucket}/site", gateway.account(tmp_path / "account.toml")
        edits = (
            ('index_url = "off"', f'index_url = "{server.new_database()}"'),
                ('url = "off"                     # "s3://BUCKET', f'url = "{bucket}"  # "s3://BUCKET'),
            ('s3_file = "off"                 # for s3://B', f's3_file = "{account}"  # for s3://B'),
        )  # fmt: skip
        nodes = []
        for name in ("north", "south"):
            placed = stack.enter_context(PlacedCalls(count))
            host, port = placed.officer.address
            home = stack.enter_context(
                recorder_home(
                    tmp_path / name, is_started=False, next_hop=f"{host}:{port}", extensions=tuple(extensions(count)),
                    ports=4 * count + 100, edits=edits,
                )
            )  # fmt: skip
            give_own_keys(home.root)
            home.start()
            nodes.append(Node(home, placed))
        yield Site(nodes, server, tmp_path / "store"), gateway, running


def test_database_and_object_store_go_away_under_load(site: tuple[Site, Gateway, ExitStack]) -> None:
    made, gateway, running = site
    for node in made.nodes:
        node.place(STANDING)

    made.server.stop()
    began = time.monotonic()
    for node in made.nodes:
        node.place(STANDING + LATER)
    pauses = [node.pause() for node in made.nodes]
    for node in made.nodes:
        node.end(STANDING, STANDING + LATER)
    time.sleep(max(0.0, began + DATABASE_AWAY_S - time.monotonic()))
    made.server.start()
    returned = time.monotonic()
    eventually(lambda: made.filed == 2 * LATER, "every ended call is in the index", timeout_s=CAUGHT_UP_S)
    filed_s = time.monotonic() - returned
    eventually(lambda: made.stored == 2 * LATER, "each is in the object store", timeout_s=CAUGHT_UP_S)

    running.close()
    began = time.monotonic()
    for node in made.nodes:
        node.place(STANDING + 2 * LATER)
    pauses += [node.pause() for node in made.nodes]
    for node in made.nodes:
        node.end(STANDING + LATER, STANDING + 2 * LATER)
    eventually(lambda: made.filed == 4 * LATER, "calls are filed meanwhile")
    time.sleep(max(0.0, began + OBJECTS_AWAY_S - time.monotonic()))
    with radosgw(made.store, port_of=gateway):
        returned = time.monotonic()
        eventually(lambda: made.stored == 4 * LATER, "all are in the object store", timeout_s=CAUGHT_UP_S)
        stored_s = time.monotonic() - returned
    for node in made.nodes:
        assert all(call.state is State.CONFIRMED for call in node.placed.placed[:STANDING]), "no call ended"
        node.end(0, STANDING)
    eventually(lambda: made.filed == 2 * (STANDING + 2 * LATER), "every call is in the index")
    rows = made.nodes[0].home.rows()
    outcomes = Counter((row["outcome"], row["reason"]) for row in rows)
    assert set(outcomes) == {("recorded", "caller_hung_up"), ("partial", "ended_while_paused")}
    assert outcomes["partial", "ended_while_paused"] <= len(pauses)
    assert not any(part["kind"] == "lost" for row in rows for part in row["segments"])
    sys.stdout.write(
        f"\n{2 * STANDING} calls stood while PostgreSQL was away for {DATABASE_AWAY_S:g} s and then the object store"
        f" for {OBJECTS_AWAY_S:g} s;"
        f" {4 * LATER} more came; 0 dropped, 0 lost. Caught up {filed_s:.1f} s and {stored_s:.1f} s after the return;"
        f" pauses were answered in at most {1000 * max(pauses):.0f} ms\n"
    )
