"""Targets by name: SRV and addresses of a name server of the test's, and a daemon that must not wait for it."""

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import Queue

import pytest

from sip.options import Address, TransportKind
from sip.resolver import Resolver
from tests.helpers import sip_process
from tests.helpers.background import beside
from tests.helpers.dns_server import NameServer
from tests.helpers.recorder_home import HANGS_S, RecorderHome, eventually, recorder_home
from tests.helpers.starvation import stopwatch

SDP = sip_process.SDP
TRUNK = Address(host="trunk.example", is_srv=True)


@pytest.fixture
def server() -> Iterator[NameServer]:
    with NameServer() as made:
        made.records = {
            ("_sip._udp.trunk.example", "SRV"): (60, ["20 0 5072 b.trunk.example.", "10 0 5071 a.trunk.example."]),
            ("a.trunk.example", "A"): (60, ["192.0.2.1", "192.0.2.2"]),
            ("a.trunk.example", "AAAA"): (60, ["2001:db8::1"]),
            ("b.trunk.example", "A"): (1, ["192.0.2.3"]),
            ("plain.example", "A"): (60, ["192.0.2.9"]),
        }
        yield made


@contextmanager
def resolver(server: NameServer, *targets: Address, families: frozenset[int] = frozenset({4})) -> Iterator[Resolver]:
    host, _, port = server.address.rpartition(":")
    made = Resolver((Address(host=host, port=int(port)),), families, on_change=lambda: None)
    made.want(targets)
    made.start(3.0)
    try:
        yield made
    finally:
        made.close()


def places(found: tuple[Address, ...]) -> list[str]:
    return [str(address) for address in found]


def test_srv_by_priority_each_with_its_addresses(server: NameServer) -> None:
    with resolver(server, TRUNK) as found:
        expanded = places(found.expand(TRUNK))
    assert sorted(expanded[:2]) == ["192.0.2.1:5071", "192.0.2.2:5071"]
    assert expanded[2:] == ["192.0.2.3:5072"]


def test_addresses_where_there_is_no_srv_or_a_port_is_given(server: NameServer) -> None:
    without = Address(host="plain.example", is_srv=True)
    given = Address(host="a.trunk.example", port=5099, transport=TransportKind.TCP)
    with resolver(server, without, given) as found:
        assert places(found.expand(without)) == ["192.0.2.9:5060"]
        assert sorted(places(found.expand(given))) == ["tcp:192.0.2.1:5099", "tcp:192.0.2.2:5099"]


def test_only_families_that_we_listen_on(server: NameServer) -> None:
    target = Address(host="a.trunk.example")
    with resolver(server, target, families=frozenset({6})) as found:
        assert places(found.expand(target)) == ["[2001:db8::1]:5060"]


def test_asked_again_when_their_time_is_over_and_kept_while_nobody_answers(server: NameServer) -> None:
    with resolver(server, TRUNK) as found:
        server.records["b.trunk.example", "A"] = (1, ["192.0.2.4"])
        eventually(lambda: "192.0.2.4:5072" in places(found.expand(TRUNK)), "the new address is known")
        server.is_silent = True
        eventually(lambda: found.failing, "the failure shows")
        assert "192.0.2.4:5072" in places(found.expand(TRUNK))


def test_what_is_not_known_stands_for_itself_and_never_waits(server: NameServer) -> None:
    server.is_silent = True
    host, _, port = server.address.rpartition(":")
    made = Resolver((Address(host=host, port=int(port)),), frozenset({4}), on_change=lambda: None)
    made.want([TRUNK])
    took_s = stopwatch(os.getpid())
    made.start(0.2)
    assert made.expand(TRUNK) == (TRUNK,)
    assert took_s() < 1.0
    made.close()


def test_tls_and_literals_are_left_alone(server: NameServer) -> None:
    tls = Address(host="trunk.example", port=5061, transport=TransportKind.TLS)
    literal = Address(host="192.0.2.7")
    with resolver(server, tls, literal) as found:
        assert found.expand(tls) == (tls,)
        assert found.expand(literal) == (literal,)
    assert server.asked == []


class Side(sip_process.Peer):
    """An exchange: answers the watch from the daemon's start on, and 100 at once to calls unless it is dead to them."""

    def __init__(self, *, has_calls: bool) -> None:
        super().__init__(("127.0.0.1", 9))
        self.has_calls = has_calls
        self.offered: Queue[sip_process.Message] = Queue()

    def serve(self, must_end: threading.Event) -> None:
        while not must_end.is_set():
            with suppress(TimeoutError):
                message = self.receive(0.05)
                if message.method == "OPTIONS":
                    self.respond(message, 200)
                elif message.method == "INVITE":
                    if self.has_calls:
                        self.respond(message, 100)
                    self.offered.put(message)


@pytest.fixture
def sides(tmp_path: Path, server: NameServer) -> Iterator[tuple[RecorderHome, Side, Side]]:
    """A daemon whose one target is a name, and two exchanges that it leads to; the first is dead to calls."""
    with ExitStack() as stack:
        first, second = (stack.enter_context(Side(has_calls=has_calls)) for has_calls in (False, True))
        server.records = {
            ("_sip._udp.pbx.example", "SRV"): (
                60,
                [f"10 0 {first.port} one.pbx.example.", f"20 0 {second.port} two.pbx.example."],
            ),
            ("one.pbx.example", "A"): (60, ["127.0.0.1"]),
            ("two.pbx.example", "A"): (60, ["127.0.0.1"]),
        }
        edits = [
            ("name_servers = []", f'name_servers = ["{server.address}"]'),
            ('targets = ["127.0.0.1:9"]', 'targets = ["pbx.example"]'),
            ("no_reply_s = 2.0", "no_reply_s = 1.0"),
        ]
        home = stack.enter_context(recorder_home(tmp_path, next_hop="127.0.0.1:9", edits=edits, is_started=False))
        for side in (first, second):
            side.remote = home.sip
            stack.enter_context(beside(side.serve))
        home.start()
        yield home, first, second


def test_calls_go_by_srv_and_fail_over(sides: tuple[RecorderHome, Side, Side], server: NameServer) -> None:
    home, first, second = sides
    server.is_silent = True  # whatever the DNS does now
    with sip_process.Peer(home.sip) as caller:
        caller.target = "sip:5001@127.0.0.1"
        took_s = stopwatch(os.getpid(), home.pid)
        caller.request("INVITE", body=SDP)
        offered = second.offered.get(timeout=HANGS_S)
        assert took_s() < 2.0
        assert not first.offered.empty(), "it was asked first"
        second.respond(offered, 200, body=SDP)
        caller.learn(caller.expect(200))
        caller.request("ACK")
        caller.request("BYE")
        caller.expect(200)
