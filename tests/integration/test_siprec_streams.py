"""Recording sessions over TCP, and over TLS with SRTP: how SBCs send them, since metadata outgrow a datagram."""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from benchmarks.ports import free_port
from tests.helpers.certificates import Authority
from tests.helpers.exactness import kept_of
from tests.helpers.recorder_home import RecorderHome
from tests.helpers.sip_streams import tls_context
from tests.helpers.siprec_client import HOSTS, Client, Session, StreamClient, sections, siprec_site
from tests.helpers.srtp import crypto_of

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Streams:
    """A recorder that listens for connections, and what a client needs to make one."""

    home: RecorderHome
    beside: Client
    ports: dict[str, int]
    tls: ssl.SSLContext

    def connect(self, kind: str) -> StreamClient:
        """Return a client of the SBC's address with a connection of its own."""
        tls = self.tls if kind == "tls" else None
        return StreamClient(self.home, self.beside.studio, HOSTS["sbc"], self.ports[kind], tls)


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streams]:
    folder = tmp_path_factory.mktemp("streams")
    papers = Authority(folder / "papers")
    certificate, key = papers.issue("recorder", ips=[HOST])
    ports = {"tcp": free_port(), "tls": free_port()}
    edits = [(f'listen_{kind} = "off" ', f'listen_{kind} = "{HOST}:{port}" ') for kind, port in ports.items()]
    edits += [
        ('tls_certificate = "off"', f'tls_certificate = "{certificate}"'),
        ('tls_key = "off"', f'tls_key = "{key}"'),
        ('tls_ca = "off"', f'tls_ca = "{papers.ca}"'),
    ]
    with siprec_site(folder / "home", edits=edits) as (home, clients):
        tls = tls_context(papers.issue("sbc", ips=[HOSTS["sbc"]]), papers.ca, is_server=False)
        yield Streams(home, clients["sbc"], ports, tls)


def begun(client: StreamClient, caller: str, *, is_secure: bool) -> Session:
    """Begin a session whose metadata is larger than any datagram should be."""
    session = client.session(caller=caller, shape="RFC 8068")
    for line in session.lines if is_secure else ():
        line.voice.encrypt()
        line.profile = "RTP/SAVP"
        assert line.voice.key is not None
        line.extra = (f"a=crypto:{crypto_of(line.voice.key)}",)
    filler = tuple(f"X-Filler-{number}: {'x' * 900}" for number in range(8))
    answer = session.invite(headers=("Require: siprec", *filler))
    assert answer.status == 200
    assert all(f"a=label:{label}" in lines for label, lines in zip("12", sections(answer.body), strict=True))
    return session


def assert_whole(streams: Streams, session: Session, at_least_s: float) -> None:
    row = streams.home.row_of(session.call.caller.user)
    assert (row["outcome"], row["reason"], row["operator"]) == ("recorded", "session_ended", "alice")
    assert {one["number"] for one in row["participants"]} == {session.call.caller.user, "2001"}
    left, right, _ = streams.home.copy(row["id"])
    for channel, line in zip((left, right), session.lines, strict=True):
        spans = kept_of(channel, line.voice).spans
        said = f"kept are the ticks {spans} of those up to {line.voice.sent[-1][0]}"
        assert sum(end - start for start, end in spans) >= at_least_s * 8000, said


@pytest.mark.parametrize(("kind", "is_secure"), [("tcp", False), ("tls", True)])
def test_a_session_is_recorded(streams: Streams, kind: str, is_secure: bool) -> None:
    with streams.connect(kind) as client:
        session = begun(client, f"+44163296010{int(is_secure)}", is_secure=is_secure)
        session.talk_for(0.5)
        assert session.ask("UPDATE").status == 200
        assert session.bye().status == 200
    assert_whole(streams, session, 0.4)


@pytest.mark.parametrize(("kind", "is_secure"), [("tcp", False), ("tls", True)])
def test_a_session_outlives_its_connection(streams: Streams, kind: str, is_secure: bool) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(streams.connect(kind))
        session = begun(first, f"+44163296011{int(is_secure)}", is_secure=is_secure)
        session.talk_for(0.3)
        first.socket.close()
        session.talk_for(0.3)
        session.client = stack.enter_context(streams.connect(kind))
        assert session.bye().status == 200
    assert_whole(streams, session, 0.5)


def test_two_sessions_on_one_connection_are_two_recordings(streams: Streams) -> None:
    with streams.connect("tcp") as client:
        sessions = [begun(client, f"+44163296012{at}", is_secure=False) for at in range(2)]
        sessions[-1].talk_for(0.3)
        for session in sessions:
            assert session.bye().status == 200
    for session in sessions:
        assert_whole(streams, session, 0.2)
    assert len({streams.home.row_of(one.call.caller.user)["id"] for one in sessions}) == 2
