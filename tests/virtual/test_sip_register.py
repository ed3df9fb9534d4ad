"""Registration in virtual time, at a registrar that computes the digests itself."""

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.virtual.endpoint import TurnedEndpoint

CHALLENGE = 'WWW-Authenticate: Digest realm="pbx", nonce="{}", qop="auth", algorithm=MD5\r\n'


@pytest.fixture
def shared() -> Iterator[Any]:
    with TurnedEndpoint() as endpoint:
        yield endpoint


@pytest.fixture
def peer(shared: Any) -> Iterator[Any]:
    with shared.peer() as peer:
        yield peer


def is_proven(request: Any, user: str, password: str) -> bool:
    said = dict(re.findall(r'(\w+)="?([^",]+)"?', request["Authorization"]))

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    first, second = md5(f"{user}:{said['realm']}:{password}"), md5(f"{request.method}:{said['uri']}")
    expected = md5(f"{first}:{said['nonce']}:{said['nc']}:{said['cnonce']}:auth:{second}")
    return bool(said["username"] == user and said["response"] == expected)


def register(shared: Any, peer: Any, **more: Any) -> Any:
    options = {"name": "pbx", "user": "recorder", "domain": "council.example", "expires_s": 2, **more}
    shared.do("register", address=["127.0.0.1", peer.port], **options)
    return peer.expect("REGISTER")


def test_challenged_granted_renewed_and_taken_back(shared: Any, peer: Any) -> None:
    first = register(shared, peer, account=["recorder", "s3cret"])
    assert first.start == "REGISTER sip:council.example SIP/2.0"
    assert first["To"] == "<sip:recorder@council.example>"
    assert first["From"].startswith("<sip:recorder@council.example>;tag=")
    assert first["Expires"] == "2"
    assert "recorder@127.0.0.1" in first["Contact"]
    peer.respond(first, 401, headers=CHALLENGE.format("n1"))
    second = peer.expect("REGISTER")
    assert is_proven(second, "recorder", "s3cret")
    assert second["Call-ID"] == first["Call-ID"]
    assert int(second["CSeq"].split(" ")[0]) == int(first["CSeq"].split(" ")[0]) + 1
    contacts = f"Contact: <sip:other@192.0.2.1>;expires=900, {second['Contact']};expires=1\r\n"
    peer.respond(second, 200, headers=contacts)
    assert shared.take("RegistrationChanged")["is_registered"] is True
    renewed = peer.expect("REGISTER", 2.0)
    assert is_proven(renewed, "recorder", "s3cret")
    assert "nc=00000002" in renewed["Authorization"]
    peer.respond(renewed, 401, headers=CHALLENGE.format("n2")[:-2] + ", stale=true\r\n")
    again = peer.expect("REGISTER")
    assert is_proven(again, "recorder", "s3cret")
    peer.respond(again, 200, headers=f"Contact: {again['Contact']}\r\nExpires: 60\r\n")
    shared.nothing(0.2)  # no news
    shared.close()
    last = peer.expect("REGISTER")
    assert last["Expires"] == "0"
    assert is_proven(last, "recorder", "s3cret")


def test_423_is_obeyed(shared: Any, peer: Any) -> None:
    first = register(shared, peer)
    peer.respond(first, 423, headers="Min-Expires: 30\r\n")
    second = peer.expect("REGISTER")
    assert second["Expires"] == "30"
    peer.respond(second, 200, headers=f"Contact: {second['Contact']};expires=30\r\n")
    shared.take("RegistrationChanged")


def test_423_without_end_is_a_failure(shared: Any, peer: Any) -> None:
    request = register(shared, peer)
    for seconds in range(100, 108):
        peer.respond(request, 423, headers=f"Min-Expires: {seconds}\r\n")
        request = peer.expect("REGISTER")
        assert request["Expires"] == str(seconds)
    peer.respond(request, 423, headers="Min-Expires: 108\r\n")
    assert shared.take("RegistrationChanged")["status"] == 423
    peer.nothing(0.3)


@pytest.mark.parametrize(("status", "headers"), [(403, ""), (401, CHALLENGE.format("x")), (503, "Retry-After: 9\r\n")])
def test_a_refusal_is_told_and_tried_again_later(shared: Any, peer: Any, status: int, headers: str) -> None:
    request = register(shared, peer, account=["recorder", "wrong"])
    peer.respond(request, status, headers=headers)
    if status == 401:
        peer.respond(peer.expect("REGISTER"), 401, headers=CHALLENGE.format("y"))
    changed = shared.take("RegistrationChanged")
    assert (changed["is_registered"], changed["status"]) == (False, status)
    peer.nothing(1.0)  # not at once
