"""Sources of requests inside a dialog: not only the address, but also the port is checked (issue 15)."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.helpers import sip_process
from tests.helpers.sip_calls import answered, connected, offered, talking
from tests.helpers.virtual.endpoint import TurnedEndpoint

SDP = sip_process.SDP
PEERS = [{"networks": ["127.0.0.0/30"]}]
METHODS = ["INFO", "INVITE", "UPDATE", "REFER", "PRACK", "OPTIONS"]
KEYS = {"INFO": {"body": "Signal=2\r\n", "ctype": "application/dtmf-relay"}}


@pytest.fixture
def endpoint() -> Iterator[Any]:
    with TurnedEndpoint(peers=PEERS) as endpoint:
        yield endpoint


@pytest.fixture
def peer(endpoint: Any) -> Iterator[Any]:
    with endpoint.peer() as peer:
        yield peer


def impersonate(other: Any, peer: Any) -> None:
    """Have another port know all that whoever reads a trace knows of a dialog."""
    other.call_id, other.tag, other.remote_to, other.target = peer.call_id, peer.tag, peer.remote_to, peer.target
    other.cseq = peer.cseq


def asks(other: Any, method: str) -> None:
    other.request(method, **KEYS.get(method, {"body": SDP if method in ("INVITE", "UPDATE") else ""}))


@pytest.mark.parametrize("begin", [connected, talking], ids=["they called", "we called"])
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"], ids=["same address", "neighbour"])
def test_the_right_tags_from_another_port_are_not_enough(
    endpoint: Any, peer: Any, begin: Callable[..., Any], host: str
) -> None:
    begin(endpoint, peer)
    with endpoint.peer(host=host) as other:
        impersonate(other, peer)
        for method in METHODS if host == peer.host else [*METHODS, "BYE"]:
            asks(other, method)
            other.expect(403)
    assert endpoint.take("SourceMisbehaved") == {"event": "SourceMisbehaved", "kind": "foreign", "source": host}
    endpoint.nothing(0.1)
    peer.request("BYE")
    peer.expect(200)
    endpoint.take("LegEnded")


@pytest.mark.parametrize("begin", [connected, talking], ids=["they called", "we called"])
def test_a_peer_may_hang_up_from_any_port_of_its_address(endpoint: Any, peer: Any, begin: Callable[..., Any]) -> None:
    """A gateway may answer from the port at which it listens, and ask from others: its call must not stay open."""
    begin(endpoint, peer)
    with endpoint.peer() as other:
        impersonate(other, peer)
        other.request("BYE", via=f"127.0.0.1:{peer.port};rport")
        other.expect(200)
    endpoint.take("LegEnded")


@pytest.mark.parametrize("change", ["tag", "remote_to", "call_id"])
def test_nor_is_the_right_port_with_one_wrong_name(endpoint: Any, peer: Any, change: str) -> None:
    """Call-ID and both tags name a dialog, and nothing less (RFC 3261 section 12)."""
    connected(endpoint, peer)
    right = getattr(peer, change)
    setattr(peer, change, right + "x")
    asks(peer, "INFO")
    peer.expect(481)
    setattr(peer, change, right)
    endpoint.nothing(0.1)
    peer.request("BYE")
    peer.expect(200)
    endpoint.take("LegEnded")


def test_a_proxy_that_records_its_route_may_speak_from_the_port_that_it_names(endpoint: Any, peer: Any) -> None:
    with endpoint.peer(host="127.0.0.2") as inner:
        route = f"Record-Route: <sip:127.0.0.2:{inner.port};lr>\r\n"
        answered(endpoint, peer, offered(endpoint, peer, headers=route))
        impersonate(inner, peer)
        asks(inner, "INFO")
        inner.expect(200)
        endpoint.take("InfoReceived")


def test_a_telephone_may_speak_past_its_proxy_from_the_port_of_its_contact(endpoint: Any, peer: Any) -> None:
    with endpoint.peer(host="127.0.0.2") as phone:
        leg = offered(endpoint, peer, contact=f"<sip:phone@127.0.0.2:{phone.port}>")
        endpoint.do("answer", leg=leg, body=SDP)
        peer.learn(peer.expect(200))
        impersonate(phone, peer)
        phone.request("ACK")
        asks(phone, "INFO")
        phone.expect(200)
        endpoint.take("InfoReceived")


def test_whoever_does_not_listen_where_it_sends_from_may_send_from_any_port(endpoint: Any, peer: Any) -> None:
    """Its Via shows it from the first message on: a gateway with a port for each message, or one behind a NAT."""
    connected(endpoint, peer, via="127.0.0.1:5060;rport")
    with endpoint.peer() as other:
        impersonate(other, peer)
        asks(other, "BYE")
        other.expect(200)
    endpoint.take("LegEnded")


def test_a_peer_that_is_declared_so_may_too() -> None:
    with (
        TurnedEndpoint(peers=[{**PEERS[0], "any_port": True}]) as endpoint,
        endpoint.peer() as peer,
        endpoint.peer() as other,
    ):
        connected(endpoint, peer)
        impersonate(other, peer)
        asks(other, "INFO")
        other.expect(200)
        endpoint.take("InfoReceived")
