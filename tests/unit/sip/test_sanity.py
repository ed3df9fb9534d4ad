"""What sippy has of a message that it can read, and that its responses repeat headers as they came."""

import pytest

from sip.message import MalformedMessageError
from sip.message_parser import parse_message
from sip.sanity import check_readable

TO = '"Ann"   <sip:2001@x>;odd'
ROUTE = "<sip:192.0.2.7;lr=on>;x=1"
BYE = (
    "BYE sip:2001@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKa\r\n"
    f"From: <sip:1@x>;tag=ft\r\nTo: {TO}\r\nCall-ID: id\r\nCSeq: 7 BYE\r\nRecord-Route: {ROUTE}\r\n\r\n"
)


def test_a_message_is_read_once_and_what_responses_repeat_stays_as_it_came() -> None:
    parsed = check_readable(parse_message(BYE.encode()))
    assert parsed.getHFBody("from").getTag() == "ft"
    written = parsed.genResponse(481, "Gone").localStr()
    assert f"\r\nTo: {TO}\r\n" in written
    assert f"\r\nRecord-Route: {ROUTE}\r\n" in written


@pytest.mark.parametrize(("old", "new"), [(ROUTE, "<sip:192.0.2.7:99999;lr>"), (TO, "<sip:2001@x:y>")])
def test_what_responses_repeat_is_checked_too(old: str, new: str) -> None:
    with pytest.raises(MalformedMessageError):
        check_readable(parse_message(BYE.replace(old, new).encode()))
