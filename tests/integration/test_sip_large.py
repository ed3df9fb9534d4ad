"""Requests that are too large for UDP: over TCP where the peer's rule says so, else in fragments; taken either way."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.ports import free_port
from tests.helpers import sip_process, sip_streams
from tests.helpers.starvation import stopwatch

SDP = sip_process.SDP
LARGE = SDP + "a=x-long:" + "l" * 2000 + "\r\n"


@pytest.fixture(scope="module")
def shared() -> Iterator[Any]:
    rules = [{"networks": ["127.0.0.1/32"], "large_over_tcp": True}]
    with sip_process.EndpointProcess(listen_tcp=["127.0.0.1", 0], rules=rules) as endpoint:
        yield endpoint


def dial(endpoint: Any, port: int, body: str) -> None:
    endpoint.do("dial", target=["127.0.0.1", port], request_user="2001", from_user="1", body=body)
    endpoint.take("dialled")


@pytest.mark.parametrize("size", [7_000, 20_000, 55_000])
def test_large_datagrams_are_taken_whole(shared: Any, size: int) -> None:
    body = SDP + "a=x-long:" + "l" * size + "\r\n"
    with sip_process.Peer(shared.address) as peer:
        peer.request("INVITE", body=body)
        peer.expect(100)
        event = shared.take("CallOffered")
        assert event["body"]["content"] == body
        shared.do("refuse", leg=event["leg"], status=486, phrase="Busy")
        peer.expect(486)
        peer.request("ACK", cseq=peer.cseq)


def test_a_large_request_goes_over_tcp_and_a_small_one_does_not(shared: Any) -> None:
    port = free_port()
    with (
        sip_process.Peer(shared.address, port=port) as datagrams,
        sip_streams.StreamPeer(shared.address, port=port) as stream,
    ):
        dial(shared, datagrams.port, LARGE)
        invite = stream.expect("INVITE")
        assert invite["Via"].startswith(f"SIP/2.0/TCP 127.0.0.1:{shared.addresses['tcp'][1]};")
        assert invite["Contact"].endswith(";transport=tcp>")
        assert invite.body == LARGE
        stream.respond(invite, 486)
        stream.expect("ACK")
        assert shared.take("LegRefused")["status"] == 486
        dial(shared, datagrams.port, SDP)
        small = datagrams.expect("INVITE")
        datagrams.respond(small, 486)
        datagrams.expect("ACK")
        shared.take("LegRefused")
        assert shared.counters()["large_over_tcp"] == 1


def test_a_large_request_goes_over_udp_after_all(shared: Any) -> None:
    with sip_process.Peer(shared.address) as datagrams:
        took_s = stopwatch(os.getpid(), shared.pid)
        dial(shared, datagrams.port, LARGE)
        invite = datagrams.expect("INVITE")  # nobody listens there over TCP
        assert took_s() < 1.0
        assert invite["Via"].startswith(f"SIP/2.0/UDP 127.0.0.1:{shared.address[1]};")
        assert invite["Contact"] == f"<sip:1@127.0.0.1:{shared.address[1]}>"
        again = datagrams.receive()  # and it is retransmitted as UDP wants it
        assert (again.start, again["Via"]) == (invite.start, invite["Via"])
        datagrams.respond(again, 200, body=SDP)
        assert datagrams.expect("ACK")["Via"].startswith("SIP/2.0/UDP")
        leg = shared.take("LegAnswered")["leg"]
        shared.do("hang_up", leg=leg)
        datagrams.respond(datagrams.expect("BYE"), 200)


def test_without_the_rule_it_goes_in_fragments() -> None:
    with (
        sip_process.EndpointProcess(listen_tcp=["127.0.0.1", 0]) as own,
        sip_process.Peer(own.address) as peer,
    ):
        dial(own, peer.port, LARGE)
        peer.respond(peer.expect("INVITE"), 486)
        peer.expect("ACK")
        own.take("LegRefused")
        assert own.counters()["large"] == 1
