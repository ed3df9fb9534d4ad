"""The control API of a node in a network with strangers."""

import contextlib
import itertools
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from recorder.access.signing import Signer
from recorder.common.clock import since_boot_s
from recorder.config.node_options import PeerFiles
from recorder.control import node_server
from recorder.control.client import LiveClient
from recorder.control.connections import exchange, plain_request
from recorder.control.errors import DaemonUnavailableError
from recorder.control.node_connections import NodeConnections
from recorder.control.node_link import NodeLink
from recorder.control.node_server import NodeServer
from recorder.control.peer_tls import SiteTls
from recorder.permissions import Person, Role
from recorder.rules.call_target import CallTarget
from recorder.rules.limits import ConnectionLimits
from sip.options import Address
from tests.helpers.certificates import Authority
from tests.helpers.recorder_home import HANGS_S, eventually

ASKED = plain_request("GET", "/api/node", {}, b"")
DORA = Person(name="dora", display_name="Dora", roles=frozenset({Role.MANAGER}))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def going_on() -> threading.Event:
    """Ends requests that are in progress."""
    return threading.Event()


@pytest.fixture
def server(authority: Authority, going_on: threading.Event, monkeypatch: pytest.MonkeyPatch) -> Iterator[NodeServer]:
    """A node that takes six connections."""
    limits = ConnectionLimits(most=6, most_per_address=None, header_s=60.0, body_s=60.0)
    monkeypatch.setattr(node_server, "LIMITS", limits)
    certificate, key = authority.issue("north", dns=("north",), unit="node")
    tls = SiteTls(PeerFiles(certificate=str(certificate), key=str(key), ca=str(authority.ca)))
    app = FastAPI()
    acts = itertools.count(1)
    app.get("/api/node")(lambda: {"node": "north", "run": "1", "now_ms": int(since_boot_s() * 1000)})
    app.post("/api/calls/{call}/{act}")(lambda call, act: {"acts": next(acts)})
    app.get("/api/slow")(lambda: {"went_on": going_on.wait(HANGS_S)})
    server = NodeServer(app, Address(host="127.0.0.1", port=0), tls, set_alarm=lambda _name, _is_on: None)
    server.start()
    eventually(lambda: server.bound_port, "it listens")
    yield server
    going_on.set()
    server.close()


@pytest.fixture
def port(server: NodeServer) -> int:
    return server.bound_port


def connected(authority: Authority, port: int, role: str, name: str) -> ssl.SSLSocket:
    certificate, key = authority.issue(f"{role}-{name}", dns=(name,), common_name=name, unit=role)
    context = ssl.create_default_context(cafile=str(authority.ca))
    context.check_hostname = False
    context.load_cert_chain(certificate, key)
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port), 5))


def status(connection: ssl.SSLSocket) -> int:
    return exchange(connection, ASKED, time.monotonic() + 5)[0].status


@pytest.mark.parametrize("is_a_node", [False, True])
def test_strangers_and_nodes_do_not_close_a_consoles_idle_connection(
    authority: Authority, port: int, *, is_a_node: bool
) -> None:
    with contextlib.ExitStack() as stack:
        console = stack.enter_context(connected(authority, port, "console", "hq"))
        assert status(console) == 200
        for number in range(12):
            if is_a_node:
                node = stack.enter_context(connected(authority, port, "node", f"n{number}"))
                assert status(node) == 403
            else:
                stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
        time.sleep(0.1)
        assert status(console) == 200, "the connection was kept"
        with connected(authority, port, "console", "hq2") as other:
            assert status(other) == 200, "there is room for another"


@pytest.mark.parametrize("is_in_time", [True, False])
def test_what_is_in_progress_is_answered_before_connections_are_closed(
    authority: Authority,
    server: NodeServer,
    going_on: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_in_time: bool,
) -> None:
    """As where a certificate was renewed or revoked."""
    monkeypatch.setattr(node_server, "ENDS_S", HANGS_S if is_in_time else 0.1)
    with (
        connected(authority, server.bound_port, "console", "hq") as idle,
        connected(authority, server.bound_port, "console", "hq2") as busy,
    ):
        assert status(idle) == 200
        busy.sendall(plain_request("GET", "/api/slow", {}, b""))
        eventually(lambda: any(one.is_answered for one in server._connections._all), "the request is there")
        server.close_connections()
        assert idle.recv(1) == b"", "an idle connection is closed at once"
        if is_in_time:
            going_on.set()
            answer, is_kept = exchange(busy, b"", time.monotonic() + HANGS_S)
            assert (answer.status, answer.content) == (200, b'{"went_on":true}')
            assert not is_kept, "nobody is to ask on it again"
        assert busy.recv(1) == b"", "no second request on it"


@pytest.mark.parametrize("act", ["pause", "resume"])
def test_a_pause_that_meets_the_end_of_a_kept_connection_is_sent_again(
    authority: Authority, server: NodeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, act: str
) -> None:
    """As where a node's certificate was renewed at that moment. A resume is not sent again: it is not confirmed."""
    certificate, key = authority.issue("console-hq", dns=("hq",), common_name="hq", unit="console")
    context = ssl.create_default_context(cafile=str(authority.ca))
    context.check_hostname = False
    context.load_cert_chain(certificate, key)
    where = Address(host="127.0.0.1", port=server.bound_port)
    link = NodeLink("north", where, lambda: context, Signer(tmp_path / "accounts"), timeout_s=HANGS_S)
    taken = NodeConnections._taken

    def taken_too_late(connections: NodeConnections) -> socket.socket | None:
        connection = taken(connections)
        server.close_connections()
        eventually(lambda: server._connections.count == 0, "the node has closed it")
        return connection

    with contextlib.closing(LiveClient(link)) as live:
        assert getattr(live, act)(CallTarget("c1"), actor=DORA) == {"acts": 1}
        monkeypatch.setattr(NodeConnections, "_taken", taken_too_late)
        if act == "pause":
            assert live.pause(CallTarget("c1"), actor=DORA) == {"acts": 2}, "on a new connection"
        else:
            with pytest.raises(DaemonUnavailableError, match="broke off its answer"):
                live.resume(CallTarget("c1"), actor=DORA)
