"""Answers of a recording server: every m-line in its place, received only, labels and ports as they were."""

import dataclasses
from typing import NamedTuple

import pytest

from sip import offer_answer, recording_sdp, sdp
from sip.sdes import Srtp

SESSION = offer_answer.LocalStream(ip="192.0.2.1", rtp_port=0, session_id=77)
HEAD = "v=0\r\no=src 5 6 IN IP4 192.0.2.9\r\ns=-\r\n"
TWO = (
    "m=audio 4000 RTP/AVP 8 101\r\nc=IN IP4 192.0.2.9\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=sendonly\r\na=label:96\r\n"
    "m=audio 4002 RTP/AVP 0\r\nc=IN IP4 192.0.2.9\r\na=sendonly\r\na=label:97\r\n"
)


def local(port: int) -> offer_answer.LocalStream:
    return offer_answer.LocalStream(ip="192.0.2.1", rtp_port=port, session_id=0)


class Answer(NamedTuple):
    """An answer, with the session to keep for the next one."""

    lines: tuple[recording_sdp.Line, ...]
    content: bytes
    session: offer_answer.LocalStream


def answered(
    text: str, ports: list[int | None], session: offer_answer.LocalStream = SESSION, record: str | None = None
) -> Answer:
    offer = sdp.parse((HEAD + text).encode())
    lines = recording_sdp.answer(offer, session.srtp, [None if p is None else local(p) for p in ports])
    written = recording_sdp.describe(session, lines, record=record)
    return Answer(lines, written.content, written.local)


def sections(answer: Answer) -> list[list[str]]:
    head, *rest = answer.content.decode().split("m=")
    assert head.startswith("v=0\r\no=- 77 ")
    return [("m=" + one).split("\r\n")[:-1] for one in rest]


def test_two_lines_are_received_and_labelled() -> None:
    answer = answered(TWO, [30000, 30002])
    first, second = sections(answer)
    assert first[0] == "m=audio 30000 RTP/AVP 8 101"
    assert second[0] == "m=audio 30002 RTP/AVP 0"
    assert "a=label:96" in first
    assert "a=label:97" in second
    for lines in (first, second):
        assert "a=recvonly" in lines
        assert not {"a=sendrecv", "a=sendonly"} & set(lines)
    assert [line.is_active for line in answer.lines] == [True, True]
    assert answer.lines[0].media is not None
    assert not answer.lines[0].media.sends


@pytest.mark.parametrize(
    ("offered", "answer"),
    [("sendonly", "recvonly"), ("sendrecv", "recvonly"), ("inactive", "inactive"), ("recvonly", "inactive")],
)
def test_directions(offered: str, answer: str) -> None:
    got = answered(TWO.replace("sendonly", offered), [30000, 30002])
    assert all(f"a={answer}" in lines for lines in sections(got))
    assert [line.is_active for line in got.lines] == [answer == "recvonly"] * 2


def test_a_line_that_cannot_be_recorded_is_rejected_in_its_place() -> None:
    video = "m=video 5000 RTP/AVP 96\r\nc=IN IP4 192.0.2.9\r\na=label:v\r\n"
    g729 = "m=audio 5002 RTP/AVP 18\r\nc=IN IP4 192.0.2.9\r\na=label:g\r\n"
    got = answered(video + TWO + g729, [None, 30000, 30002, 30004])
    assert [lines[0].split()[1] for lines in sections(got)] == ["0", "30000", "30002", "0"]
    assert "a=label:v" in sections(got)[0]
    assert got.lines[3].media is None


@pytest.mark.parametrize("connection", ["", "c=IN IP4 src.example\r\n", "c=IN IP4 X.X.X.X\r\n", "c=IN IP4 0.0.0.0\r\n"])
def test_who_only_listens_needs_no_address(connection: str) -> None:
    answer = answered(f"m=audio 4000 RTP/AVP 8\r\n{connection}a=sendonly\r\na=label:1\r\n", [30000])
    (lines,) = sections(answer)
    assert lines[0] == "m=audio 30000 RTP/AVP 8"
    assert "a=recvonly" in lines
    assert answer.lines[0].is_active


def test_nothing_to_record_is_refused() -> None:
    for text in (
        "m=audio 4000 RTP/AVP 18\r\nc=IN IP4 192.0.2.9\r\n",
        "",
        "m=audio 0 RTP/AVP 8\r\nc=IN IP4 1.2.3.4\r\n",
    ):
        with pytest.raises(sdp.UnacceptableError):
            answered(text, [30000])
    with pytest.raises(sdp.UnacceptableError):
        answered(TWO, [30000, 30002], dataclasses.replace(SESSION, srtp=Srtp.REQUIRED))


def test_a_line_without_an_address_is_received_all_the_same() -> None:
    """Nothing is sent to it: some clients leave c= out altogether."""
    got = answered(TWO.replace("c=IN IP4 192.0.2.9\r\n", ""), [30000, 30002])
    assert [line.is_active for line in got.lines] == [True, True]


@pytest.mark.parametrize(
    ("offered", "answered_with"),
    [("0 8 101", "0 8 101"), ("8 0 101", "8 0 101"), ("18 9 101 0 8", "9 0 8 101"), ("9", "9"), ("96 8 0", "96 0")],
)
def test_every_codec_is_answered_in_the_order_of_the_offer(offered: str, answered_with: str) -> None:
    """RFC 3264 section 6.1; one codec under two payload types has the first."""
    line = f"m=audio 4000 RTP/AVP {offered}\r\na=rtpmap:96 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    got = answered(line, [30000])
    assert sections(got)[0][0] == f"m=audio 30000 RTP/AVP {answered_with}"
    media = got.lines[0].media
    assert media is not None
    formats = [str(media.receive_pt), *(str(one.receive_pt) for one in media.more)]
    assert formats == [pt for pt in answered_with.split() if pt != "101"]


def test_at_most_so_many_lines_get_a_port() -> None:
    offer = sdp.parse((HEAD + TWO * 4).encode())
    assert recording_sdp.usable(offer, SESSION) == (0, 1, 2, 3)
    idle = TWO.replace("sendonly", "inactive")
    assert recording_sdp.usable(sdp.parse((HEAD + idle * 2 + TWO).encode()), SESSION) == (0, 1, 4, 5)


def test_the_version_rises_with_each_change_only() -> None:
    first = answered(TWO, [30000, 30002])
    same = answered(TWO, [30000, 30002], first.session)
    held = answered(TWO.replace("sendonly", "inactive"), [30000, 30002], same.session)
    paused = answered(TWO.replace("sendonly", "inactive"), [30000, 30002], held.session, "paused")
    assert [one.session.version for one in (first, same, held, paused)] == [1, 1, 2, 3]
    assert b"\r\na=record:paused\r\n" in paused.content
    assert b"a=record" not in held.content


def test_the_state_is_told_on_lines_that_are_taken_only() -> None:
    video = "m=video 5000 RTP/AVP 96\r\nc=IN IP4 192.0.2.9\r\n"
    got = answered(video + TWO, [None, 30000, 30002], record="on")
    assert ["a=record:on" in lines for lines in sections(got)] == [False, True, True]


def test_the_recorders_own_offer_receives_only() -> None:
    line = recording_sdp.offer(local(30000))
    for record, told in ((None, []), ("paused", ["a=record:paused"])):
        written = recording_sdp.describe(SESSION, [line], record=record)
        (lines,) = sections(Answer((line,), written.content, written.local))
        assert lines[0] == "m=audio 30000 RTP/AVP 8 0 9 101"
        assert lines[-1 - len(told) :] == ["a=recvonly", *told]
    assert line.media is None
    assert not line.is_active


def test_srtp_is_answered_in_kind_each_line_with_a_key_of_its_own() -> None:
    key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{}\r\n"
    text = TWO.replace("RTP/AVP", "RTP/SAVP")
    one, two = text.split("m=audio 4002")
    text = one + key.format("A" * 40) + "m=audio 4002" + two + key.format("B" * 40)
    got = answered(text, [30000, 30002])
    ours = [line.media.srtp.ours.name for line in got.lines if line.media is not None and line.media.srtp is not None]
    assert len(set(ours)) == 2
    assert got.content.count(b"RTP/SAVP") == 2
    with pytest.raises(sdp.UnacceptableError):
        answered(TWO.replace("RTP/AVP", "RTP/SAVP"), [30000, 30002])  # no keys
