"""Netstrings, in which baresip is commanded, and what the end of a call is called."""

import pytest

from recorder.demo.phones.baresip_control import NetstringError, NetstringReader, netstring
from recorder.demo.phones.baresip_device import end_status

MESSAGES = [b"", b"hello", b'{"event":true}', b"1:a,", b"x" * 1000]


def test_netstrings_are_read_whole_and_byte_by_byte() -> None:
    stream = b"".join(netstring(message) for message in MESSAGES)
    assert netstring(b"hello") == b"5:hello,"
    assert NetstringReader().feed(stream) == MESSAGES
    reader = NetstringReader()
    assert [message for at in range(len(stream)) for message in reader.feed(stream[at : at + 1])] == MESSAGES
    assert NetstringReader().feed(stream + b"3:ab") == MESSAGES


@pytest.mark.parametrize("broken", [b"x", b"5hello,", b"-1:,", b":", b"3:abcd", b"99999999", b"9999999:"])
def test_what_is_no_netstring_is_refused(broken: bytes) -> None:
    with pytest.raises(NetstringError):
        NetstringReader().feed(broken)


@pytest.mark.parametrize(
    ("reason", "direction", "is_up", "code"),
    [
        ("Connection reset by peer", "incoming", True, 200),
        ("Connection reset by user", "outgoing", True, 200),
        ("486 Busy Here", "outgoing", False, 486),
        ("603 Decline", "outgoing", False, 603),
        ("Connection reset by peer", "incoming", False, 487),
        ("Connection reset by user", "outgoing", False, 487),
        ("Connection timed out", "outgoing", False, 408),
        ("Connection refused", "outgoing", False, 503),
        ("", "outgoing", False, 503),
    ],
)
def test_the_end_of_a_call_has_a_status(reason: str, direction: str, is_up: bool, code: int) -> None:
    status, phrase = end_status(reason, direction, is_up=is_up)
    assert status == code
    assert phrase
