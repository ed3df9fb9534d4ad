"""What is not recorded, not served, or not even answered; and emergency calls, which always pass."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.exchange import Exchange, exchange
from tests.helpers.recorder_home import HANGS_S
from tests.helpers.sip_peer import Caller, Media


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("refused")) as made:
        yield made


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """A recorder with ports for two calls."""
    with exchange(tmp_path_factory.mktemp("narrow"), ports=8) as made:
        yield made


def test_options_are_answered(lines: Exchange) -> None:
    assert exchange_raw(lines, "OPTIONS", "127.0.0.1")[:11] == b"SIP/2.0 200"


def exchange_raw(
    lines: Exchange, method: str, source: str, *, number: str = "2001", timeout_s: float = HANGS_S
) -> bytes:
    """Send one request from an address of loopback; return what comes back, or nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((source, 0))
        sender.settimeout(timeout_s)
        here = f"{source}:{sender.getsockname()[1]}"
        lines_of = [
            f"{method} sip:{number}@127.0.0.1:{lines.home.sip[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {here};branch=z9hG4bKx{here}",
            "Max-Forwards: 70",
            f"From: <sip:x@{here}>;tag=1",
            "To: <sip:2001@127.0.0.1>",
            f"Call-ID: raw-{here}",
            f"CSeq: 1 {method}",
            f"Contact: <sip:x@{here}>",
            "Content-Length: 0",
            "",
            "",
        ]
        sender.sendto("\r\n".join(lines_of).encode(), lines.home.sip)
        try:
            return sender.recv(4096)
        except TimeoutError:
            return b""


def test_strangers_get_no_reply_at_all(lines: Exchange) -> None:
    offered = lines.home.health()["counts"]["offered"]
    for method, number in (("OPTIONS", "2001"), ("INVITE", "2001"), ("INVITE", "999")):
        assert exchange_raw(lines, method, "127.0.0.2", number=number, timeout_s=0.3) == b""
    assert lines.home.health()["counts"]["offered"] == offered


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\r\n\r\n",
        b"INVITE",
        b"\x00" * 400,
        b"INVITE sip:2001@x SIP/2.0\r\nVia: x\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
    ],
)
def test_junk_is_no_reason_to_stop(lines: Exchange, junk: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("127.0.0.1", 0))
        sender.sendto(junk, lines.home.sip)
    assert exchange_raw(lines, "OPTIONS", "127.0.0.1")[:11] == b"SIP/2.0 200"
    assert "Traceback" not in lines.home.said


HEAD = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b"v=0",
        b"m=audio x RTP/AVP 8\r\n",
        b"\xff" * 50,
        HEAD + b"m=audio 9 RTP/AVP 8\r\n",
        HEAD + b"c=IN IP4 300.1.1.1\r\nm=audio 9 RTP/AVP 8\r\n",
        HEAD + b"c=IN IP4 192.0.2.1\r\nm=audio 70000 RTP/AVP 8\r\n",
    ],
)
def test_a_broken_session_description_is_refused_with_a_row(lines: Exchange, body: bytes) -> None:
    with RawCaller(body) as caller:
        call = caller.invite(lines.home.sip, "2001", from_number="01632970001")
        call.wait_ended()
        assert call.status in (400, 488)
    assert "Traceback" not in lines.home.said


class RawCaller(Caller):
    """Sends whatever it is given as its session description."""

    def __init__(self, body: bytes) -> None:
        super().__init__(media=_Raw(ip="127.0.0.1", port=9))
        _Raw.content = body


class _Raw(Media):
    content = b""

    def __bytes__(self) -> bytes:
        return type(self).content


def test_999_is_exempt_from_the_limit_of_calls(tmp_path: Path) -> None:
    with exchange(tmp_path, edits=(("max_calls = 1000", "max_calls = 1"),)) as busy:
        talk = busy.call()
        talk.join()
        one_more = busy.call()
        one_more.first.wait_ended()
        assert one_more.first.status == 503
        busy.home.edit("max_calls = 1", "max_calls = 1000")
        assert busy.home.json("reload")["needs_restart"] == ["limits.max_calls"], "the writer was made for one"
        still_one = busy.call()
        still_one.first.wait_ended()
        assert still_one.first.status == 503
        emergency = busy.call("999")
        emergency.first.wait_confirmed()
        assert emergency.wait_second().invite.uri.startswith("sip:999@")
        emergency.first.hang_up()
        talk.hang_up()
        assert busy.home.rows(number=emergency.number) == []
