"""SipEndpoint over UDP: a call each way, IPv6, the end, and what a process keeps. Its logic: tests/virtual."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers import sip_process
from tests.helpers.sip_calls import connected, dialled, ended_by_us, offered, talking

SDP = sip_process.SDP


@pytest.fixture(scope="module")
def shared() -> Iterator[Any]:
    with sip_process.EndpointProcess() as endpoint:
        yield endpoint


@pytest.fixture
def peer(shared: Any) -> Iterator[Any]:
    with sip_process.Peer(shared.address) as peer:
        yield peer


def test_offer_ring_answer_bye(shared: Any, peer: Any) -> None:
    headers = (
        "History-Info: <sip:a@x>;index=1, <sip:b@x>;index=1.1\r\nDiversion: <sip:1@x>;reason=busy\r\n"
        "Diversion: <sip:2@x>\r\nP-Asserted-Identity: <sip:+442079460000@x>\r\nX-Recorder-Via: one\r\nX-Mine: ü\r\n"
    )
    peer.request("INVITE", body=SDP, headers=headers)
    peer.expect(100)
    event = shared.take("CallOffered")
    assert event["request_user"] == "2001"
    assert (event["from_user"], event["from_display"]) == ("020794600000", "A, B")
    assert event["asserted_user"] == "+442079460000"
    assert event["source"] == ["127.0.0.1", peer.port]
    assert event["loop_marks"] == ["one"]
    assert event["headers"] == [
        ["History-Info", "<sip:a@x>;index=1"],
        ["History-Info", "<sip:b@x>;index=1.1"],
        ["Diversion", "<sip:1@x>;reason=busy"],
        ["Diversion", "<sip:2@x>"],
        ["P-Asserted-Identity", "<sip:+442079460000@x>"],
        ["X-Mine", "ü"],
    ]
    assert event["body"]["content"] == SDP
    shared.do("ring", leg=event["leg"])
    ringing = peer.expect(180)
    shared.do("answer", leg=event["leg"], body=SDP)
    answer = peer.expect(200)
    assert answer["To"] == ringing["To"]
    assert answer.body == SDP
    peer.learn(answer)
    peer.request("ACK")
    peer.request("BYE", headers='Reason: Q.850;cause=16;text="ok"\r\n')
    peer.expect(200)
    ended = shared.take("LegEnded")
    assert (ended["cause"], ended["reason"]) == ("bye", 'Q.850;cause=16;text="ok"')
    peer.request("INFO", body="Signal=1", ctype="application/dtmf-relay")
    peer.expect(481)


def test_a_call_that_stands_keeps_no_message() -> None:
    with (
        sip_process.EndpointProcess() as endpoint,
        sip_process.Peer(endpoint.address) as caller,
        sip_process.Peer(endpoint.address) as called,
    ):
        leg = connected(endpoint, caller)
        dialled_leg = talking(endpoint, called)
        for kind in ("SipRequest", "SipResponse", "RawMessage"):
            deadline = time.monotonic() + 5.0
            endpoint.do("objects", of=kind)
            while (found := endpoint.take("objects")["objects"]) and time.monotonic() < deadline:
                endpoint.do("objects", of=kind)
            assert found == 0, kind
        ended_by_us(endpoint, caller, leg)
        ended_by_us(endpoint, called, dialled_leg)


def test_dial_ring_answer_and_upper_case_transport(shared: Any, peer: Any) -> None:
    headers = [["Diversion", "<sip:1@x>"], ["Diversion", "<sip:2@x>"], ["History-Info", "<sip:1@x>;index=1"]]
    leg, invite = dialled(shared, peer, headers=headers, max_forwards=12, loop_marks=["a"], loop_mark="b")
    assert invite["Max-Forwards"] == "12"
    assert invite.all("X-Recorder-Via") == ["a", "b"]
    assert invite.all("Diversion") == ["<sip:1@x>", "<sip:2@x>"]
    assert invite.all("History-Info") == ["<sip:1@x>;index=1"]
    peer.respond(invite, 183, body=SDP)
    rang = shared.take("LegRang")
    assert (rang["status"], rang["body"]["content"]) == (183, SDP)
    peer.respond(invite, 200, body=SDP, headers="P-Asserted-Identity: <sip:2002@x>\r\n")
    assert peer.expect("ACK").start.split(" ")[1].endswith(";transport=udp")
    assert shared.take("LegAnswered")["asserted_user"] == "2002"
    ended_by_us(shared, peer, leg)


def test_close_ends_every_leg() -> None:
    endpoint = sip_process.EndpointProcess()
    with sip_process.Peer(endpoint.address) as talker, sip_process.Peer(endpoint.address) as caller:
        talking(endpoint, talker)
        offered(endpoint, caller)
        endpoint.close()
        talker.expect("BYE")
        assert caller.expect(503)["Retry-After"]


def test_ipv6() -> None:
    with (
        sip_process.EndpointProcess(listen=["::1", 0]) as endpoint,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as peer,
    ):
        peer.bind(("::1", 0))
        peer.settimeout(5)
        port = peer.getsockname()[1]
        endpoint.do("dial", target=["::1", port], request_user="1", from_user="2", body=SDP)
        endpoint.take("dialled")
        invite = sip_process.Message(peer.recv(65535))
        assert invite.start == f"INVITE sip:1@[::1]:{port} SIP/2.0"
        assert invite["Contact"] == f"<sip:2@[::1]:{endpoint.address[1]}>"
