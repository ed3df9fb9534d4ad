"""SipEndpoint in virtual time against floods and forged requests: counted, reported once, without effect."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers import sip_process
from tests.helpers.sip_calls import connected
from tests.helpers.virtual.endpoint import TurnedEndpoint

SDP = sip_process.SDP
PEERS = [
    {"networks": ["127.0.0.0/30"], "calls_per_s": 3.0, "requests_per_s": 4.0},
    {"networks": ["127.0.0.9/32"]},
]


@pytest.fixture
def endpoint() -> Iterator[Any]:
    with TurnedEndpoint(peers=PEERS, urgent=["999"]) as endpoint:
        yield endpoint


@pytest.fixture
def peer(endpoint: Any) -> Iterator[Any]:
    with endpoint.peer() as peer:
        yield peer


def counters(endpoint: Any) -> dict[str, int]:
    endpoint.do("counters")
    found: dict[str, int] = endpoint.take("counters")["counters"]
    return found


def test_a_flood_of_options_leaves_calls_alone(endpoint: Any, peer: Any) -> None:
    for _ in range(200):
        peer.request("OPTIONS")
        peer.request("BYE", to="<sip:x@y>;tag=nobody")
    assert endpoint.take("SourceMisbehaved")["kind"] == "rate_limited"
    with endpoint.peer() as caller:
        caller.request("INVITE", body=SDP)
        caller.expect(100)
    endpoint.take("CallOffered")
    assert counters(endpoint)["rate_limited"] > 350


def impersonate(other: Any, peer: Any) -> None:
    """Have another address send in a dialog with everything that an eavesdropper knows."""
    other.call_id, other.tag, other.remote_to, other.target = peer.call_id, peer.tag, peer.remote_to, peer.target
    other.cseq = peer.cseq


@pytest.mark.parametrize("method", ["BYE", "INFO", "INVITE", "UPDATE"])
def test_the_right_tags_from_another_peer_are_not_enough(endpoint: Any, peer: Any, method: str) -> None:
    leg = connected(endpoint, peer)
    with endpoint.peer(host="127.0.0.9") as forger:
        impersonate(forger, peer)
        for _ in range(3):
            forger.request(method, body=SDP)
            forger.expect(403)
    assert endpoint.take("SourceMisbehaved") == {"event": "SourceMisbehaved", "kind": "foreign", "source": "127.0.0.9"}
    assert counters(endpoint)["foreign"] == 3
    endpoint.nothing(0.1)
    peer.request("BYE")
    peer.expect(200)
    assert endpoint.take("LegEnded")["leg"] == leg


def test_a_neighbour_in_the_same_peer_may_act(endpoint: Any, peer: Any) -> None:
    connected(endpoint, peer)
    with endpoint.peer(host="127.0.0.2", port=peer.port) as twin:
        impersonate(twin, peer)
        twin.request("BYE")
        twin.expect(200)
    endpoint.take("LegEnded")


def test_an_address_that_the_peer_named_may_act(endpoint: Any, peer: Any) -> None:
    with endpoint.peer(host="127.0.0.9") as phone:
        peer.request("INVITE", body=SDP, contact=f"<sip:phone@127.0.0.9:{phone.port}>")
        leg = int(endpoint.take("CallOffered")["leg"])
        endpoint.do("answer", leg=leg, body=SDP)
        peer.learn(peer.expect(200))
        impersonate(phone, peer)
        phone.request("ACK")
        phone.request("BYE")
        phone.expect(200)
    endpoint.take("LegEnded")


def test_a_forged_cancel_does_not_end_the_ringing(endpoint: Any, peer: Any) -> None:
    branch = peer.request("INVITE", body=SDP)
    leg = int(endpoint.take("CallOffered")["leg"])
    with endpoint.peer(host="127.0.0.9") as forger:
        forger.call_id, forger.tag, forger.cseq = peer.call_id, peer.tag, peer.cseq
        forger.request("CANCEL", branch=branch)
        forger.expect(403)
    assert endpoint.take("SourceMisbehaved")["kind"] == "foreign"
    endpoint.do("answer", leg=leg, body=SDP)
    peer.learn(peer.expect(200))
    peer.request("ACK")
    peer.request("BYE")
    peer.expect(200)
    endpoint.take("LegEnded")


def test_answers_and_acks_to_nothing_are_dropped(endpoint: Any, peer: Any) -> None:
    for index in range(100):
        peer.request("ACK", to="<sip:x@y>;tag=nobody")
        ack = peer.last
        lines = ack.decode().split("\r\n")
        peer.send("\r\n".join(["SIP/2.0 486 Busy", *lines[1:]]).replace("ACK", f"BYE{index % 2}").encode())
    peer.nothing(0.3)
    assert endpoint.take("SourceMisbehaved")["kind"] == "stray"
    assert counters(endpoint)["stray"] > 150


@pytest.mark.parametrize("part", ["via", "contact", "route"])
def test_a_port_that_is_none_does_not_end_the_sending(endpoint: Any, peer: Any, part: str) -> None:
    contact = "<sip:a@127.0.0.1:99999>" if part == "contact" else f"<sip:a@127.0.0.1:{peer.port}>"
    peer.request(
        "INVITE", body=SDP, contact=contact, headers="Record-Route: <sip:127.0.0.1:70000;lr>\r\n" * (part == "route")
    )
    if part == "via":
        peer.send(peer.last.replace(f":{peer.port};branch".encode(), b":99999;branch").replace(b"call-", b"other-"))
    with endpoint.peer() as other:
        other.request("OPTIONS")
        other.expect(200)
