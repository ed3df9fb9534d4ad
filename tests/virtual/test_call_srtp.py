"""Calls whose audio is encrypted on one side or both (SDES): what was said is what is kept, and no key is."""

import base64
import time
from collections.abc import Iterator

import pytest

from audio.types import SrtpSuite
from tests.helpers.exactness import heard_frames, is_gapless, kept_of
from tests.helpers.exchange import Exchange, Talk, re_offer
from tests.helpers.recorder_home import contents, eventually
from tests.helpers.srtp import crypto_of, new_key
from tests.helpers.virtual.exchange import exchange
from tests.helpers.voices import FRAME, TICKS_PER_S

ERASE_S = 0.5
EDITS = (("erase_s = 3.0", f"erase_s = {ERASE_S}"), ("look_back_s = 5.0", "look_back_s = 2.0"))
MIRROR = ('srtp = "off" ', 'srtp = "optional" ')
STRICT = (MIRROR[0], 'srtp = "required" ')
STRICT_PEER = ('srtp = "optional"  ', 'srtp = "required"  ')


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """What the caller has is offered to the officer."""
    with exchange(tmp_path_factory.mktemp("srtp"), edits=(*EDITS, MIRROR)) as made:
        yield made


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """As it comes: the officer's side is plain."""
    with exchange(tmp_path_factory.mktemp("mixed"), edits=EDITS) as made:
        yield made


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    """Nothing but SRTP on either side."""
    with exchange(tmp_path_factory.mktemp("strict"), edits=(*EDITS, STRICT_PEER, STRICT)) as made:
        yield made


def assert_kept_and_heard(talk: Talk, recording: str, joined_s: float) -> None:
    """Every byte of the conversation is kept once, in its place, and came to the other side."""
    for channel, voice in zip(talk.home.copy(recording)[:2], (talk.left, talk.right), strict=True):
        kept = kept_of(channel, voice)
        assert len(kept.spans) == 1, "no byte is missing between the first and the last"
        assert kept.spans[0][1] - kept.spans[0][0] > 1.2 * TICKS_PER_S
    for listener, speaker in ((talk.left, talk.right), (talk.right, talk.left)):
        frames = heard_frames(listener, speaker, since_s=joined_s)
        assert is_gapless(frames)
        assert len(frames) > 55
        assert listener.unreadable == 0


def test_both_sides_encrypted(lines: Exchange) -> None:
    """The voices' numbers begin at 65,500, so they go round within the conversation."""
    talk = lines.call(srtp=(True, True))
    recording = talk.join()
    joined_s = time.monotonic()
    second = talk.wait_second()
    assert talk.first.remote_body.count(b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:") == 1
    assert b"m=audio" in second.invite.body
    assert second.invite.body.count(b"a=crypto:") == 2
    assert b"RTP/SAVP" in second.invite.body
    talk.talk_for(1.6)
    row = talk.hang_up()
    assert (row["outcome"], row["reason"]) == ("recorded", "caller_hung_up")
    assert row["notice"]["complete"] is True
    assert_kept_and_heard(talk, recording, joined_s)
    assert len(heard_frames(talk.left, talk.right)) > 70, "the caller heard the officer from the beginning"
    wire, stream = talk.left.wire[-40], talk.left.stream
    assert not any(wire[at : at + 12] in stream for at in range(12, 150)), "the wire has no speech on it"


def test_one_side_encrypted(inside: Exchange) -> None:
    talk = inside.call(srtp=(True, False))
    recording = talk.join()
    joined_s = time.monotonic()
    second = talk.wait_second()
    assert b"RTP/AVP " in second.invite.body
    assert b"a=crypto" not in second.invite.body
    talk.talk_for(1.6)
    assert talk.hang_up()["outcome"] == "recorded"
    assert_kept_and_heard(talk, recording, joined_s)


def test_a_pause_by_key_and_digits_under_srtp(lines: Exchange) -> None:
    talk = lines.call(srtp=(True, True))
    recording = talk.join()
    talk.talk_for(ERASE_S + 0.5)
    asked_s = time.monotonic()
    talk.right.press("*1")
    eventually(lambda: (live := talk.live) and live["state"] == "paused", "the officer's key pauses")
    done_s = time.monotonic()
    talk.talk_for(0.5)
    talk.left.press("12")
    eventually(lambda: talk.right.heard_keys() == "12", "the caller's digits go on")
    resume_s = time.monotonic()
    talk.right.press("*2")
    eventually(lambda: (live := talk.live) and live["state"] == "recording", "the officer's key resumes")
    talk.talk_for(0.5)
    talk.hang_up()
    assert talk.left.heard_keys() == "", "control keys go nowhere"
    left, right, _ = talk.home.copy(recording)
    for kept in (kept_of(left, talk.left), kept_of(right, talk.right)):
        assert kept.bytes_between(done_s - ERASE_S + 0.02, resume_s) == 0
        assert kept.bytes_between(0, asked_s - ERASE_S - 0.04) > 0
        assert len(kept.spans) >= 2


def wait_alarm(home_of: Exchange, count: int) -> None:
    eventually(lambda: home_of.home.health()["alarms"].get("srtp_unauthentic", 0) >= count, "the alarm is raised")


def test_a_wrong_key_leaves_nothing_but_an_alarm(lines: Exchange) -> None:
    before = lines.home.health()["alarms"].get("srtp_unauthentic", 0)
    talk = lines.call(srtp=(True, True))
    talk.left.encrypt(new_key())  # not the one in its offer
    recording = talk.join()
    wait_alarm(lines, before + 1)
    talk.talk_for(1.2)
    row = talk.hang_up()
    assert (row["outcome"], row["reason"]) == ("partial", "one_way")
    heard_not, heard = row["packets"]
    assert (heard_not, heard >= 50, row["packets_lost"]) == (0, True, [0, 0]), (
        "packets that may not be heard do not count"
    )
    left, right, _ = lines.home.copy(recording)
    assert set(left) == {0xD5}, "not a byte of it"
    kept_of(right, talk.right)
    assert lines.home.health()["alarms"]["srtp_unauthentic"] == before + 1, "once, not with every packet"
    assert not talk.right.heard_audio() or not heard_frames(talk.right, talk.left)


def test_forged_replayed_and_plain_packets_are_not_in_the_file(lines: Exchange) -> None:
    talk = lines.call(srtp=(True, True))
    recording = talk.join()
    joined_s = time.monotonic()
    talk.talk_for(0.4)
    remote = talk.left.remote
    assert remote is not None
    for _ in range(4):
        talk.talk_for(0.2)
        for packet in talk.left.wire[-30:]:
            forged = bytearray(packet)
            forged[20] ^= 1
            forged[3] += 7 if forged[3] < 200 else -7
            for data in (packet, bytes(forged), packet[:12] + packet[12:172][::-1], packet[:172]):
                talk.left.socket.sendto(data, remote)
    talk.talk_for(0.6)
    assert talk.hang_up()["outcome"] == "recorded"
    assert_kept_and_heard(talk, recording, joined_s)


def test_another_source_under_the_same_key(inside: Exchange) -> None:
    talk = inside.call(srtp=(True, False))
    recording = talk.join()
    talk.talk_for(0.6)
    talk.left.begin_stream(jump_ticks=0)
    talk.left._sequence = 65_520
    changed_s = time.monotonic()
    talk.talk_for(1.0)
    assert talk.hang_up()["outcome"] == "recorded"
    channel = talk.home.copy(recording)[0]
    said = [talk.left.stream[tick : tick + FRAME] for tick, at_s in talk.left.sent[:-10] if at_s > changed_s]
    assert all(frame in channel for frame in said)
    assert len(said) > 30


def test_hold_keeps_keys_and_new_keys_take_their_place(lines: Exchange) -> None:
    talk = lines.call(srtp=(True, True))
    recording = talk.join()
    second = talk.wait_second()
    first_answer = talk.first.remote_body
    talk.talk_for(0.5)
    held = re_offer(talk.first, talk.left.media(version=2, direction="sendonly"))
    assert key_in(held) == key_in(first_answer), "our key stays while the caller's does"
    second.wait_for(lambda c: len(c.requests("INVITE")) == 2)
    offered = second.requests("INVITE")[1].body
    assert b"RTP/SAVP" in offered
    assert key_in(offered) == key_in(second.invite.body)
    assert offered.count(b"a=crypto:") == 1, "only the one that was settled"
    assert re_offer(talk.first, talk.left.media(version=3)).count(b"a=crypto:1 ") == 1
    resumed_s = time.monotonic()
    eventually(lambda: len(heard_frames(talk.left, talk.right, since_s=resumed_s)) > 10, "the caller hears again")
    eventually(lambda: len(heard_frames(talk.right, talk.left, since_s=resumed_s)) > 10, "the officer hears again")

    talk.left.key = new_key()
    renewed = re_offer(talk.first, talk.left.media(version=4))
    talk.left.listen_under(renewed)
    talk.left.encrypt(talk.left.key)
    assert key_in(renewed) != key_in(held), "a new key of the caller's has a new one of ours for an answer"
    renewed_s = time.monotonic()
    talk.talk_for(0.6)
    assert talk.hang_up()["outcome"] == "recorded"
    assert talk.left.unreadable < 10, "but those of ours that were on their way"
    kept = kept_of(talk.home.copy(recording)[0], talk.left)
    frames, whole = kept.frames_between(renewed_s, talk.left.sent[-10][1])
    assert whole == frames > 15
    assert len(heard_frames(talk.left, talk.right, since_s=renewed_s)) > 15


def key_in(sdp: bytes) -> str:
    return sdp.decode().split("inline:", 1)[1].split("\r\n", 1)[0]


def test_what_is_refused(strict: Exchange) -> None:
    plain = strict.call()
    plain.first.wait_ended(8)
    assert plain.first.status == 488
    wished = strict.call(media={"crypto": crypto_of(new_key()), "profile": "RTP/AVP"})
    wished.first.wait_ended(8)
    assert wished.first.status == 488, "a wish beside a plain profile is none"
    assert strict.home.row_of(plain.number)["reason"] == "codec_refused"
    talk = strict.call(srtp=(True, True))
    recording = talk.join()
    joined_s = time.monotonic()
    talk.talk_for(1.6)
    talk.hang_up()
    assert_kept_and_heard(talk, recording, joined_s)
    refused = strict.call(srtp=(True, False))  # the officer answers with plain RTP
    refused.first.wait_ended(8)
    assert strict.home.row_of(refused.number)["outcome"] != "recorded"


def test_suites_and_tags_are_the_offers(inside: Exchange) -> None:
    long, short = new_key(SrtpSuite.AES_256_CM_HMAC_SHA1_80), new_key(SrtpSuite.AES_CM_128_HMAC_SHA1_32)
    for key, tag in ((long, 7), (short, 4)):
        talk = inside.call(media={"crypto": crypto_of(key, tag)})
        talk.first.wait_confirmed(8)
        assert f"a=crypto:{tag} {key.suite.name} inline:".encode() in talk.first.remote_body
        talk.first.hang_up()
        talk.first.wait_ended()
    unknown = inside.call(media={"crypto": "1 AEAD_AES_256_GCM inline:" + base64.b64encode(bytes(44)).decode()})
    unknown.first.wait_ended(8)
    assert unknown.first.status == 488
    wished = inside.call(media={"crypto": crypto_of(new_key()), "profile": "RTP/AVP"})
    wished.first.wait_confirmed(8)
    assert b"RTP/AVP " in wished.first.remote_body
    assert b"a=crypto" not in wished.first.remote_body
    wished.first.hang_up()
    wished.first.wait_ended()


def test_a_call_passed_through_keeps_its_session_description(inside: Exchange) -> None:
    talk = inside.call("4711", srtp=(True, True))
    second = talk.wait_second()
    second.wait_for(lambda call: call.status == 200)
    talk.first.wait_confirmed(8)
    assert second.invite.body == talk.first.invite.body
    assert talk.first.remote_body == bytes(second.media)
    talk.first.hang_up()
    talk.first.wait_ended()


def test_no_key_is_written_anywhere(lines: Exchange) -> None:
    talk = lines.call(srtp=(True, True))
    talk.join()
    second = talk.wait_second()
    keys = [key_in(sdp) for sdp in (talk.first.invite.body, talk.first.remote_body, second.invite.body)]
    shown = str(lines.home.calls()) + str(lines.home.health())
    talk.talk_for(1.2)
    row = talk.hang_up()
    eventually(lambda: not lines.home.calls(), "it is filed")
    needles = [needle for key in keys for needle in (key.encode(), base64.b64decode(key)[:12])]
    assert not any(key in shown + str(row) for key in keys)
    for path, content in [(lines.home.log, lines.home.log.read_bytes()), *contents(lines.home.root)]:
        assert not any(needle in content for needle in needles), f"a key is in {path.name}"
