"""A peer whose answer names several codecs may send any of them, and change in the middle (RFC 3264 section 5.1)."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.helpers.exactness import SILENT_ALAW, heard_frames, is_gapless, kept_of
from tests.helpers.exchange import Exchange, Talk, re_offer
from tests.helpers.recorder_home import eventually
from tests.helpers.sip_peer import Media
from tests.helpers.transfers import expect_newcomer, refer, wait_told
from tests.helpers.virtual.exchange import exchange
from tests.helpers.voices import EVENT, FRAME, PCMA, PCMU, Voice
from tests.reference.laws import ALAW_TO_MULAW, MULAW_TO_ALAW

NAMES = {PCMU: "PCMU/8000", PCMA: "PCMA/8000", 9: "G722/8000"}
EARLY = (('notice_when = "before_ring"', 'notice_when = "after_answer"'),)
TO_OTHER = {PCMU: MULAW_TO_ALAW, PCMA: ALAW_TO_MULAW}


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("formats")) as made:
        yield made


@pytest.fixture(scope="module")
def early(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("early"), edits=EARLY) as made:
        yield made


def answering(lines: Exchange, codecs: tuple[int, ...], *, says: int, caller: tuple[int, ...] = (PCMA,)) -> Talk:
    """Place a call whose officer names these codecs in the answer, and says the one of ``says``."""
    offered = tuple((codec, NAMES[codec]) for codec in caller)
    talk = lines.call(laws=(caller[0], says), media={"formats": (*offered, (EVENT, "telephone-event/8000"))})
    formats = (*((codec, NAMES[codec]) for codec in codecs), (EVENT, "telephone-event/8000"))
    talk.answer = replace(talk.answer, media=talk.right.media(formats=formats))
    return talk


def frames_heard(listener: Voice, speaker: Voice, since_s: float) -> list[tuple[int, int]]:
    """Return payload type and tick of the speaker's frames that came, as they were said or in the other law."""
    said = {speaker.stream[tick : tick + FRAME]: tick for tick, _ in speaker.sent}
    for law in (PCMU, PCMA):
        said |= {speaker.stream[tick : tick + FRAME].translate(TO_OTHER[law]): tick for tick, _ in speaker.sent}
    heard = [one.packet for one in listener.heard_audio(since_s)]
    return [(one.payload_type, said[one.payload]) for one in heard if one.payload in said]


@pytest.mark.parametrize(("answer", "says"), [((PCMU, PCMA), PCMA), ((PCMA, PCMU), PCMU), ((PCMU, PCMA), PCMU)])
def test_the_second_codec_of_an_answer_is_heard_and_kept(lines: Exchange, answer: tuple[int, ...], says: int) -> None:
    talk = answering(lines, answer, says=says)
    recording = talk.join()
    joined_s = time.monotonic()
    talk.talk_for(2)
    row = talk.hang_up()
    assert (row["outcome"], row["reason"]) == ("recorded", "caller_hung_up")
    assert row["codecs"] == ["PCMA", NAMES[says].partition("/")[0]], "what was said, whatever the answer named first"
    heard = frames_heard(talk.left, talk.right, joined_s)
    assert {pt for pt, _ in heard} == {PCMA}, "the caller gets the codec that its leg has"
    ticks = [tick for _, tick in heard]
    assert len(ticks) > 95
    assert is_gapless(ticks)
    left, right, _ = lines.home.exported(recording)
    assert len(kept_of(left, talk.left).spans) == 1
    if says == PCMA:
        assert len(kept_of(right, talk.right).spans) == 1
    else:
        assert right.count(SILENT_ALAW) < len(right) // 20


def test_a_codec_that_changes_in_the_middle_leaves_no_gap(lines: Exchange) -> None:
    talk = answering(lines, (PCMA, PCMU), says=PCMA)
    recording = talk.join()
    joined_s = time.monotonic()
    for law in (PCMA, PCMU, PCMA):
        talk.right.law = law
        talk.talk_for(1)
    assert talk.hang_up()["codecs"] == ["PCMA", "PCMU+PCMA"]
    heard = frames_heard(talk.left, talk.right, joined_s)
    assert is_gapless([tick for _, tick in heard])
    assert len(heard) > 140
    _, right, _ = lines.home.exported(recording)
    assert right.count(SILENT_ALAW) < len(right) // 20


def test_both_rates_are_taken_where_both_sides_have_them(early: Exchange) -> None:
    talk = answering(early, (9, PCMA), says=9, caller=(9, PCMA))
    talk.join()
    joined_s = time.monotonic()
    assert b" 9 8 101\r\n" in talk.first.remote_body, "the caller may have to take either"
    for codec in (9, PCMA, 9):
        talk.right.law = codec
        talk.talk_for(1)
    talk.left.law = PCMA
    talk.talk_for(1)
    talk.hang_up()
    frames = {talk.right.stream[tick : tick + FRAME]: tick for tick, _ in talk.right.sent}
    heard = [one.packet for one in talk.left.heard_audio(joined_s) if one.packet.payload in frames]
    assert is_gapless([frames[one.payload] for one in heard])
    assert {one.payload_type for one in heard} == {9, PCMA}
    assert is_gapless(heard_frames(talk.right, talk.left, since_s=joined_s))


def test_a_re_offer_of_ours_keeps_every_codec_of_the_answer(lines: Exchange) -> None:
    talk = answering(lines, (PCMA, PCMU), says=PCMU)
    talk.join()
    second = talk.wait_second()
    re_offer(talk.first, talk.left.media(direction="sendonly", version=2))
    time.sleep(0.5)
    assert b"m=audio" in second.remote_body
    assert b" 8 0 101\r\n" in second.remote_body
    re_offer(talk.first, talk.left.media(version=3))
    time.sleep(0.5)
    resumed_s = time.monotonic()
    talk.talk_for(1)
    talk.hang_up()
    assert len(frames_heard(talk.left, talk.right, resumed_s)) > 40


def test_whoever_stays_changes_to_what_a_newcomer_can_take(early: Exchange) -> None:
    """A telephone without G.722 takes a call over in which both have it."""
    talk = answering(early, (9, PCMA), says=9, caller=(9, PCMA))
    talk.join()
    talk.left.law = 9
    talk.talk_for(0.5)
    bob = expect_newcomer(talk, "2002")
    alice = talk.wait_second()
    refer(alice, "2002")
    leg = bob.join()
    wait_told(alice, 200)
    assert b" 8 0 9 101\r\n" in leg.invite.body
    talk.first.wait_for(lambda call: len(call.requests("INVITE")) == 1)
    assert b"G722" not in talk.first.remote_body, "what the caller sends in it would be heard by nobody"
    talk.left.law = PCMA
    since_s = time.monotonic()
    eventually(lambda: len(frames_heard(bob.voice, talk.left, since_s)) > 20, "the newcomer hears the caller")
    eventually(lambda: len(frames_heard(talk.left, bob.voice, since_s)) > 20, "the caller hears the newcomer")
    talk.hang_up()
    leg.wait_ended()
    bob.voice.hush()


@pytest.mark.parametrize(("first", "then"), [(9, PCMA), (PCMA, 9)])
def test_a_re_offer_of_the_other_rate_is_taken_where_both_sides_have_it(early: Exchange, first: int, then: int) -> None:
    talk = answering(early, (first, then), says=first, caller=(first, then))
    talk.join()
    talk.talk_for(0.5)
    second, alone = talk.wait_second(), ((then, NAMES[then]), (EVENT, "telephone-event/8000"))
    answer = re_offer(talk.first, talk.left.media(version=2, formats=alone))
    assert f"RTP/AVP {then} 101\r\n".encode() in answer
    talk.left.law = then
    second.wait_for(lambda call: len(call.requests("INVITE")) == 2)
    assert f"RTP/AVP {then} 101\r\n".encode() in second.remote_body, "in the first codec they would not be heard"
    talk.right.law = then
    since_s = time.monotonic()
    for listener, speaker in ((talk.left, talk.right), (talk.right, talk.left)):
        eventually(lambda a=listener, b=speaker: len(frames_heard(a, b, since_s)) > 20, "they hear each other")  # type: ignore[misc]
    assert talk.hang_up()["outcome"] == "recorded"


def test_a_re_offer_of_a_rate_that_the_other_side_lacks_is_refused_and_changes_nothing(lines: Exchange) -> None:
    """Rates are not converted, and to ask the other side first would leave a gap (RFC 3261 section 14.2)."""
    talk = lines.call()
    recording = talk.join()
    joined_s = time.monotonic()
    talk.talk_for(0.5)
    re_offer_refused(talk, talk.left.media(version=2, formats=((9, NAMES[9]),)))
    talk.talk_for(0.5)
    assert talk.wait_second().requests("INVITE") == [talk.wait_second().invite], "the officer's phone is not asked"
    row = talk.hang_up()
    assert (row["outcome"], row["codecs"]) == ("recorded", ["PCMA", "PCMA"])
    for listener, speaker in ((talk.left, talk.right), (talk.right, talk.left)):
        heard = frames_heard(listener, speaker, joined_s)
        assert len(heard) > 45
        assert is_gapless([tick for _, tick in heard])
    left, right, _ = lines.home.exported(recording)
    assert len(kept_of(left, talk.left).spans) == len(kept_of(right, talk.right).spans) == 1
    said = f"call {recording}: re-offer refused: side a offers G722 alone, and the other side has PCMA"
    assert said in lines.home.said


def re_offer_refused(talk: Talk, media: Media) -> None:
    """Send a re-INVITE from the caller, and wait until it is refused with 488."""
    talk.first.offer(media)
    talk.first.wait_for(lambda call: call.replies_to("INVITE")[-1] == 488)
