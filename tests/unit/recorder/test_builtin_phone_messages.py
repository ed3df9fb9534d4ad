"""What strangers send to the built-in phone: it takes what it can use, and nothing makes it fail."""

import pytest

from audio.types import Codec
from recorder.demo.phones.builtin_dialog import formats_of, remote_media
from recorder.demo.phones.sip_messages import WireError, parse

SDP = "v=0\r\nc=IN IP4 {host}\r\nm=audio {port} RTP/AVP 8\r\na=rtpmap:{events} telephone-event/8000\r\n"


def sdp(host: str = "192.0.2.7", port: str = "4000", events: str = "101") -> bytes:
    return SDP.format(host=host, port=port, events=events).encode()


def test_audio_goes_to_the_address_that_was_said() -> None:
    assert remote_media(sdp()) == ("192.0.2.7", 4000)
    assert formats_of(sdp(events="96")) == (Codec.PCMA, 96)


@pytest.mark.parametrize(
    "wrong",
    [
        sdp(port="x"), sdp(port="65536"), sdp(port="-1"), sdp(port="9" * 5000), sdp(host="a.example"),
        sdp(host="a" * 70 + ".example"), sdp(host="999.0.0.1"), b"c=IN IP4 192.0.2.7\r\nm=audio ", b"\xff",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_not_sent_to(wrong: bytes) -> None:
    assert remote_media(wrong) is None


@pytest.mark.parametrize("events", ["128", "9" * 5000])
def test_keys_have_a_payload_type_that_there_is(events: str) -> None:
    assert formats_of(sdp(events=events)) == (Codec.PCMA, 101)


def test_a_number_that_is_too_long_is_no_cseq() -> None:
    with pytest.raises(WireError):
        parse(f"INVITE sip:a@b SIP/2.0\r\nCall-ID: c\r\nCSeq: {'9' * 5000} INVITE\r\n\r\n".encode())
