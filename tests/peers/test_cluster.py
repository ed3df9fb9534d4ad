"""Two recorders on hosts of their own, with PostgreSQL and an object store, behind Kamailio, under load.

One is killed, also with its disk; both are upgraded.

``CLUSTER_CALLS`` says how many calls there are when a recorder is killed (40 if it is not set). With ``pytest -s`` each
test prints what it measured. They want a machine with CPU to spare: a recorder that gets none for a second and a half
is dead to Kamailio.
"""

import contextlib
import os
import shutil
import signal
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers import Call
from benchmarks.placed import FIRST_EXTENSION, PlacedCalls
from recorder.config.reading import read_config
from tests.helpers.cluster import Cluster, cluster
from tests.helpers.recorder_home import HANGS_S, RecorderHome, eventually
from tests.helpers.sip_process import Peer
from tests.helpers.starvation import Starvation, waited_s

pytestmark = [pytest.mark.peer, pytest.mark.cluster, pytest.mark.long, pytest.mark.timeout(600)]
CALLS = int(os.environ.get("CLUSTER_CALLS", "40"))
LATER, LATER_RATE = 50, 10.0
"""Calls that are placed from the kill on, and how many a second: five seconds of them."""
TALK_S = 12.0
"""How long the calls have lasted when a recorder is killed: more than the look-back."""
LOOK_EVERY_S = 0.2
"""How often to look how long the recorder waits for a CPU."""
MOVES_S = 2.0
"""The target: from then on no new call is offered to a dead recorder; nor does one wait longer for its answer."""
LOST_S = 2.0
"""What a killed recorder may lose of each call besides the look-back (docs/durability.md)."""
LOST_WITH_DISK_S = 7.0
"""What it may lose besides the look-back when its disk is lost too (docs/several-machines.md)."""
LONGER_TALK_S = 22.0
"""How long the calls have lasted then: longer than what may be lost of them."""
KEPT_APART = ("recorder.toml", "keys/node", "keys/epochs", "notices")
"""What there is of a node elsewhere when its disk is lost."""


def tell(sentence: str) -> None:
    """Say what was measured; pytest -s shows it."""
    sys.stdout.write(f"\n{sentence}\n")


def index_of(row: dict[str, Any]) -> int:
    return int(row["extension"]) - FIRST_EXTENSION


@pytest.mark.parametrize("has_disk", [True, False], ids=["its disk is there", "its disk is lost"])
def test_when_a_recorder_is_killed_calls_go_to_the_other_and_its_recordings_are_there(
    tmp_path: Path, has_disk: bool
) -> None:
    with cluster(tmp_path, calls=CALLS + LATER, has_store=True) as site:
        placed, north = site.placed, site.nodes["north"]
        backup = _keys_and_configuration(north.root, tmp_path / "backup")
        placed.place(site.proxy.address, rate=LATER_RATE, upto=CALLS)
        placed.wait_joined(HANGS_S)
        assert _not_joined(placed) == []
        starvation = Starvation()
        for _ in range(round((TALK_S if has_disk else LONGER_TALK_S) / LOOK_EVERY_S)):
            time.sleep(LOOK_EVERY_S)
            starvation.look(north.pid)
        counts = {name: home.health()["calls"] for name, home in site.nodes.items()}
        assert sum(counts.values()) == CALLS
        assert min(counts.values()) > 0
        starvation.look(north.pid)
        before = _waited(site)
        killed_s = north.kill() if has_disk else _burn(north)
        with site.switch["north"].network.watched("eth0", lambda frame: b"INVITE sip:" in frame[28:90]) as offered:
            placed.place(site.proxy.address, rate=LATER_RATE)
            placed.wait_joined(HANGS_S)
        assert _not_joined(placed) == [], "every new call is connected"
        waits = [placed.answered_at_s[index] - placed.placed_at_s[index] for index in range(CALLS, CALLS + LATER)]
        last_s = max(offered, default=killed_s) - killed_s
        late_s = max(waited - before.get(thread, 0.0) for thread, waited in _waited(site).items())
        tell(
            f"{CALLS} calls, {counts}; last INVITE to the dead recorder after {last_s:.2f} s; new calls waited for an"
            f" answer {statistics.median(waits):.3f} s, at most {max(waits):.2f} s; a thread waited {late_s:.2f} s"
        )
        assert last_s <= MOVES_S + late_s
        assert max(waits) <= MOVES_S + late_s
        assert site.proxy.listed() == [], "none went round"
        assert site.nodes["south"].health()["calls"] == counts["south"] + LATER, "none of the other's calls was cut"

        if not has_disk:
            _set_up_again(site, north, backup, counts["north"])
        north.start()
        site.wait_welcoming("north", "south")
        rows = {index_of(row): row for row in site.rows()}
        lost = _lost_of(site, rows, killed_s)
        starved_s = starvation.since(killed_s - max(lost))
        tell(
            f"{len(lost)} recordings of the dead recorder are there; each lacks at most {max(lost):.2f} s (median"
            f" {statistics.median(lost):.2f} s), look-back included; in its last seconds the recorder had waited for a"
            f" CPU {starved_s:.2f} s"
        )
        assert len(lost) == counts["north"], "each recording is there"
        most_s = LOST_S if has_disk else LOST_WITH_DISK_S
        assert max(lost) <= read_config(north.config).pause.look_back_s + most_s + starved_s
        began_s = time.monotonic()
        eventually(
            lambda: north.health()["objects"]["uploaded"] >= counts["north"], "each is in the object store",
            timeout_s=HANGS_S,
        )  # fmt: skip
        tell(f"each was stored in the object store {time.monotonic() - began_s:.1f} s later")
        _verify(site, [rows[index]["id"] for index in rows if rows[index]["reason"] == "daemon_stopped"])


def _keys_and_configuration(root: Path, backup: Path) -> Path:
    """Copy what docs/several-machines.md has one set a node up again with; returns where."""
    for name in KEPT_APART:
        (backup / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (root / name).is_dir() else shutil.copy2
        copy(root / name, backup / name)
    return backup


def _burn(home: RecorderHome) -> float:
    """End all processes of a recorder at once and delete its disk; returns the moment (monotonic)."""
    threads = Path(f"/proc/{home.pid}/task").iterdir()
    children = [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    moment = home.kill()
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    shutil.rmtree(home.root)
    return moment


def _set_up_again(site: Cluster, home: RecorderHome, backup: Path, count: int) -> None:
    """Do as docs/several-machines.md says after a disk was lost, before the recorder starts."""
    shutil.copytree(backup, home.root)
    began_s = time.monotonic()
    with site.switch["north"].inside():
        assert len(home.json("objects", "restore", "--dry-run")["restored"]) == count
        restored = home.json("objects", "restore")
        assert (len(restored["restored"]), restored["problems"]) == (count, {})
        assert len(home.json("recover")) == count
    tell(f"{count} recordings were made again from their parts in {time.monotonic() - began_s:.1f} s")


def _verify(site: Cluster, recordings: list[str]) -> None:
    """Have the recorder verify what it recovered."""
    home = site.nodes["north"]
    with site.switch["north"].inside():
        found = {one["id"]: one["problem"] for one in home.json("verify", "--all")}
    assert {one: found[one] for one in recordings} == dict.fromkeys(recordings)


def _not_joined(placed: PlacedCalls) -> list[str]:
    """Return what became of the calls that were not connected."""
    return [f"{index}: {_seen(call)}" for index, call in enumerate(placed.placed) if index not in placed.joined_at_s]


def _seen(call: Call) -> str:
    """Return what a side saw of a call."""
    got = [one.status or one.method for one in call.received]
    return f"{call.state.value} {call.status} {call.ended_by}, got {got}"


def _waited(site: Cluster) -> dict[int, float]:
    """Return how long each thread of Kamailio, of the other recorder and of the tests has waited for a CPU, seconds."""
    processes = [*site.proxy.processes, site.nodes["south"].pid, os.getpid()]
    return {thread: waited for pid in processes for thread, waited in waited_s(pid).items()}


def _lost_of(site: Cluster, rows: dict[int, dict[str, Any]], killed_s: float) -> list[float]:
    """Return what each recording that the killed recorder left open lacks, seconds."""
    recovered = [index for index, row in rows.items() if row["reason"] == "daemon_stopped"]
    assert all(rows[index]["outcome"] == "partial" for index in recovered)
    return [killed_s - site.placed.joined_at_s[index] - rows[index]["recorded_s"] for index in recovered]


def test_a_recorder_that_kamailio_does_not_reach_keeps_its_calls_and_gets_no_new_ones(tmp_path: Path) -> None:
    standing, later = 8, 12
    with cluster(tmp_path, calls=standing + later) as site:
        placed, north, south = site.placed, site.nodes["north"], site.nodes["south"]
        placed.place(site.proxy.address, rate=LATER_RATE, upto=standing)
        placed.wait_joined(HANGS_S)
        assert _not_joined(placed) == []
        of_north = north.health()["calls"]
        assert 0 < of_north < standing
        site.switch.partition("north", "kamailio")
        placed.place(site.proxy.address, rate=4.0)
        placed.wait_joined(HANGS_S)
        assert _not_joined(placed) == []
        assert site.welcoming == {"south"}
        assert (north.health()["calls"], south.health()["calls"]) == (of_north, standing - of_north + later)
        site.switch.heal("north", "kamailio")
        site.wait_welcoming("north", "south")
        placed.cease()
        assert placed.hang_up(HANGS_S) == 0
        eventually(lambda: len(site.rows()) == standing + later, "all calls are filed")
        assert {row["outcome"] for row in site.rows()} == {"recorded"}
        assert site.proxy.listed() == [], "none went round"


# --- rolling upgrade

STATES = ("recording", "paused", "opted_out", "resumed")
"""States that the calls of a recorder are put into, in turn, before its drain."""
UPGRADED = 240
RATE = 3.0
"""Calls a second at first. As many as there are would be placed in minutes: the load lasts on a slow machine too."""
LASTS_S = 4.0
"""How long each call lasts from its officer's answer on."""


def test_a_rolling_restart_of_both_under_load_fails_and_cuts_no_call(tmp_path: Path) -> None:
    with cluster(tmp_path, calls=UPGRADED, talk_s=LASTS_S) as site:
        placed, is_upgraded = site.placed, threading.Event()

        def place() -> None:
            while not is_upgraded.is_set() and len(placed.placed) < UPGRADED - 1:
                placed.place(site.proxy.address, rate=RATE, upto=len(placed.placed) + 1)
                time.sleep(UPGRADED / (UPGRADED - len(placed.placed)) / RATE)  # slower, as fewer are left: see `RATE`

        load = threading.Thread(target=place)
        load.start()
        try:
            time.sleep(3.0)
            for name in site.nodes:
                _upgrade(site, name)
            time.sleep(3.0)
        finally:
            is_upgraded.set()
            load.join()
        count = len(placed.placed)
        assert count < UPGRADED, "the load lasted until both were upgraded"
        placed.wait_ended(HANGS_S)
        assert _not_joined(placed) == []
        assert [_seen(call) for call in placed.placed if (call.status, call.ended_by) != (200, "them")] == []
        eventually(lambda: len(site.rows()) >= count, "all calls are filed")
        rows = site.rows()
        assert {(row["outcome"], row["reason"]) for row in rows} == {("recorded", "officer_hung_up")}
        assert len(rows) == count
        assert site.proxy.listed() == [], "none went round"
        shares = [sum(row["id"] in home.said for row in rows) for home in site.nodes.values()]
        tell(f"{count} calls during the upgrade of both recorders, {shares} at north and south; 0 failed or cut")
        assert min(shares) > 0


def test_calls_in_every_state_go_on_while_their_recorder_drains(tmp_path: Path) -> None:
    with cluster(tmp_path, calls=CALLS) as site:
        placed, north, south = site.placed, site.nodes["north"], site.nodes["south"]
        placed.place(site.proxy.address, rate=LATER_RATE)
        placed.wait_joined(HANGS_S)
        assert _not_joined(placed) == []
        time.sleep(TALK_S)
        extensions = {one["id"]: next(iter(one["extensions_now"])) for one in north.calls()}
        states = {call: STATES[index % len(STATES)] for index, call in enumerate(sorted(extensions))}
        for call, state in states.items():
            _set_state(north, call, state)
        began_s = time.monotonic()
        assert north.act("/api/drain").status_code == 200
        site.wait_welcoming("south")
        late = next(call for call, state in states.items() if state == "recording")
        _set_state(north, late, "paused")
        states[late] = "paused"
        time.sleep(TALK_S)
        assert {one["id"]: one["state"] for one in north.calls()} == {
            call: "recording" if state == "resumed" else state for call, state in states.items()
        }, "no call was ended, and none is recorded that was not before"
        for extension in extensions.values():
            placed.placed[int(extension) - FIRST_EXTENSION].hang_up()
        _upgrade(site, "north")
        tell(f"{len(states)} calls of a recorder that was upgraded, {time.monotonic() - began_s:.0f} s after its drain")
        assert placed.standing() == CALLS - len(states) == south.health()["calls"], "the other's calls go on"
        _check_states({row["id"]: row for row in site.rows()}, states)
        _verify(site, list(states))


def _set_state(home: RecorderHome, call: str, state: str) -> None:
    """Pause a call, opt it out, or pause and resume it."""
    if state == "opted_out":
        home.act(f"/api/calls/{call}/opt-out", by="mary", reason="a distressed caller").raise_for_status()
    elif state in ("paused", "resumed"):
        home.act(f"/api/calls/{call}/pause").raise_for_status()
    if state == "resumed":
        home.act(f"/api/calls/{call}/resume").raise_for_status()


def _check_states(rows: dict[str, dict[str, Any]], states: dict[str, str]) -> None:
    """Check that the recording of each call has what its state says, to the end of the call."""
    for call, state in states.items():
        row = rows[call]
        kinds = [segment["kind"] for segment in row["segments"]]
        expected = {
            "recording": ["recording"],
            "paused": ["recording", "paused"],
            "opted_out": ["recording", "opted_out"],
            "resumed": ["recording", "paused", "recording"],
        }[state]
        assert kinds == expected, (state, row)
        assert row["opted_out"] is (state == "opted_out")


def _upgrade(site: Cluster, name: str) -> None:
    """Do as docs/several-machines.md says: drain, stop, start, and wait until Kamailio gives it calls again."""
    home = site.nodes[name]
    home.recorder("drain", "-C", str(home.root))
    other = next(one for one in site.nodes if one != name)
    site.wait_welcoming(other)
    assert home.health()["calls"] == 0
    assert home.stop() == 0
    home.start()
    with site.switch["kamailio"].inside(), Peer(home.sip, host=site.proxy.address[0]) as dispatcher:
        dispatcher.request("OPTIONS")
        assert dispatcher.receive().status == 200
    site.wait_welcoming(*site.nodes)
