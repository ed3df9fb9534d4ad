"""The daemon of a node that joined by command, with PostgreSQL: what reaches it, and what does not any more."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from benchmarks.postgres import PostgresServer
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.permissions import Role
from recorder.site_keys.joining import console_lines
from storage.audit import AuditLog
from storage.database import Database
from storage.epochs import current_public
from storage.key_list_rows import StoredList, newest_list, replace_list
from tests.helpers.recorder_home import RecorderHome, eventually, must, run
from tests.helpers.starvation import waited_s

REACHES_S = 15.0
"""Promised in docs/several-machines.md."""


def with_node(configuration: str, lines: str) -> str:
    """Replace the section ``[node]`` of a configuration."""
    before, section, after = re.split(r"(?s)(\[node\].*?)(?=\[voicemail\])", configuration)
    assert 'name = "off"' in section
    return f"{before}{lines}\n{after}"


@pytest.fixture
def node(tmp_path: Path, postgres: PostgresServer) -> Iterator[tuple[RecorderHome, RecorderHome, Database]]:
    """The console host's home, a running node that has joined, and their database."""
    url = postgres.new_database()
    index = ('index_url = "off"', f'index_url = "{url}"')
    console = RecorderHome(tmp_path / "hall", next_hop="127.0.0.1:5070", edits=[index])
    console.add_person("ian", Role.ICT)
    north = RecorderHome(tmp_path / "north", next_hop="127.0.0.1:5070", edits=[index])
    configuration = north.config.read_text()
    shutil.rmtree(north.root)
    address = ("--address", f"127.0.0.1:{free_port()}")
    made = json.loads(must("node", "request", "--name", "north", *address, "-C", str(north.root), "--json"))
    (tmp_path / "request").write_text(made["file"])
    ian = ("--as", "ian", "--password-file", str(console.password_file), "-C", str(console.root))
    told = json.loads(
        must("node", "add", str(tmp_path / "request"), "--fingerprint", made["fingerprint"], "--json", *ian)
    )
    (tmp_path / "welcome").write_text(told["file"])
    welcome = ("node", "join", str(tmp_path / "welcome"), "--fingerprint", told["fingerprint"])
    joined = json.loads(must(*welcome, "-C", str(north.root), "--json"))
    north.config.write_text(with_node(configuration, joined["configuration"]))
    north.config.chmod(0o600)
    console.config.write_text(with_node(console.config.read_text(), console_lines(Home(console.root))))
    database = Database(url)
    north.start()
    try:
        yield console, north, database
    finally:
        north.close()
        console.close()
        database.close()


def waits(node: RecorderHome, probe: Callable[[], bool], what: str) -> None:
    """Wait for what must come within the promised time; seconds in which the node had no CPU do not count."""
    eventually(probe, what, timeout_s=REACHES_S, besides=lambda: waited_s(node.pid).get(node.pid, 0.0))


@pytest.mark.long
def test_a_running_node_follows_the_key_holder_and_no_forger_until_it_is_removed(
    node: tuple[RecorderHome, RecorderHome, Database],
) -> None:
    console, north, database = node
    epochs = north.root / "keys" / "epochs"
    assert "epoch_missing" not in north.health()["alarms"]
    ian = ("--as", "ian", "--password-file", str(console.password_file), "-C", str(console.root))
    must("keys", "rotate", *ian)
    waits(north, lambda: current_public(epochs, utc_now()).name.endswith(".2"), "the node seals to the new key")
    good = newest_list(database)
    assert good is not None
    replace_list(
        database, StoredList(number=good.number, text=good.text.replace("north", "south"), signature="00" * 64)
    )
    waits(north, lambda: "key_list_refused" in north.health()["alarms"], "the alarm")
    entries = AuditLog(north.root / "audit").entries()
    assert [entry.details["why"] for entry in entries if entry.act == "key_list.refused"] == [
        "its signature is wrong: the key holder did not publish it like this"
    ]
    replace_list(database, good)
    waits(north, lambda: "key_list_refused" not in north.health()["alarms"], "the alarm ends")
    checked = run("site-check", "-C", str(north.root), "--json")
    found = {one["what"]: one["level"] for one in json.loads(checked.stdout)}
    assert (found["keys of the site"], found["certificate of this node"]) == ("ok", "ok")
    assert "people" not in found
    reached = run("health", "-C", str(console.root), "--json")
    assert list(json.loads(reached.stdout)["nodes"]) == ["north"]
    signing = console.root / "keys" / "actor" / "actor.pub"
    before = signing.read_bytes()
    for _ in range(2):  # with the key that the node got when it joined, and with the one that takes its place
        assert json.loads(must("calls", *ian, "--json")) == []
        must("keys", "rotate-signing", *ian)
    assert signing.read_bytes() != before
    must("node", "remove", "north", *ian)
    refused = run("health", "-C", str(console.root), "--json")
    assert (refused.returncode, "No node of this site is known" in refused.stderr) == (1, True)
    assert (north.stop(), "Traceback" in north.said) == (0, False)
