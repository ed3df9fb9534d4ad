"""However a stream is cut, the same frames come out of it; nothing wrong gets past its end."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sip.framing import MAX_BODY_BYTES, MAX_HEAD_BYTES, Broken, Frame, Framed, Pinged, StreamFramer
from sip.message import MalformedMessageError
from sip.message_parser import parse_message

HEADERS = (
    "Via: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@y>\r\n"
    "Call-ID: c1\r\nCSeq: 1 INVITE\r\n"
)


def request(body: bytes = b"", *, length: str | None = None, method: str = "INVITE", more: str = "") -> bytes:
    stated = f"Content-Length: {len(body) if length is None else length}\r\n"
    head = HEADERS.replace("INVITE", method) + more + stated
    return f"{method} sip:b@y SIP/2.0\r\n{head}\r\n".encode() + body


def frames(*pieces: bytes) -> list[Frame]:
    framer = StreamFramer()
    return [frame for piece in pieces for frame in framer.feed(piece)]


def bytewise(data: bytes) -> list[Frame]:
    return frames(*(data[i : i + 1] for i in range(len(data))))


ANSWER = b"SIP/2.0 200 OK\r\n" + HEADERS.encode() + b"l: 0\r\n\r\n"
GOOD = [request(), request(b"v=0\r\n\r\nx"), ANSWER, request(b"\xff\x00\r\n", more="Subject: a\r\n b\r\n")]
LF_ONLY = request(b"body").replace(b"\r\n", b"\n")


@pytest.mark.parametrize("message", [*GOOD, LF_ONLY])
def test_a_message_whole_and_byte_by_byte(message: bytes) -> None:
    expected = [Framed(data=message)]
    assert frames(message) == expected
    assert bytewise(message) == expected
    assert parse_message(message).start_line in message.decode("latin-1")


def test_two_in_one_segment_and_what_follows_waits() -> None:
    first, second = GOOD[0], GOOD[1]
    framer = StreamFramer()
    assert framer.feed(first + second + b"BYE ") == [Framed(data=first), Framed(data=second)]
    assert not framer.is_between


@pytest.mark.parametrize(
    ("data", "pings"),
    [
        (b"\r\n\r\n", 1),
        (b"\r\n", 0),
        (b"\r\n\r\n\r\n\r\n", 2),
        (b"\n\r\n\r\n", 1),
        (b"\r\r\n\r\n", 1),
        (b"\n\n\n", 0),
        (b"\r\n\r\n\r\n", 1),
    ],
)
def test_keep_alives_before_a_message(data: bytes, pings: int) -> None:
    expected = [*[Pinged()] * pings, Framed(data=request())]
    assert frames(data + request()) == expected
    assert bytewise(data + request()) == expected
    framer = StreamFramer()
    assert len(framer.feed(data)) == pings
    assert framer.is_between


@pytest.mark.parametrize(
    ("data", "why", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01", "begin no message", None),
        (b"GET / HTTP/1.1\r\n\r\n", "neither a request", None),
        (b"hello\r\n", "neither a request", None),
        (b"A" * 9000, "without end", None),
        (request(length="x"), "Content-Length", b"400"),
        (request(length="-1"), "Content-Length", b"400"),
        (request(length="9" * 40), "Content-Length", b"400"),
        (request(length=str(MAX_BODY_BYTES + 1)), "a body of", b"513"),
        (request(more="l: 5\r\n"), "Content-Length", b"400"),
        (request().replace(b"Content-Length", b"Content-Size"), "Content-Length", b"400"),
        (request(method="ACK", length="x"), "Content-Length", None),
        (ANSWER.replace(b"l: 0", b"l: x"), "Content-Length", None),
        (request(length="x").replace(b"Via", b"Vio"), "Content-Length", None),
        (request(more="X: " + "y" * MAX_HEAD_BYTES + "\r\n"), "a head of over", None),
        (request().replace(b"Via:", b"Via"), "no header", None),
        (request(more="X: 1\r\n" * 300), "headers", b"400"),
    ],
)
def test_broken_streams(data: bytes, why: str, status: bytes | None) -> None:
    for found in (frames(data, request()), bytewise(data)):
        assert len(found) == 1
        broken = found[0]
        assert isinstance(broken, Broken)
        assert why in broken.why
        assert (broken.response or b"")[8:11] == (status or b"")
    assert frames(request() + data, request())[0] == Framed(data=request())


def test_a_refusal_copies_what_a_response_must_have() -> None:
    found = frames(request(length="x"))[0]
    assert isinstance(found, Broken)
    assert found.response is not None
    answer = parse_message(found.response)
    assert (answer.status, answer.call_id, answer.cseq, answer.branch) == (400, "c1", 1, "z9hG4bK1")


def test_the_same_length_twice_is_one_length() -> None:
    message = request(b"abc", more="l: 3\r\n")
    assert frames(message) == [Framed(data=message)]


PIECES = st.one_of(
    st.sampled_from([*GOOD, LF_ONLY, b"\r\n\r\n", b"\r\n", b"\n", b"\r", request(length="7"), request(length="x")]),
    st.binary(max_size=40),
)


@given(st.lists(PIECES, max_size=6), st.lists(st.integers(0, 2000), max_size=12))
def test_the_same_frames_however_it_is_cut(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(pieces)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    expected = frames(data)
    assert frames(*(data[a:b] for a, b in itertools.pairwise(edges))) == expected
    assert bytewise(data) == expected
    assert all(not isinstance(frame, Broken) for frame in expected[:-1])


@given(st.lists(PIECES, max_size=6))
def test_what_is_framed_is_read_to_its_last_byte(pieces: list[bytes]) -> None:
    for frame in frames(b"".join(pieces)):
        if isinstance(frame, Framed):
            try:
                message = parse_message(frame.data)
            except MalformedMessageError:
                continue
            assert frame.data.endswith(message.body)
            assert parse_message(frame.data + b"more") == message
