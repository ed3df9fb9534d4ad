"""Kamailio alone, with no recorder left: strange requests of the trunk get round neither the rule nor the list."""

import itertools
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass

import pytest

from tests.helpers.kamailio import Kamailio, kamailio
from tests.helpers.recorder_home import HANGS_S, eventually

pytestmark = [pytest.mark.peer, pytest.mark.cluster]
KAMAILIO, TRUNK, PBX, NOBODY = "127.0.0.21", "127.0.0.31", "127.0.0.41", "127.0.0.51"
_branches = itertools.count()


def bound(host: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host, 0))
    made.settimeout(HANGS_S)
    return made


def received(on: socket.socket, text: str) -> bytes:
    """Return the next message with a text; others are repeated, since nobody answers for the PBX."""
    return next(data for data in iter(lambda: on.recv(4096), b"") if text.encode() in data)


@dataclass
class Site:
    """Kamailio between the sockets of a trunk and a PBX."""

    proxy: Kamailio
    trunk: socket.socket
    pbx: socket.socket

    def invite(self, number: str, call_id: str, tag: str = "a") -> int:
        """Send an INVITE; return the status of the answer, or 100 when it is at the PBX."""
        branch = f"z9hG4bK{next(_branches)}x"
        here, there = ("{}:{}".format(*one) for one in (self.trunk.getsockname(), self.proxy.address))
        self.trunk.sendto(
            f"INVITE sip:{number}@{there} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch={branch}\r\n"
            f"Max-Forwards: 9\r\nFrom: <sip:01632960001@{here}>;tag={tag}\r\nTo: <sip:{number}@{there}>\r\n"
            f"Call-ID: {call_id}\r\nCSeq: 1 INVITE\r\nContact: <sip:{here}>\r\nContent-Length: 0\r\n\r\n".encode(),
            self.proxy.address,
        )
        status = int(received(self.trunk, branch).split(b" ", 2)[1])
        if status == 100:
            request = received(self.pbx, branch)
            assert f"INVITE sip:{number}@".encode() in request
            assert b"X-Not-Recorded: no recorder" in request
        return status


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with ExitStack() as stack:
        front, trunk, pbx, nobody = (stack.enter_context(closing(bound(h))) for h in (KAMAILIO, TRUNK, PBX, NOBODY))
        address = front.getsockname()
        front.close()
        proxy = stack.enter_context(
            kamailio(
                tmp_path_factory.mktemp("strange"), address=address, trunk=trunk.getsockname(), pbx=pbx.getsockname(),
                recorders=[nobody.getsockname()],
                defined={"MUST_BE_RECORDED": '"^2001$"', "PING_MS": "100"},
            )
        )  # fmt: skip
        eventually(lambda: not proxy.gives_calls_to(), "Kamailio knows that no recorder answers")
        yield Site(proxy, trunk, pbx)


@pytest.mark.parametrize(
    ("number", "status", "listed"),
    [
        ("2001", 503, "2001"),
        ("%32001", 503, "2001"),
        ("2001;phone-context=example.gov.uk", 503, "2001"),
        ("2001%3bx", 503, "-"),
        ("2002;npdi", 100, "2002"),
    ],
)
def test_an_extension_is_the_same_however_its_uri_is_written(site: Site, number: str, status: int, listed: str) -> None:
    """RFC 3261 section 19.1.4; the recorder reads it so too (`sip.message.user_part`)."""
    call_id = f"call-{number}".replace(";", ".")
    assert site.invite(number, call_id) == status
    (found,) = (one for one in site.proxy.listed() if one.call_id == call_id)
    assert (found.extension, found.is_refused) == (listed, status == 503)


@pytest.mark.parametrize(
    ("call_id", "tag"), [("one\r\n two", "a"), ("one\x0btwo", "a"), ("one\u2028two", "a"), ("three", "a\u0085b")]
)
def test_no_request_breaks_the_lines_of_the_list(site: Site, call_id: str, tag: str) -> None:
    before = site.proxy.listed()
    assert site.invite("2002", call_id, tag) == 400
    assert site.proxy.listed() == before


def test_an_emergency_number_is_one_however_it_is_written(site: Site) -> None:
    before = site.proxy.listed()
    here = "{}:{}".format(*site.pbx.getsockname())
    there = "{}:{}".format(*site.proxy.address)
    site.pbx.sendto(
        f"INVITE sip:%39%39%39;x=y@{there} SIP/2.0\r\nMax-Forwards: 9\r\n"
        f"Via: SIP/2.0/UDP {here};branch=z9hG4bKemergency\r\n"
        f"From: <sip:2001@{here}>;tag=e\r\nTo: <sip:999@{there}>\r\nCall-ID: e\r\nCSeq: 1 INVITE\r\n"
        f"Contact: <sip:{here}>\r\nContent-Length: 0\r\n\r\n".encode(),
        site.proxy.address,
    )
    assert received(site.trunk, "z9hG4bKemergency").startswith(b"INVITE sip:%39%39%39;x=y@")
    assert site.proxy.listed() == before


DIGITS, CALLER = "4929130718346275", "01632960002"
_UNREADABLE = {
    "Via: SIP/2.0/UDP": "Via: x",
    "Content-Length: 25": "Content-Length: x",
    f"<sip:{CALLER}@x>;tag=1": f"<sip:{CALLER};tag=1",
    f"sip:{CALLER}@x SIP": f"sip:{CALLER}@ SIP",
    "\r\n\r\nSignal": "\r\nSignal",
}
"""What makes a message one that Kamailio cannot read."""


def request(method: str, to: str) -> str:
    return (
        f"{method} sip:{CALLER}@x SIP/2.0\r\nVia: SIP/2.0/UDP {TRUNK};branch=z9hG4bK\r\nMax-Forwards: 9\r\n"
        f"From: <sip:{CALLER}@x>;tag=1\r\nTo: <sip:2001@x>{to}\r\nCall-ID: unreadable\r\nCSeq: 1 {method}\r\n"
        f"Content-Type: application/dtmf-relay\r\nContent-Length: 25\r\n\r\nSignal={DIGITS}\r\n"
    )


def test_what_cannot_be_read_is_not_logged(site: Site) -> None:
    for good, bad in _UNREADABLE.items():
        for message in (request("INFO", ";tag=2"), request("INVITE", "")):
            assert message.count(good) == 1
            site.trunk.sendto(message.replace(good, bad).encode(), site.proxy.address)
    for _ in range(8):  # each of its processes has had a turn
        eventually(site.proxy.answers, "it answers")
    eventually(lambda: "failed to get From header" in site.proxy.said, "it says that it cannot read one")
    assert DIGITS not in site.proxy.said
    assert CALLER not in site.proxy.said
