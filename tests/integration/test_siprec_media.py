"""Recording sessions over UDP, with RTP and with SRTP, through real ports; strangers at those. More: tests/virtual."""

import socket
from collections.abc import Iterator

import pytest

from tests.helpers.exactness import kept_of
from tests.helpers.siprec_client import Session, ports, siprec_site
from tests.helpers.siprec_policy import Site
from tests.helpers.srtp import crypto_of
from tests.helpers.voices import FRAME, TICKS_PER_S


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with siprec_site(tmp_path_factory.mktemp("lines")) as (home, clients):
        yield Site(home, clients)


def whole(site: Site, session: Session, *, least_s: float) -> None:
    """Assert that each channel holds the voice of its line, and nothing else."""
    row = site.home.row_of(session.call.caller.user)
    for channel, line in zip(site.home.copy(row["id"])[:2], session.lines, strict=True):
        assert sum(end - start for start, end in kept_of(channel, line.voice).spans) > least_s * TICKS_PER_S


def test_encrypted_lines_are_answered_in_kind(site: Site) -> None:
    session = site.session()
    for line in session.lines:
        line.voice.encrypt()
        line.profile = "RTP/SAVP"
        assert line.voice.key is not None
        line.extra = (f"a=crypto:{crypto_of(line.voice.key)}",)
    answer = session.invite()
    assert answer.body.count(b"RTP/SAVP") == 2
    assert answer.body.count(b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:") == 2
    session.talk_for(0.4)
    session.bye()
    whole(site, session, least_s=0.3)


def test_audio_from_elsewhere_is_dropped(site: Site) -> None:
    session = site.session()
    session.lines[0].direction = session.lines[1].direction = "inactive"
    answer = session.invite()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.bind(("127.0.1.77", 0))
        for line in session.lines:
            line.direction = "sendonly"
        for sequence in range(10):
            packet = b"\x80\x08" + sequence.to_bytes(2, "big") + bytes(4) + b"none" + b"\x11" * FRAME
            stranger.sendto(packet, ("127.0.0.1", ports(answer.body)[0]))
        again = session.ask("INVITE", session.sdp(), "application/sdp")
        assert again.status == 200
        session.talk(again)
        session.talk_for(0.3)
    session.bye()
    whole(site, session, least_s=0.2)  # fails if a byte is not the voice's
