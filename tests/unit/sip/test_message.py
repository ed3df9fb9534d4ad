import contextlib
import ipaddress
import re
import time
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sippy.SipURL import SipURL

from sip import message
from sip.message_parser import parse_message
from sip.sanity import check_readable

GOOD = (
    b"INVITE sip:2001@192.0.2.1 SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa\r\n"
    b'f: "A \\"B\\", C" <sip:1@x>;tag=ft\r\nt: <sip:2001@x>\r\ni: id\r\nCSeq: 7 INVITE\r\n'
    b"m:<sip:1@192.0.2.9;Transport=UDP>\r\nDiversion: <sip:1@x>;\r\n\treason=busy\r\n"
    b"c: application/sdp\r\nl: 3\r\n\r\nab\xff"
)


def test_compact_folded_no_blank_and_binary_body() -> None:
    read = parse_message(GOOD)
    assert (read.method, read.cseq, read.call_id, read.branch) == ("INVITE", 7, "id", "z9hG4bKa")
    assert (read.tag("from"), read.tag("to")) == ("ft", None)
    assert read.value("diversion") == "<sip:1@x>; reason=busy"
    assert read.value("Contact") == "<sip:1@192.0.2.9;Transport=udp>"
    assert read.body == b"ab\xff"


@given(st.text(alphabet="0123456789.:[]afx ٣", max_size=20) | st.ip_addresses().map(str))
def test_an_ip_literal_is_what_python_takes_for_one(host: str) -> None:
    try:
        expected = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        assert not message.is_ip(host)
        assert not message.is_ipv4(host)
    else:
        assert message.is_ip(host)
        assert not message.is_ipv4(host) or str(expected) == host


def test_bytes_survive_the_stack() -> None:
    data = GOOD.replace(b'"A ', '"Å… '.encode())
    text = parse_message(data).text_for_stack()
    assert len(text.splitlines()) == text.count("\r\n") + 1
    assert message.encode_for_wire(text).endswith(b"\r\n\r\nab\xff")
    assert "Å…".encode() in message.encode_for_wire(text)


def test_an_odd_character_cannot_begin_a_line() -> None:
    text = parse_message(GOOD.replace(b'"A ', '"A\u2028Via: evil\x85'.encode())).text_for_stack()
    assert not any(line.startswith("Via: evil") for line in text.splitlines())
    assert message.one_line("a\r\nVia: x") == "a  Via: x"


def test_body_is_cut_and_lf_alone_accepted() -> None:
    assert parse_message(GOOD + b"trailing").body == b"ab\xff"
    assert parse_message(b"\r\n\r\n" + GOOD.replace(b"\r\n", b"\n")).body == b"ab\xff"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"SIP/2.0\r\nv", b"HTTP/1.1\r\nv"),
        (b"i: id\r\n", b""),
        (b"7 INVITE", b"7 BYE"),
        (b"7 INVITE", b"4294967296 INVITE"),
        (b"l: 3", b"l: 4"),
        (b"l: 3", b"l: x"),
        (b"l: 3", b"l: " + b"1" * 5000),
        (b"CSeq", b"no colon here\r\nCSeq"),
        (b"\r\n\r\n", b"\r\n"),
        (b"i: id\r\n", b"i: id\r\n" + b"X: 1\r\n" * 300),
    ],
)
def test_malformed(old: bytes, new: bytes) -> None:
    assert old in GOOD
    with pytest.raises(message.MalformedMessageError):
        parse_message(GOOD.replace(old, new, 1))


@given(st.integers(0, len(GOOD)), st.binary(max_size=30), st.integers(0, 20))
def test_fuzz(at: int, noise: bytes, dropped: int) -> None:
    """Whatever comes, only MalformedMessageError is raised, and what is read can be handed on."""
    with contextlib.suppress(message.MalformedMessageError):
        read = parse_message(GOOD[:at] + noise + GOOD[at + dropped :])
        message.encode_for_wire(read.text_for_stack())


def test_parts_of_addresses() -> None:
    assert message.user_part('"x <sip:no@y>" <sip:+44;ext=1:pw@h;user=phone>;tag=1') == "+44"
    assert message.user_part("<tel:+4420;phone-context=x>") == "+4420"
    assert message.user_part("sip:host") == ""
    assert message.display_name('"A \\"B\\", C" <sip:1@x>') == 'A "B", C'
    assert message.display_name("Jo <sip:1@x>") == "Jo"
    assert message.split_values('<sip:a,b@x>;x="1,2", <sip:c@x>') == ['<sip:a,b@x>;x="1,2"', "<sip:c@x>"]


def test_numbers_are_masked() -> None:
    assert message.masked("INVITE sip:+442079460123@x") == "INVITE sip:+*********123@x"


def test_escaped_is_the_same_user() -> None:
    assert message.user_part("<sip:%32001@h>") == "2001"
    assert message.user_part("<sip:*21%23@h>") == "*21#"
    assert message.user_part("sip:a%40b%0d%0aX@h") == "a@b  X"
    assert message.user_part("tel:%2B44") == "+44"


@pytest.mark.parametrize(
    "written",
    [
        "2002;x=y",
        "2002%3bx",
        "2002%3Bphone-context=x",
        "2002:pw",
        "2002%3apw",
        "2002%2F",
        "2002/x",
        "2002%26x",
        "2002,x",
        "2002%253bx",
    ],
)
def test_the_user_ends_where_a_peer_may_end_it(written: str) -> None:
    assert message.user_part(f"<sip:{written}@h>") == "2002"


@pytest.mark.parametrize("written", ["2002%2F", "2002/x", "2002%26x", "2002&x", "2002,x", "2002?x", "2002%253bx"])
def test_a_user_that_peers_read_differently_is_ambiguous(written: str) -> None:
    assert message.is_ambiguous_user(f"<sip:{written}@h>")


@pytest.mark.parametrize(
    "written", ["2002", "+44", "20-02", "20%2002", "2002;x=y", "2002%3bx", "a%40b", "*21%23", "ann=1"]
)
def test_other_users_are_not(written: str) -> None:
    assert not message.is_ambiguous_user(f"<sip:{written}@h>")


@given(
    user=st.text("0123456789+*#abAB-. ", min_size=1, max_size=8),
    rest=st.text(";:/?&,%=@x2", max_size=4),
    escaped=st.sets(st.integers(0, 12)),
    is_upper=st.booleans(),
)
def test_what_is_sent_is_read_as_what_was_judged(user: str, rest: str, escaped: set[int], is_upper: bool) -> None:
    """Whatever is escaped in a user: its reading, written into a URI by the SIP stack and read again, is the same."""

    def written(at: int, char: str) -> str:
        is_escaped = at in escaped or char in " #%@"
        return (f"%{ord(char):02X}" if is_upper else f"%{ord(char):02x}") if is_escaped else char

    address = f"sip:{''.join(written(at, char) for at, char in enumerate(user + rest))}@h"
    judged = message.user_part(address)
    assert judged == message.user_part(str(SipURL(username=judged, host="h")))
    # A peer that resolves escapes before it splits, and one that does it twice, read no other number.
    sent = str(SipURL(username=judged, host="h")).removeprefix("sip:").rpartition("@")[0]
    assert re.split("[;:/?&,]", unquote(unquote(sent)), maxsplit=1)[0] == judged


def test_a_quote_that_is_not_closed_costs_little() -> None:
    value = '"' + '\\"' * 4000
    start = time.perf_counter()
    assert message.strip_quoted(value) == '""'
    assert message.strip_quoted(value + "\\") == '""'
    assert time.perf_counter() - start < 0.05  # by the square of the length it is 0.3 s
    assert message.strip_quoted('"a" <sip:x@h>;p="b;tag=no";tag=yes') == '"" <sip:x@h>;p="";tag=yes'


def test_where_a_response_goes_is_not_the_senders_to_claim() -> None:
    claimed = GOOD.replace(b";branch=z9hG4bKa", b";received=203.0.113.7;rport=9;branch=z9hG4bKa")
    assert parse_message(claimed).value("via") == "SIP/2.0/UDP 192.0.2.9;rport;branch=z9hG4bKa"


LARGEST = 59_000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("v", "SIP/2.0/UDP 192.0.2.9" + " " * LARGEST + "x"),
        ("v", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa" + "\t" * LARGEST + "x"),
        ("t", "<sip:2001@x>" + ">," * (LARGEST // 2)),
        ("Record-Route", "<sip:192.0.2.9;lr>" + ">," * (LARGEST // 2)),
        ("m", "<sip:1@192.0.2.9>" + "," * LARGEST),
        ("Route", ", ".join(["<sip:192.0.2.9;lr>"] * (LARGEST // 20))),
    ],
)
def test_no_packet_takes_the_square_of_its_length(name: str, value: str) -> None:
    head = {b"v": b"SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa", b"f": b"<sip:1@x>;tag=ft", b"t": b"<sip:2001@x>"}
    lines = [key + b": " + text for key, text in {**head, name.encode(): value.encode()}.items()]
    began_s = time.process_time()
    with contextlib.suppress(message.MalformedMessageError):
        last = b"i: id\r\nCSeq: 7 INVITE\r\n\r\n"
        check_readable(parse_message(b"\r\n".join([b"INVITE sip:2001@x SIP/2.0", *lines, last])))
    assert time.process_time() - began_s < 0.5


def test_blanks_around_separators_of_a_via_are_removed() -> None:
    read = parse_message(GOOD.replace(b"192.0.2.9;branch=z9hG4bKa", b"192.0.2.9 : 5060 ; branch =\tz9hG4bKa ;x"))
    assert read.value("via") == "SIP/2.0/UDP 192.0.2.9 : 5060;branch=z9hG4bKa;x"
