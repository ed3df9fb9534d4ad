"""SipEndpoint over TCP, against a peer on a raw socket: calls, connections that come and go, and abuse."""

import contextlib
import itertools
import os
import queue
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ports import free_port
from tests.helpers import sip_process, sip_streams
from tests.helpers.recorder_home import HANGS_S, eventually
from tests.helpers.sip_calls import connected, dialled, ended_by_peer, ended_by_us, offered, talking
from tests.helpers.starvation import stopwatch

SDP = sip_process.SDP
LIMITS = {"connections": 40, "per_source": 30, "idle_in_s": 60.0, "idle_out_s": 60.0}
SOON_IDLE = {**LIMITS, "idle_in_s": 3.0, "idle_out_s": 1.5}
"""For the test of idle connections alone: a test that is kept waiting for a CPU would lose its connection."""


@pytest.fixture(scope="module")
def shared() -> Iterator[Any]:
    with sip_process.EndpointProcess(listen_tcp=["127.0.0.1", 0], streams=LIMITS) as endpoint:
        yield endpoint


@pytest.fixture
def peer(shared: Any) -> Iterator[Any]:
    with sip_streams.StreamPeer(tuple(shared.addresses["tcp"][:2])) as peer:
        yield peer


# -- the end


def test_a_request_that_still_waits_for_its_connection_does_not_keep_the_endpoint_from_ending() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf, contextlib.ExitStack() as knocking:
        knocking.enter_context(socket.create_connection(deaf.getsockname()))  # all that its queue has room for
        with sip_process.EndpointProcess(listen_tcp=["127.0.0.1", 0], streams=LIMITS) as endpoint:
            target = [*deaf.getsockname(), "tcp"]
            endpoint.do("dial", target=target, request_user="2001", from_user="1234", body=SDP)
            endpoint.take("dialled")
            endpoint.nothing()  # neither taken nor refused; what the endpoint logs is looked at when it has ended


# -- calls


def test_an_offered_call_over_one_connection(shared: Any, peer: Any) -> None:
    leg = offered(shared, peer)
    shared.do("answer", leg=leg, body=SDP)
    answer = peer.expect(200)
    tcp = shared.addresses["tcp"]
    assert answer["Contact"] == f"<sip:2001@127.0.0.1:{tcp[1]};transport=tcp>"
    peer.learn(answer)
    peer.request("ACK")
    shared.do("offer", leg=leg, body=SDP)
    again = peer.expect("INVITE")
    assert again["Via"].startswith(f"SIP/2.0/TCP 127.0.0.1:{tcp[1]};")
    assert "alias" not in again["Via"]
    peer.respond(again, 200, body=SDP)
    peer.expect("ACK")
    shared.take("OfferAnswered")
    ended_by_us(shared, peer, leg)
    assert peer.connections == 0


def test_who_took_tcp_for_a_large_invite_goes_on_over_udp(shared: Any, peer: Any) -> None:
    """Its Contact names no transport: smaller requests come over UDP, from where it listens (RFC 3261 18.1.1)."""
    connected(shared, peer, contact=f"<sip:peer@127.0.0.1:{peer.port}>")
    for port, status in ((0, 403), (peer.port, 200)):
        with sip_process.Peer(tuple(shared.address[:2]), port=port) as small:
            small.call_id, small.tag, small.remote_to, small.cseq = peer.call_id, peer.tag, peer.remote_to, peer.cseq
            small.target = f"sip:2001@{shared.address[0]}:{shared.address[1]}"
            small.request("INFO", body="Signal=2\r\n", ctype="application/dtmf-relay")
            small.expect(status)
    shared.take("SourceMisbehaved")
    shared.take("InfoReceived")
    peer.cseq += 1
    ended_by_peer(shared, peer)


def test_a_dialled_call(shared: Any, peer: Any) -> None:
    leg, invite = dialled(shared, peer)
    assert invite.start == f"INVITE sip:2001@127.0.0.1:{peer.port};transport=tcp SIP/2.0"
    assert invite["Via"].startswith("SIP/2.0/TCP ")
    assert invite["Contact"].endswith(";transport=tcp>")
    assert ";transport" not in invite["To"] + invite["From"]
    peer.respond(invite, 180)
    shared.take("LegRang")
    peer.respond(invite, 200, body=SDP)
    ack = peer.expect("ACK")
    assert ack["Via"].startswith("SIP/2.0/TCP ")
    shared.take("LegAnswered")
    ended_by_us(shared, peer, leg)
    assert peer.connections == 1


def test_cancel_takes_the_way_of_the_invite(shared: Any, peer: Any) -> None:
    leg, invite = dialled(shared, peer)
    peer.respond(invite, 180)
    shared.take("LegRang")
    shared.do("hang_up", leg=leg)
    cancel = peer.expect("CANCEL")
    assert cancel["Via"] == invite["Via"]
    peer.respond(cancel, 200)
    peer.respond(invite, 487)
    peer.expect("ACK")
    assert peer.connections == 1


def test_a_contact_without_transport_means_the_one_it_came_over(shared: Any, peer: Any) -> None:
    leg = connected(shared, peer, contact=f"<sip:peer@127.0.0.1:{peer.port}>")
    ended_by_us(shared, peer, leg)


def test_nothing_is_sent_twice_but_the_200(shared: Any, peer: Any) -> None:
    _, invite = dialled(shared, peer, no_reply_s=2.0)
    peer.nothing(0.8)  # timer A
    peer.respond(invite, 486)
    peer.expect("ACK")
    shared.take("LegRefused")
    leg = offered(shared, peer)
    shared.do("refuse", leg=leg, status=486, phrase="Busy")
    peer.expect(486)
    peer.nothing(0.8)  # timer G
    peer.request("ACK", cseq=peer.cseq)
    peer.call_id += "x"
    leg = offered(shared, peer)
    shared.do("answer", leg=leg, body=SDP)
    peer.expect(200)
    again = peer.receive()  # end to end, by RFC 3261 section 13.3.1.4
    assert again.status == 200
    peer.learn(again)
    peer.request("ACK")
    ended_by_peer(shared, peer)


# -- connections


def test_a_dialog_outlives_its_connection(shared: Any, peer: Any) -> None:
    leg = connected(shared, peer)
    peer.drop()
    shared.do("offer", leg=leg, body=SDP)
    again = peer.expect("INVITE")  # over a connection that we open to its Contact
    assert peer.connections == 1
    peer.respond(again, 200, body=SDP)
    peer.expect("ACK")
    shared.take("OfferAnswered")
    peer.drop()
    ended_by_peer(shared, peer)  # over a third one, of the peer's


def test_a_response_finds_its_way_when_the_connection_is_gone(shared: Any, peer: Any) -> None:
    leg = offered(shared, peer)
    peer.drop()
    shared.do("answer", leg=leg, body=SDP)
    peer.accept()
    peer.learn(peer.expect(200))
    peer.request("ACK")
    ended_by_peer(shared, peer)


def test_a_pooled_connection_is_used_again_and_replaced(shared: Any, peer: Any) -> None:
    for _ in range(2):
        leg = talking(shared, peer)
        ended_by_us(shared, peer, leg)
    assert peer.connections == 1
    peer.connection.shutdown(socket.SHUT_RDWR)
    peer.drop()
    talking(shared, peer)
    assert peer.connections == 2
    ended_by_peer(shared, peer)


def test_a_request_that_the_old_connection_swallowed_is_sent_again(shared: Any, peer: Any) -> None:
    leg = talking(shared, peer)
    ended_by_us(shared, peer, leg)
    shared.do("dial", target=["127.0.0.1", peer.port, "tcp"], request_user="2001", from_user="1", body=SDP)
    second = int(shared.take("dialled")["dialled"])
    swallowed = peer.expect("INVITE")
    took_s = stopwatch(os.getpid(), shared.pid)
    peer.drop()
    again = peer.receive()
    assert took_s() < 2.0
    assert (again.start, again["Via"], again["CSeq"]) == (swallowed.start, swallowed["Via"], swallowed["CSeq"])
    assert peer.connections == 2
    took_s = stopwatch(os.getpid(), shared.pid)
    peer.drop()
    assert shared.take("LegRefused") == {
        "event": "LegRefused", "leg": second, "status": 503, "phrase": "Service Unavailable", "headers": [],
    }  # fmt: skip
    assert took_s() < 1.0


def test_nobody_listens(shared: Any) -> None:
    port = free_port()
    took_s = stopwatch(os.getpid(), shared.pid)
    shared.do("dial", target=["127.0.0.1", port, "tcp"], request_user="2001", from_user="1", body=SDP)
    shared.take("dialled")
    assert shared.take("LegRefused")["status"] == 503
    assert took_s() < 0.5


def test_somebody_listens_and_never_accepts(shared: Any) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        full = [socket.socket() for _ in range(3)]
        for one in full:
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
        began, took_s = time.monotonic(), stopwatch(os.getpid(), shared.pid)
        shared.do("dial", target=[*deaf.getsockname(), "tcp"], request_user="2001", from_user="1", body=SDP)
        shared.take("dialled")
        assert shared.take("LegRefused")["status"] == 503
        assert time.monotonic() - began > 1.0
        assert took_s() < 1.95
        for one in full:
            one.close()


@pytest.mark.parametrize("name", ["a" * 64 + ".example", "a..example"])
def test_a_name_that_is_none_is_refused_at_once(shared: Any, name: str) -> None:
    took_s = stopwatch(os.getpid(), shared.pid)
    shared.do("dial", target=[name, 5060, "tcp"], request_user="2001", from_user="1", body=SDP)
    shared.take("dialled")
    assert shared.take("LegRefused")["status"] == 503
    assert took_s() < 1.0


def test_tls_is_not_to_be_had_without_its_listener(shared: Any) -> None:
    took_s = stopwatch(os.getpid(), shared.pid)
    shared.do("dial", target=["127.0.0.1", 5061, "tls"], request_user="2001", from_user="1", body=SDP)
    shared.take("dialled")
    assert shared.take("LegRefused")["status"] == 503
    assert took_s() < 1.0


def test_idle_connections_are_closed() -> None:
    with sip_process.EndpointProcess(listen_tcp=["127.0.0.1", 0], streams=SOON_IDLE) as own:
        address = tuple(own.addresses["tcp"][:2])
        with sip_streams.StreamPeer(address) as silent, sip_streams.StreamPeer(address) as talking_peer:
            silent.connect()
            leg = talking(own, talking_peer)
            began, took_s = time.monotonic(), stopwatch(os.getpid(), own.pid)
            assert talking_peer.closed() == b""
            assert time.monotonic() - began > 1.2
            assert took_s() < 2.5
            talking_peer.drop()
            ended_by_us(own, talking_peer, leg)
            assert silent.closed() == b""


def test_targets_are_watched(shared: Any) -> None:
    with sip_process.EndpointProcess(listen_tcp=["127.0.0.1", 0], watch_every_s=1.0) as own:
        port = free_port()
        with sip_streams.StreamPeer(tuple(own.addresses["tcp"][:2]), port=port) as target:
            own.do("watch", target=["127.0.0.1", port, "tcp"])
            for _ in range(2):
                options = target.expect("OPTIONS")
                assert options.start == f"OPTIONS sip:127.0.0.1:{target.port};transport=tcp SIP/2.0"
                target.respond(options, 200)
            assert target.connections == 1
            took_s = stopwatch(os.getpid(), own.pid)
        assert own.take("TargetChanged")["is_alive"] is False
        assert took_s() < 4.0, "a second until the next OPTIONS, and two that are missed"
        with sip_streams.StreamPeer(tuple(own.addresses["tcp"][:2]), port=port) as back:

            def answers_one() -> Any:
                back.respond(back.expect("OPTIONS"), 200)
                with contextlib.suppress(queue.Empty):  # it was answered too late
                    return own.take("TargetChanged", 1.0)

            assert eventually(answers_one, "the target is there again") == {
                "event": "TargetChanged", "target": ["127.0.0.1", port, "tcp"], "is_alive": True,
            }  # fmt: skip


# -- streams


def options(peer: Any, number: int, body: str = "") -> bytes:
    lines = [
        "OPTIONS sip:ping@127.0.0.1 SIP/2.0",
        f"Via: SIP/2.0/TCP 127.0.0.1:{peer.port};branch=z9hG4bK-o{peer.port}-{number}",
        "From: <sip:a@x>;tag=1",
        "To: <sip:b@y>",
        f"Call-ID: o{peer.port}-{number}",
        "CSeq: 1 OPTIONS",
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def test_two_messages_in_one_segment_and_one_in_many(peer: Any) -> None:
    peer.send(options(peer, 1, "body") + options(peer, 2) + options(peer, 3)[:50])
    assert [peer.expect(200)["Call-ID"] for _ in range(2)] == [f"o{peer.port}-1", f"o{peer.port}-2"]
    peer.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in options(peer, 3)[50:]:
        peer.send(bytes([byte]))
    peer.expect(200)


def test_keep_alives_are_answered(peer: Any) -> None:
    peer.send(b"\r\n\r\n")
    assert peer.read() == b"\r\n"
    peer.send(b"\r\n" + options(peer, 1))
    peer.expect(200)


def test_a_message_cut_off_harms_nobody(shared: Any, peer: Any) -> None:
    peer.send(options(peer, 1)[:-30])
    peer.drop()
    peer.send(options(peer, 2))
    peer.expect(200)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((b"Content-Length: 0", b"Content-Length: x"), b"400"),
        ((b"Content-Length: 0\r\n", b""), b"400"),
        ((b"Content-Length: 0", b"Content-Length: 999999999"), b"513"),
        ((b"OPTIONS sip", b"\x00\x01OPTIONS sip"), b""),
        ((b" SIP/2.0\r\n", b" HTTP/1.1\r\n"), b""),
    ],
)
def test_what_cannot_be_framed_ends_the_connection(
    shared: Any, peer: Any, change: tuple[bytes, bytes], status: bytes
) -> None:
    before = shared.counters().get("malformed", 0)
    peer.send(options(peer, 1).replace(*change, 1) + options(peer, 2))
    assert peer.closed()[8:11] == status
    assert shared.counters()["malformed"] == before + 1


def test_what_is_framed_but_makes_no_sense_is_answered(peer: Any) -> None:
    peer.send(options(peer, 1).replace(b"CSeq: 1 OPTIONS", b"CSeq: 1 INVITE"))
    peer.expect(400)
    peer.send(options(peer, 2))
    peer.expect(200)


def test_a_slow_message_is_cut_off() -> None:
    with (
        sip_process.EndpointProcess(listen_tcp=["127.0.0.1", 0], streams={**LIMITS, "message_s": 0.6}) as own,
        sip_streams.StreamPeer(tuple(own.addresses["tcp"][:2])) as peer,
    ):
        peer.connect()
        began, took_s = time.monotonic(), stopwatch(os.getpid(), own.pid)
        peer.send(options(peer, 1) + b"OPTIONS ")
        peer.expect(200)
        with pytest.raises(OSError, match=r"Broken pipe|reset by peer"):
            while time.monotonic() < began + HANGS_S:  # one byte at a time does not buy time
                peer.send(b"s")
                time.sleep(0.02)
        assert took_s() < 1.5
        assert time.monotonic() - began > 0.5
        assert own.counters()["too_slow"] == 1


def test_a_peer_that_reads_nothing_is_cut_off() -> None:
    long = b"Record-Route: <sip:x;a=" + b"r" * 30_000 + b">\r\nFrom:"  # comes back in the answer
    with (
        sip_process.EndpointProcess(listen_tcp=["127.0.0.1", 0]) as own,
        sip_streams.StreamPeer(tuple(own.addresses["tcp"][:2])) as deaf,
        sip_streams.StreamPeer(deaf.remote) as other,
    ):
        connection = deaf.connect()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(15)
        deadline = time.monotonic() + 60
        with pytest.raises(ConnectionError):
            for number in itertools.count():  # the system's buffers take some megabytes before anything is stuck
                connection.sendall(options(deaf, number).replace(b"From:", long))
                assert time.monotonic() < deadline, "it is not cut off"
        assert own.counters()["stuck"] == 1
        other.send(options(other, 1))
        other.expect(200)  # and nobody else has noticed


def test_no_more_connections_than_may_be(shared: Any, peer: Any) -> None:
    held = [socket.create_connection(peer.remote) for _ in range(30)]
    try:
        deadline = time.monotonic() + HANGS_S
        while shared.counters().get("too_many", 0) == 0 and time.monotonic() < deadline:
            held.append(socket.create_connection(peer.remote))
        held[-1].settimeout(HANGS_S)
        assert held[-1].recv(1) == b""
    finally:
        for one in held:
            one.close()


def test_strangers_are_closed_at_the_door() -> None:
    with sip_process.EndpointProcess(listen_tcp=["127.0.0.1", 0], trusted=["192.0.2.0/24"]) as own:
        with sip_streams.StreamPeer(tuple(own.addresses["tcp"][:2])) as stranger:
            stranger.connect()
            assert stranger.closed() == b""
        assert own.counters()["untrusted"] == 1
        own.close()
        assert "in the networks of no [[peer]]" in own.stderr


def is_answered(remote: tuple[str, int]) -> bool:
    with sip_streams.StreamPeer(remote) as last:
        last.send(options(last, 1))
        return bool(last.read())


def test_a_thousand_connections_leave_nothing_behind() -> None:
    with sip_process.EndpointProcess(listen_tcp=["127.0.0.1", 0]) as own:
        remote = tuple(own.addresses["tcp"][:2])
        status, descriptors = Path(f"/proc/{own.pid}/status"), Path(f"/proc/{own.pid}/fd")
        before_fds = len(list(descriptors.iterdir()))

        def storm(count: int) -> int:
            """Open and drop so many connections; returns the memory when all are gone, kB."""
            for number in range(count):
                with socket.create_connection(remote) as one:
                    one.sendall([b"", b"\r\n\r\n", b"OPTIONS sip:a SIP/2.0\r\nVia: x"][number % 3])
            deadline = time.monotonic() + HANGS_S
            while not is_answered(remote):  # then every one of them was accepted, or turned away
                assert time.monotonic() < deadline, "nobody is let in any more"
            while len(list(descriptors.iterdir())) > before_fds or own.counters()["connections"] > 0:
                assert time.monotonic() < deadline, "descriptors are left open"
                time.sleep(0.02)
            resident = re.search(r"VmRSS:\s*(\d+)", status.read_text())
            assert resident is not None
            return int(resident.group(1))

        storm(150)
        before_kb = storm(50)
        assert storm(1000) - before_kb < 2000
