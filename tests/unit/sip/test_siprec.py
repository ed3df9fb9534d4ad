"""Bodies of SIPREC clients: whatever one looks like, its two parts are found or it has none; nothing is raised."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sip.siprec import MAX_BYTES, MAX_PARTS, Parts, is_metadata_type, take_apart
from tests.helpers.extent import CHARACTERS

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nm=audio 4000 RTP/AVP 8\r\na=label:1\r\n"
XML = b'<?xml version="1.0"?>\r\n<recording xmlns="urn:ietf:params:xml:ns:recording:1"/>\r\n'
TYPE = "multipart/mixed; boundary=b1"
SDP_PART = b"--b1\r\nContent-Type: application/sdp\r\n\r\n" + SDP + b"\r\n"
XML_PART = (
    b"--b1\r\nContent-Type: application/rs-metadata+xml\r\nContent-Disposition: recording-session\r\n\r\n"
    + XML
    + b"\r\n"
)
END = b"--b1--\r\n"
BOTH = SDP_PART + XML_PART + END
SWAPPED = SDP_PART.replace(b"sdp\r", b"rs-metadata\r") + XML_PART.replace(b"rs-metadata+xml", b"sdp") + END
WHOLE = Parts(sdp=SDP, metadata=XML)


def test_as_the_rfc_has_it() -> None:
    assert take_apart(BOTH, TYPE) == WHOLE


@pytest.mark.parametrize(
    ("name", "body", "content_type"),
    [
        ("quoted boundary", BOTH, 'multipart/mixed;boundary="b1"'),
        ("boundary in capitals, other parameters", BOTH, "Multipart/Mixed; charset=x; BOUNDARY=b1;v=1"),
        ("metadata first", XML_PART + SDP_PART + END, TYPE),
        ("no closing boundary", SDP_PART + XML_PART, TYPE),
        ("a preamble and an epilogue", b"This is MIME.\r\n\r\n" + BOTH + b"bye\r\n", TYPE),
        ("blanks after the boundaries", BOTH.replace(b"b1\r\n", b"b1 \t\r\n"), TYPE),
        ("no blank after a colon", BOTH.replace(b": app", b":app"), TYPE),
        ("folded", BOTH.replace(b": app", b":\r\n app"), TYPE),
        ("compact", BOTH.replace(b"Content-Type", b"c"), TYPE),
        ("capitals", BOTH.replace(b"Content-Type", b"CONTENT-TYPE"), TYPE),
        ("RFC 7866's type", BOTH.replace(b"metadata+xml", b"metadata"), TYPE),
        ("a charset", BOTH.replace(b"+xml", b"+xml;charset=UTF-8"), TYPE),
        ("a wrong type", BOTH.replace(b"application/rs-metadata+xml", b"text/plain"), TYPE),
        ("both types wrong", BOTH.replace(b"application/", b"text/x-"), TYPE),
        ("types swapped", SWAPPED, TYPE),
        ("no headers", b"--b1\r\n\r\n" + SDP + b"\r\n--b1\r\n\r\n" + XML + b"\r\n" + END, TYPE),
        ("no empty line", BOTH.replace(b"sdp\r\n\r\n", b"sdp\r\n"), TYPE),
        ("a wrong inner length", BOTH.replace(b"Content-Type", b"Content-Length: 3\r\nContent-Type"), TYPE),
        ("a boundary that is another's", BOTH, "multipart/mixed;boundary=other"),
        ("no boundary parameter", BOTH, "multipart/mixed"),
        ("indented delimiters", (BOTH).replace(b"--b1", b"  --b1"), TYPE),
        ("no type at all", BOTH, ""),
        ("not closed quotes", BOTH, 'multipart/mixed;boundary="b1'),
    ],
)  # fmt: skip
def test_quirks_of_clients(name: str, body: bytes, content_type: str) -> None:
    assert take_apart(body, content_type) == WHOLE, name


@pytest.mark.parametrize("boundary", ["unique-boundary-1", "foo'()+_,-./:=?bar", "==b--", "a b", "-", "0"])
def test_boundaries_of_any_characters(boundary: str) -> None:
    body = BOTH.replace(b"--b1", b"--" + boundary.encode())
    assert take_apart(body, f'multipart/mixed;boundary="{boundary}"') == WHOLE
    if " " not in boundary:
        assert take_apart(body, f"multipart/mixed;boundary={boundary}") == WHOLE


@pytest.mark.parametrize("ending", [b"\n", b"\r"])
def test_other_line_ends(ending: bytes) -> None:
    body = BOTH.replace(b"\r\n", ending)
    assert take_apart(body, TYPE) == Parts(sdp=SDP.replace(b"\r\n", ending), metadata=XML.replace(b"\r\n", ending))


def test_a_third_part_is_counted_and_passed_over() -> None:
    third = b"--b1\r\nContent-Type: application/x-vendor\r\nContent-Disposition: x;handling=optional\r\n\r\nab\r\n"
    for body in (third + SDP_PART + XML_PART, SDP_PART + third + XML_PART, SDP_PART + XML_PART + third):
        assert take_apart(body + END, TYPE) == Parts(sdp=SDP, metadata=XML, others=1)


def test_transfer_encodings() -> None:
    coded = (
        b"--b1\r\nContent-Type: application/rs-metadata+xml\r\nContent-Transfer-Encoding: BASE64\r\n\r\n"
        + base64.encodebytes(XML)
        + b"--b1\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        + SDP.replace(b"=", b"=3D")
        + b"\r\n"
    )
    assert take_apart(coded + END, TYPE) == WHOLE
    broken = XML_PART.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n", 1)
    assert take_apart(SDP_PART + broken.replace(XML, b"<recording>x" + b"\r\n") + END, TYPE).sdp == SDP


def test_a_multipart_inside_another() -> None:
    inner = BOTH.replace(b"b1", b"inner")
    outer = b"--b1\r\nContent-Type: multipart/related;boundary=inner\r\n\r\n" + inner + b"\r\n" + END
    assert take_apart(outer, TYPE) == WHOLE


def test_bodies_of_one_part() -> None:
    assert take_apart(SDP, "application/sdp") == Parts(sdp=SDP)
    assert take_apart(SDP, "application/SDP; charset=utf-8") == Parts(sdp=SDP)
    assert take_apart(XML, "application/rs-metadata") == Parts(metadata=XML)
    assert take_apart(XML, "application/xml") == Parts(metadata=XML)
    assert take_apart(b"Signal=1\r\n", "application/dtmf-relay") == Parts(others=1)
    assert take_apart(b"", "multipart/mixed;boundary=b1") == Parts()
    assert take_apart(SDP * (MAX_BYTES // len(SDP) + 1), "application/sdp") == Parts(others=1)


def test_a_request_for_metadata_is_none() -> None:
    assert not is_metadata_type("application/rs-metadata-request")
    assert is_metadata_type("Application/RS-Metadata+XML;charset=utf-8")


def test_parts_are_bounded() -> None:
    many = take_apart(b"--b1\r\n\r\nx\r\n" * 10_000, TYPE)
    assert many.others == MAX_PARTS
    deep = "multipart/mixed;boundary=b1"
    body = SDP
    for _ in range(50):
        body = b"--b1\r\nContent-Type: " + deep.encode() + b"\r\n\r\n" + body
    assert take_apart(body, TYPE).sdp is None


@pytest.mark.parametrize("end", range(0, len(BOTH), 7))
def test_a_truncated_body_gives_what_is_whole(end: int) -> None:
    found = take_apart(BOTH[:end], TYPE)
    assert found.sdp is None or SDP.startswith(found.sdp.rstrip(b"-"))
    if end > BOTH.index(b"--b1", 4) + 6:
        assert found.sdp == SDP


@settings(deadline=None)
@given(st.binary(max_size=400), st.text(CHARACTERS, max_size=60))
def test_random_bytes_raise_nothing(content: bytes, content_type: str) -> None:
    take_apart(content, content_type)
    take_apart(content, "multipart/mixed;" + content_type)
    take_apart(b"--" + content, 'multipart/mixed;boundary="' + content_type)


@settings(deadline=None)
@given(st.integers(0, len(BOTH) - 1), st.binary(max_size=4), st.integers(0, 8))
def test_a_damaged_body_raises_nothing(at: int, junk: bytes, cut: int) -> None:
    take_apart(BOTH[:at] + junk + BOTH[at + cut :], TYPE)


def test_hostile_bodies_take_no_time() -> None:
    """By the square of their length these would take minutes."""
    take_apart(b"\r\n" * 250_000, TYPE)
    take_apart(b"--" * 250_000, TYPE)
    take_apart(b"--b1\r\n" + b" x\r\n" * 100_000, TYPE)
    take_apart(b"--b1\r\na:b\r\n" + b" x\r\n" * 100_000, TYPE)
    take_apart(b"x", "multipart/mixed;boundary=" + '"' * 60_000)
    take_apart(b"x", "multipart/mixed" + ";boundary=" * 10_000)
