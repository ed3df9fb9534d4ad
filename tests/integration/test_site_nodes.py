"""Two recorders of one site, over the wire: lists, acts, events, a cut wire, and what strangers may do."""

import asyncio
import contextlib
import json
import os
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from benchmarks.postgres import PostgresServer
from recorder.access.signing import Audience, Said, Signer
from recorder.common.home import Home
from recorder.common.system_user import os_user
from recorder.config.reading import read_config
from recorder.control.connections import BrokenOffError, exchange, plain_request
from recorder.control.errors import DaemonRefusedError, DaemonUnavailableError
from recorder.control.headers import ACTOR_HEADER, SIGNATURE_HEADER
from recorder.control.site_calls import SiteCalls
from recorder.control.site_events import SiteEvents, StreamTimes
from recorder.control.site_members import SiteMembers
from recorder.permissions import LocalUser, Person, Role
from recorder.rules.call_target import CallTarget, ExtensionTarget
from recorder.site_keys.places import revocation_list
from recorder.web.app import create_app
from recorder.web.server import server_config
from recorder.web.wiring import open_console
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from storage.database import Database
from storage.tables import nodes as table
from tests.helpers.accounts import CHEAP
from tests.helpers.certificates import Authority
from tests.helpers.console_site import Browser, serving, url_of
from tests.helpers.exchange import Talk
from tests.helpers.recorder_home import ADMIN, HANGS_S, PASSWORD, eventually
from tests.helpers.site_nodes import NORTH, SOUTH, TwoNodes, two_nodes
from tests.helpers.starvation import stopwatch

MANAGER = Person(
    name="dora", display_name="Dora", roles=frozenset({Role.MANAGER}), teams=("", "Revenues"), extension=None
)
DPO = Person(name="dpo", display_name="Dee", roles=frozenset({Role.DPO}))
PROMISED_S = 2.0
"""How soon pages promise "not confirmed"."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[TwoNodes]:
    with two_nodes(tmp_path_factory.mktemp("site"), postgres.new_database()) as made:
        yield made


@pytest.fixture
def members(site: TwoNodes) -> Iterator[SiteMembers]:
    with site.members() as found:
        yield found


@pytest.fixture
def live(members: SiteMembers) -> SiteCalls:
    return SiteCalls(members)


@pytest.fixture
def talks(site: TwoNodes) -> Iterator[tuple[Talk, Talk]]:
    """A call of extension 2001 at each node."""
    both = site.north.call(), site.south.call()
    for talk in both:
        talk.join()
    yield both
    for talk in both:
        with contextlib.suppress(AssertionError):
            talk.hang_up()


def states(live: SiteCalls) -> dict[str, str]:
    return {row["node"]: row["state"] for row in live.calls(actor="dora")}


def test_a_call_is_listed_and_paused_wherever_it_is(site: TwoNodes, live: SiteCalls, talks: tuple[Talk, Talk]) -> None:
    found = {row["node"]: row for row in live.calls(actor="dora")}
    assert {node: row["caller"] for node, row in found.items()} == {NORTH: talks[0].number, SOUTH: talks[1].number}

    there = found[SOUTH]["id"]
    answer = live.pause(CallTarget(there), actor=DPO, reason="wrong person")
    assert (answer["call"], answer["state"]) == (there, "paused")
    assert [(one["node"], one["state"]) for one in answer["also"]] == [(NORTH, "paused")], "of the same extension"
    assert site.south.home.calls()[0]["state"] == "paused"
    (entry,) = [one for one in audit_of(site) if one.act == "call.pause"]
    assert (entry.actor, entry.subject, entry.details["os_user"]) == ("dpo", there, "console@hq")

    assert live.resume(CallTarget(there), actor=DPO)["state"] == "recording"
    assert states(live) == {NORTH: "paused", SOUTH: "recording"}, "a resume is of one call"
    assert [one["node"] for one in live.resume(ExtensionTarget("2001"), actor=DPO)["calls"]] == [NORTH]

    row = talks[1].hang_up()
    assert row["node"] == SOUTH
    with pytest.raises(DaemonRefusedError, match="is in progress") as error:
        live.pause(CallTarget(there), actor=DPO)
    assert error.value.status == 404
    with pytest.raises(DaemonRefusedError, match="of extension 3001 is in progress"):
        live.pause(ExtensionTarget("3001"), actor=DPO)


def audit_of(site: TwoNodes) -> list[AuditEntry]:
    return list(AuditLog(site.south.home.root / "audit").entries())


def test_a_cut_wire_is_answered_not_confirmed_in_time(
    site: TwoNodes, live: SiteCalls, members: SiteMembers, talks: tuple[Talk, Talk]
) -> None:
    calls = {row["node"]: row["id"] for row in live.calls(actor="dora")}
    site.wire.is_cut = True
    try:
        for target in (CallTarget(calls[SOUTH]), ExtensionTarget("2001")):
            took_s = stopwatch(os.getpid(), site.north.home.pid)
            with pytest.raises((DaemonUnavailableError, DaemonRefusedError), match="south"):
                live.pause(target, actor=DPO)
            assert took_s() < PROMISED_S
        assert states(live) == {NORTH: "paused", SOUTH: "not_confirmed"}
        assert site.south.home.calls()[0]["state"] == "recording", "what was not confirmed was not done"
        (silent,) = [node for node in live.nodes() if node["silent_since"]]
        assert silent["node"] == SOUTH and silent["may_have_calls"]
        answer = live.resume(CallTarget(calls[NORTH]), actor=DPO)
        assert answer["state"] == "recording", "others go on"
    finally:
        site.wire.is_cut = False

    def answers() -> bool:
        members.all()[1].submit_warm()
        return states(live)[SOUTH] == "recording"

    eventually(answers, "it answers again")


@pytest.mark.long
def test_events_of_both_are_one_stream(site: TwoNodes, members: SiteMembers, talks: tuple[Talk, Talk]) -> None:
    heard: list[dict[str, Any]] = []

    async def listen() -> None:
        times = StreamTimes(connect_s=1.5, silence_s=1.5, beat_s=0.5)
        stream = SiteEvents(lambda: [(one.name, one.link) for one in members.all()], actor="dora", times=times)
        async with asyncio.timeout(30):
            async for chunk in stream.stream():
                heard.extend(json.loads(line[5:]) for line in chunk.splitlines() if line.startswith(b"data:"))
                if await has_all():
                    return

    async def has_all() -> bool:
        up = {one["node"] for one in heard if one.get("state") == "answers"}
        paused = {one["node"] for one in heard if one.get("state") == "paused"}
        if up == {NORTH, SOUTH} and not paused and not asked:
            asked.append(True)
            await asyncio.to_thread(SiteCalls(members).pause, ExtensionTarget("2001"), actor=DPO)
        if paused == {NORTH, SOUTH}:
            site.wire.is_cut = True
        return any(one.get("state") == "silent" and one["node"] == SOUTH for one in heard)

    asked: list[bool] = []
    try:
        asyncio.run(listen())
    finally:
        site.wire.is_cut = False


def test_commands_reach_both_nodes(site: TwoNodes, talks: tuple[Talk, Talk]) -> None:
    home = site.north.home
    listed = home.json("node", "list")
    assert [(one["name"], one["state"], one["calls"]) for one in listed] == [
        (NORTH, "accepting", 1),
        (SOUTH, "accepting", 1),
    ] or eventually(lambda: [one["calls"] for one in home.json("node", "list")] == [1, 1], "the heartbeat counts calls")
    assert all(0 <= one["seen_ago_s"] < 6 and one["capacity"] == 1000 for one in listed)
    assert {row["node"] for row in home.json("calls", *home.as_admin())} == {NORTH, SOUTH}
    paused = home.json("pause", "--extension", "2001")
    assert {(one["node"], one["state"]) for one in paused} == {(NORTH, "paused"), (SOUTH, "paused")}
    assert f"os:{os_user()}@hq" in [entry.actor for entry in audit_of(site) if entry.act == "call.pause"]

    said = home.run("drain", "--node", SOUTH, "--for", "0", "-C", str(home.root))
    assert said.returncode == 1 and "1 call left" in said.stderr
    assert site.south.home.health()["drain"]["state"] == "draining"
    assert home.run("drain", "--stop", "--node", SOUTH, "-C", str(home.root)).returncode == 2
    assert "takes new calls again" in home.run("drain", "--cancel", "--node", SOUTH, "-C", str(home.root)).stderr
    assert "known are north, south" in home.run("drain", "--node", "west", "-C", str(home.root)).stderr


@pytest.mark.long
def test_the_console_shows_both_nodes_and_who_does_not_answer(site: TwoNodes, talks: tuple[Talk, Talk]) -> None:
    home = Home(site.north.home.root)
    with open_console(home, read_config(home.config), hasher=CHEAP) as deps:
        app = create_app(deps)
        with serving(server_config(app, host="127.0.0.1", port=0)) as server, Browser(url_of(server)) as browser:
            assert browser.sign_in(ADMIN, PASSWORD).status_code == 303
            page = browser.get("/live").text
            assert all(talk.number[1:] in page for talk in talks) and ", south</span>" in page
            call = site.south.home.calls()[0]["id"]
            answer = browser.submit(f"/live/{call}/pause").text
            assert "The recording is now paused." in answer and "no answer" not in answer
            assert site.south.home.calls()[0]["state"] == "paused"

            site.wire.is_cut = True
            try:
                silent = eventually(
                    lambda: said if "south: no answer since" in (said := browser.get("/live").text) else "",
                    "the page says so",
                )  # fmt: skip
                assert "Not confirmed" in silent and "state of its calls is not known" in silent
                took_s = stopwatch(os.getpid(), site.north.home.pid)
                answer = browser.submit(f"/live/{call}/resume").text
                assert "<strong>Not confirmed.</strong> Node south" in answer
                assert took_s() < 2 * PROMISED_S, "the act, and then the page"
                assert "Node does not answer (south)" in browser.get("/health").text
            finally:
                site.wire.is_cut = False
        app.state.parts.gate.close()


# What strangers, and thieves, may do


def contexts(site: TwoNodes, files: tuple[str, str] | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(site.authority.ca))
    context.check_hostname = False
    if files is not None:
        context.load_cert_chain(*files)
    return context


def asked(site: TwoNodes, files: tuple[str, str], request: bytes) -> tuple[int, dict[str, Any]]:
    """Send bytes to south's control API as the owner of a certificate; returns status and document."""
    with (
        socket.create_connection(("127.0.0.1", site.control), HANGS_S) as plain,
        contexts(site, files).wrap_socket(plain) as secure,
    ):
        answer, _ = exchange(secure, request, time.monotonic() + HANGS_S)
    return answer.status, json.loads(answer.content)


@pytest.fixture(scope="module")
def console(site: TwoNodes) -> tuple[str, str]:
    return site.authority.issue("another-console", dns=("hq",), common_name="hq", unit="console")


def signed(site: TwoNodes, console: tuple[str, str], path: str, *, node: str = SOUTH, body: bytes = b"{}") -> bytes:
    """Return a request of the data protection officer, signed for a node."""
    _, told = asked(site, console, plain_request("GET", "/api/node", {}, b""))
    signer = Signer(site.north.home.root)
    audience = Audience(node=node, run=told["run"], ahead_ms=told["now_ms"] - signer.now_ms)
    header = signer.sign(Said(method="POST", target=path, actor="dpo", content=body), audience)
    fields = {ACTOR_HEADER: "dpo", SIGNATURE_HEADER: header, "Content-Type": "application/json"}
    return plain_request("POST", path, fields, body)


def test_without_a_certificate_of_the_site_nobody_is_let_in(site: TwoNodes, tmp_path: Path) -> None:
    strangers = Authority(tmp_path, "Other").issue("hq", dns=("hq",), unit="console")
    for files in (None, strangers):
        with (
            socket.create_connection(("127.0.0.1", site.control), HANGS_S) as plain,
            pytest.raises((ssl.SSLError, ConnectionError)),
            contexts(site, files).wrap_socket(plain) as secure,
        ):
            secure.sendall(plain_request("GET", "/api/node", {}, b""))
            if not secure.recv(1):
                raise ConnectionError("it was closed")


def test_a_node_cannot_act_at_another_node(site: TwoNodes) -> None:
    node = site.authority.issue("thief", dns=("thief",), unit="node")
    status, said = asked(site, node, plain_request("GET", "/api/calls", {}, b""))
    assert (status, said["detail"]) == (403, "Only a console of this site may ask here: its certificate must say so.")
    named_like_one = site.authority.issue("odd", dns=("other",), common_name="hq", unit="console")
    assert asked(site, named_like_one, plain_request("GET", "/api/calls", {}, b""))[0] == 403


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda s, c: plain_request("POST", "/api/extensions/2001/pause", {}, b"{}"), "is not signed"),
        (lambda s, c: signed(s, c, "/api/extensions/2001/pause", node=NORTH), "is not valid"),
        (lambda s, c: signed(s, c, "/api/reload"), "users of the node itself"),
        (lambda s, c: signed(s, c, "/api/drain", body=b'{"stop": true}'), "stopped on its own machine"),
        (lambda s, c: signed(s, c, "/api/drain"), "a user of the console's machine"),
        (lambda s, c: plain_request("GET", "/openapi.json", {}, b""), "users of the node itself"),
    ],
    ids=["unsigned", "for another node", "reload", "stop", "drain by a person", "description"],
)
def test_a_console_cannot_do_everything(
    site: TwoNodes,
    console: tuple[str, str],
    make: Callable[[TwoNodes, tuple[str, str]], bytes],
    sentence: str,
) -> None:
    status, said = asked(site, console, make(site, console))
    assert status == 403 and sentence in said["detail"]


def test_a_request_that_was_captured_works_once(site: TwoNodes, console: tuple[str, str]) -> None:
    request = signed(site, console, "/api/extensions/2001/pause")
    assert asked(site, console, request)[0] == 404, "it was let in; there is no call"
    status, said = asked(site, console, request)
    assert status == 403 and "used before" in said["detail"]


def test_the_socket_does_not_take_a_signature_for_the_network(site: TwoNodes, console: tuple[str, str]) -> None:
    head, _, _ = signed(site, console, "/api/extensions/2001/pause").partition(b"\r\n\r\n")
    header = next(line for line in head.decode().split("\r\n") if line.startswith(SIGNATURE_HEADER)).split(": ")[1]
    fields = {ACTOR_HEADER: "dpo", SIGNATURE_HEADER: header}
    answer = site.south.home.live.post("/api/extensions/2001/pause", json={}, headers=fields)
    assert answer.status_code == 403


def test_a_handshake_that_does_not_end_is_ended(site: TwoNodes) -> None:
    with socket.create_connection(("127.0.0.1", site.control), HANGS_S) as plain:
        took_s = stopwatch(os.getpid(), site.south.home.pid)
        assert plain.recv(1) == b""
        assert took_s() < 8


@pytest.mark.long
def test_an_unnamed_user_sees_no_numbers(live: SiteCalls, talks: tuple[Talk, Talk]) -> None:
    for row in live.calls():
        assert "caller" not in row and row["extension"] == "2001"
    assert live.pause(ExtensionTarget("2001"), actor=LocalUser(name="root"))["calls"]


def test_a_certificate_that_is_revoked_is_refused_on_open_connections_too(
    site: TwoNodes, console: tuple[str, str]
) -> None:
    stolen = site.authority.issue("stolen", dns=("old",), common_name="old", unit="console")
    path = revocation_list(Home(site.south.home.root))
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        socket.create_connection(("127.0.0.1", site.control), HANGS_S) as plain,
        contexts(site, stolen).wrap_socket(plain) as secure,
    ):
        request = plain_request("GET", "/api/node", {}, b"")
        assert exchange(secure, request, time.monotonic() + HANGS_S)[0].status == 200
        path.write_bytes(site.authority.revoke(stolen[0]))
        took_s = stopwatch(os.getpid(), site.south.home.pid)
        try:
            assert secure.recv(1) == b"", "the connection is closed"
            assert took_s() < 10
            with pytest.raises((OSError, BrokenOffError)):
                asked(site, stolen, request)
            assert asked(site, console, request)[0] == 200
        finally:
            path.unlink()


@pytest.mark.long
def test_a_daemon_that_was_killed_keeps_nobody_from_pausing(
    site: TwoNodes, live: SiteCalls, members: SiteMembers
) -> None:
    talk = site.north.call()
    talk.join()
    began_s, took_s = time.monotonic(), stopwatch(os.getpid(), site.north.home.pid)
    site.south.home.kill()
    database = Database(site.url)
    with database.begin() as connection:  # past the wire, which listens in its place
        there = table.c.name == SOUTH
        connection.execute(sa.update(table).where(there).values(address=f"127.0.0.1:{site.control}"))
    database.close()

    def paused() -> bool:
        members.directory.refresh()
        with contextlib.suppress(DaemonRefusedError):
            return [one["node"] for one in live.pause(ExtensionTarget("2001"), actor=DPO)["calls"]] == [NORTH]
        return False

    eventually(paused, "the dead node is not waited for")
    assert took_s() < 20
    assert time.monotonic() - began_s > 2.5, "for 6 s after its last sign of life it may be cut off only"
    talk.hang_up()
