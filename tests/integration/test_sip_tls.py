"""SipEndpoint over TLS: who is believed to be whom, and that nothing ever goes in plain text instead."""

import os
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import certificates, sip_process, sip_streams
from tests.helpers.sip_calls import connected, ended_by_us
from tests.helpers.starvation import stopwatch

SDP = sip_process.SDP
OWN_NAME = "recorder.example"
UNHURRIED = {"connect_s": 30.0}
"""For a peer in the test's process to accept and to shake hands, on a busy machine too."""


@dataclass
class Papers:
    """Certificates of ours and of peers: all but ``foreign`` are of one authority."""

    ours: Any
    theirs: Any
    own: tuple[str, str]
    pbx: tuple[str, str]
    other: tuple[str, str]
    expired: tuple[str, str]
    foreign: tuple[str, str]

    def options(self, **more: Any) -> dict[str, Any]:
        """Return what an endpoint is started with; see `UNHURRIED`."""
        tls = {"certificate": self.own[0], "private_key": self.own[1], "ca": str(self.ours.ca)}
        return {"listen_tls": ["127.0.0.1", 0], "tls": tls, "streams": UNHURRIED, **more}

    def connecting(self, certificate: tuple[str, str] | None = None) -> ssl.SSLContext:
        context: ssl.SSLContext = sip_streams.tls_context(certificate, self.ours.ca, is_server=False)
        return context

    def accepting(self, certificate: tuple[str, str]) -> ssl.SSLContext:
        context: ssl.SSLContext = sip_streams.tls_context(certificate, self.ours.ca, is_server=True)
        return context


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Papers:
    folder = tmp_path_factory.mktemp("papers")
    ours, theirs = (certificates.Authority(folder / name, name) for name in ("ours", "theirs"))
    return Papers(
        ours=ours,
        theirs=theirs,
        own=ours.issue("own", dns=[OWN_NAME], ips=["127.0.0.1"]),
        pbx=ours.issue("pbx", dns=["pbx.example"], ips=["127.0.0.1"]),
        other=ours.issue("other", dns=["other.example"]),
        expired=ours.issue("expired", dns=["pbx.example"], ips=["127.0.0.1"], days=-1),
        foreign=theirs.issue("foreign", dns=["pbx.example"], ips=["127.0.0.1"]),
    )


@pytest.fixture(scope="module")
def shared(papers: Papers) -> Iterator[Any]:
    with sip_process.EndpointProcess(**papers.options(listen_tcp=["127.0.0.1", 0])) as endpoint:
        yield endpoint


@pytest.fixture
def peer(shared: Any, papers: Papers) -> Iterator[Any]:
    with tls_peer(shared, papers, papers.pbx) as peer:
        yield peer


def tls_peer(endpoint: Any, papers: Papers, certificate: tuple[str, str] | None, shown: Any = None) -> Any:
    accepting = papers.accepting(certificate) if certificate is not None else None
    remote = tuple(endpoint.addresses["tls"][:2])
    return sip_streams.StreamPeer(remote, connecting=papers.connecting(shown), accepting=accepting)


def dialled(endpoint: Any, port: int, host: str = "127.0.0.1") -> int:
    endpoint.do("dial", target=[host, port, "tls"], request_user="2001", from_user="1", body=SDP)
    return int(endpoint.take("dialled")["dialled"])


def test_a_call_each_way(shared: Any, peer: Any) -> None:
    port = shared.addresses["tls"][1]
    peer.request("INVITE", body=SDP)
    peer.expect(100)
    leg = shared.take("CallOffered")["leg"]
    shared.do("answer", leg=leg, body=SDP)
    answer = peer.expect(200)
    assert answer["Contact"] == f"<sip:2001@127.0.0.1:{port};transport=tls>"
    peer.learn(answer)
    peer.request("ACK")
    shared.do("hang_up", leg=leg)
    bye = peer.expect("BYE")
    assert bye["Via"].startswith(f"SIP/2.0/TLS 127.0.0.1:{port};")
    peer.respond(bye, 200)
    peer.drop()

    leg = dialled(shared, peer.port)
    invite = peer.expect("INVITE")
    assert ";alias" in invite["Via"]
    peer.respond(invite, 200, body=SDP, headers=f"Contact: <sip:peer@127.0.0.1:{peer.port};transport=udp>\r\n")
    assert peer.expect("ACK")["Via"].startswith("SIP/2.0/TLS ")
    shared.take("LegAnswered")
    shared.do("hang_up", leg=leg)
    peer.respond(peer.expect("BYE"), 200)  # over TLS still, whatever the Contact says
    assert peer.connections == 1


def test_the_dialog_outlives_its_connection(shared: Any, peer: Any) -> None:
    leg = connected(shared, peer)
    peer.drop()
    ended_by_us(shared, peer, leg)
    assert peer.connections == 1


@pytest.mark.parametrize(
    ("shown", "says"),
    [
        ("foreign", "certificate refused: unable to get local issuer certificate"),
        ("expired", "certificate refused: certificate has expired"),
        ("other", "its certificate is of other.example, not of 127.0.0.1"),
    ],
)
def test_who_is_not_who_they_should_be_gets_nothing(papers: Papers, shown: str, says: str) -> None:
    with sip_process.EndpointProcess(**papers.options()) as own:
        with tls_peer(own, papers, getattr(papers, shown)) as impostor:
            took_s = stopwatch(os.getpid(), own.pid)
            leg = dialled(own, impostor.port)
            try:
                impostor.accept()
                assert impostor.closed() == b""
            except (ssl.SSLError, ConnectionError):
                pass
            assert own.take("LegRefused") == {
                "event": "LegRefused", "leg": leg, "status": 503, "phrase": "Service Unavailable", "headers": [],
            }  # fmt: skip
            assert took_s() < 1.5
        assert own.counters()["unreachable"] == 1
        own.close()
        assert f"tls:127.0.0.1:{impostor.port} cannot be reached: {says}" in own.stderr


def test_a_target_that_does_not_speak_tls(shared: Any, papers: Papers) -> None:
    with sip_streams.StreamPeer(("127.0.0.1", 1)) as plain:
        took_s = stopwatch(os.getpid(), shared.pid)
        dialled(shared, plain.port)
        connection = plain.accept()
        assert plain.read()[:1] == b"\x16"  # a ClientHello, and no SIP
        connection.sendall(b"SIP/2.0 400 Bad Request\r\n\r\n")
        assert shared.take("LegRefused")["status"] == 503
        assert took_s() < 1.5
        assert b"INVITE" not in plain.closed()


def test_a_target_that_accepts_and_says_nothing(papers: Papers) -> None:
    with (
        sip_process.EndpointProcess(**papers.options(streams={})) as own,
        sip_streams.StreamPeer(("127.0.0.1", 1)) as mute,
    ):
        began, took_s = time.monotonic(), stopwatch(os.getpid(), own.pid)
        dialled(own, mute.port)
        mute.accept()
        assert own.take("LegRefused")["status"] == 503
        assert time.monotonic() - began > 1.2
        assert took_s() < 1.95


def test_a_peer_may_be_known_by_the_names_of_its_rule(papers: Papers) -> None:
    rules = [{"networks": ["127.0.0.1/32"], "tls_names": ["other.example"]}]
    with (
        sip_process.EndpointProcess(**papers.options(rules=rules)) as own,
        tls_peer(own, papers, papers.other) as peer,
    ):
        dialled(own, peer.port)
        peer.respond(peer.expect("INVITE"), 486)
        peer.expect("ACK")
        assert own.take("LegRefused")["status"] == 486


def test_a_peer_that_must_show_a_certificate(papers: Papers) -> None:
    rules = [{"networks": ["127.0.0.1/32"], "tls_names": ["pbx.example"], "requires_certificate": True}]
    with sip_process.EndpointProcess(**papers.options(rules=rules, listen_tcp=["127.0.0.1", 0])) as own:
        for shown in (None, papers.foreign, papers.expired, papers.other):
            with tls_peer(own, papers, None, shown) as refused:
                try:
                    refused.request("OPTIONS")
                    assert refused.closed() == b""
                except (ssl.SSLError, ConnectionError):
                    pass
        with tls_peer(own, papers, papers.pbx, papers.pbx) as known:
            known.request("OPTIONS")
            known.expect(200)
        with sip_streams.StreamPeer(tuple(own.addresses["tcp"][:2])) as plain:
            plain.connect()
            assert plain.closed() == b""
        with sip_process.Peer(own.address) as datagrams:
            datagrams.request("OPTIONS")
            datagrams.nothing(0.2)
        counters = own.counters()
        assert (counters["tls_failed"], counters["without_tls"]) == (4, 2)
        own.close()
        for why in (
            "connects by TLS in vain: TLS failed: peer did not return a certificate",
            "connects by TLS in vain: certificate refused: unable to get local issuer certificate",
            "connects by TLS in vain: certificate refused: certificate has expired",
            "connects by TLS in vain: its certificate is of other.example, not of pbx.example",
            "connects without TLS and is turned away",
        ):
            assert why in own.stderr


def test_an_alias_is_used_where_tls_has_shown_who_asserts_it(papers: Papers) -> None:
    rules = [{"networks": ["127.0.0.1/32"], "tls_names": ["pbx.example"], "requires_certificate": True}]
    with sip_process.EndpointProcess(**papers.options(rules=rules)) as own:
        for is_asserted in (True, False):
            with tls_peer(own, papers, papers.pbx, papers.pbx) as peer:
                peer.over = "TLS"
                end = ";alias" if is_asserted else ""
                peer.request("OPTIONS", branch=f"z9hG4bK-{peer.port}{end}")
                peer.expect(200)
                dialled(own, peer.port)
                if not is_asserted:
                    peer.accept()
                peer.respond(peer.expect("INVITE"), 486)
                peer.expect("ACK")
                own.take("LegRefused")
                assert peer.connections == (0 if is_asserted else 1)


def test_alias_without_a_certificate_is_only_a_word(shared: Any, peer: Any) -> None:
    peer.request("OPTIONS", branch=f"z9hG4bK-{peer.port};alias")
    peer.expect(200)
    dialled(shared, peer.port)
    peer.accept()
    peer.respond(peer.expect("INVITE"), 486)
    peer.expect("ACK")
    shared.take("LegRefused")


def test_sips_is_refused(shared: Any, peer: Any) -> None:
    peer.request("INVITE", body=SDP, uri="sips:2001@127.0.0.1")
    peer.expect(416)
    peer.request("ACK")


def test_a_sips_contact_is_reached_over_tls(shared: Any, peer: Any) -> None:
    with sip_process.Peer(shared.address) as caller:
        caller.request("INVITE", body=SDP, contact=f"<sips:peer@127.0.0.1:{peer.port}>")
        caller.expect(100)
        leg = shared.take("CallOffered")["leg"]
        shared.do("answer", leg=leg, body=SDP)
        caller.learn(caller.expect(200))
        caller.request("ACK")
        shared.do("hang_up", leg=leg)
        bye = peer.expect("BYE")
        assert bye.start == f"BYE sips:peer@127.0.0.1:{peer.port} SIP/2.0"
        peer.respond(bye, 200)


def test_openssl_agrees(shared: Any, papers: Papers) -> None:
    openssl = shutil.which("openssl")
    assert openssl is not None
    host, port, _ = shared.addresses["tls"]

    def connect(*more: str) -> str:
        command = [openssl, "s_client", "-connect", f"{host}:{port}", "-CAfile", str(papers.ours.ca), *more]
        done = subprocess.run(command, input=b"\r\n\r\n", capture_output=True, timeout=10, check=False)
        return done.stdout.decode(errors="replace")

    for version, is_taken in (("-tls1_2", True), ("-tls1_3", True), ("-tls1_1", False)):
        assert ("Verify return code: 0 (ok)" in connect(version) and is_taken) or not is_taken
        assert ("Cipher is (NONE)" in connect(version, "-cipher", "DEFAULT@SECLEVEL=0")) is not is_taken


def test_certificates_are_renewed_without_a_stop(papers: Papers, tmp_path: Path) -> None:
    certificate, key = tmp_path / "own.pem", tmp_path / "own.key"

    def install(name: str, days: float) -> str:
        made = papers.ours.issue(name, ips=["127.0.0.1"], days=days)
        for source, target in zip(made, (certificate, key), strict=True):
            target.write_bytes(Path(source).read_bytes())
        return str(papers.ours.ca)

    tls = {"certificate": str(certificate), "private_key": str(key), "ca": install("first", 10)}
    with (
        sip_process.EndpointProcess(listen_tls=["127.0.0.1", 0], tls=tls) as own,
        tls_peer(own, papers, papers.pbx) as before,
        tls_peer(own, papers, papers.pbx) as after,
    ):
        first = before.connect().getpeercert(binary_form=True)
        install("second", 20)
        own.do("renew")
        own.take("renewed")
        assert after.connect().getpeercert(binary_form=True) != first
        before.request("OPTIONS")
        before.expect(200)
