"""Calls from offer to end: notice, second message, ringing, hanging up, outbound, internal."""

import time
from collections.abc import Iterator

import numpy as np
import pytest

from audio.codecs import ALAW_TO_LINEAR
from tests.helpers.exactness import heard_frames, kept_of
from tests.helpers.exchange import Exchange, re_offer, user_of
from tests.helpers.recorder_home import NOTICE_HZ, NOTICE_S, SECOND_HZ, SECOND_S, eventually
from tests.helpers.sip_peer import Answer, State
from tests.helpers.virtual.exchange import exchange
from tests.helpers.virtual.scene import scene
from tests.helpers.voices import Voice

QUEUE = (
    'name = "Queue"\nnotice_when = "before_ring" ',
    'name = "Queue"\nnotice_when = "after_answer" ',
)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    edits = (QUEUE, ("ring_s = 60.0", "ring_s = 1.5"), ("erase_s = 3.0", "erase_s = 0.2"))
    with exchange(tmp_path_factory.mktemp("flow"), edits=edits) as made:
        yield made


def seconds_of(voice: Voice, hz: float, *, since_s: float = 0.0, until_s: float = 1e9) -> float:
    """Return how long a pure tone was heard, by the spectrum of each packet."""
    found = 0
    for one in voice.heard_audio(since_s):
        samples = ALAW_TO_LINEAR[np.frombuffer(one.packet.payload, np.uint8)].astype(float)
        power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
        near = slice(round(hz / 50) - 2, round(hz / 50) + 3)  # 160 samples: 50 Hz a bin
        found += one.at_s < until_s and bool(power[near].sum() > 0.9 * power.sum() > 0)
    return found * 0.02


def test_before_ring_the_officer_is_rung_after_the_notice_was_heard_in_full(lines: Exchange) -> None:
    talk = lines.call()
    talk.begin()
    assert talk.wait_phase("notice")["is_recorded"] is False
    assert talk.second is None, "the officer is not rung yet"
    talk.wait_second()
    rung_s = time.monotonic()
    assert seconds_of(talk.left, NOTICE_HZ, until_s=rung_s) == pytest.approx(NOTICE_S, abs=0.05)
    talk.join()
    row = talk.hang_up()
    notice = row["notice"]
    assert (notice["complete"], notice["proof"], notice["second_message"]) == (True, "heard", False)
    assert notice["id"] == "first/2"
    assert len(notice["sha256"]) == 64
    assert notice["started_at"] < notice["ended_at"] <= row["started_at"]
    assert (row["direction"], row["extension"], row["operator"], row["called"]) == ("inbound", "2001", "alice", "2001")


def test_after_answer_the_officer_is_held_while_the_caller_hears_the_notice(lines: Exchange) -> None:
    talk = lines.call("3001", answer=Answer(after_s=0.3))
    talk.wait_second()
    talk.first.wait_for(lambda call: call.state is State.RINGING)
    assert talk.first.state is State.RINGING, "the caller is not answered before the officer is"
    talk.begin()
    second = talk.wait_second()
    second.wait_for(lambda call: call.state is State.CONFIRMED)
    talk.right.talk(second.remote_media)
    talk.wait_phase("notice, answered side held")
    joined = talk.wait_phase("joined")
    joined_s = time.monotonic()
    assert seconds_of(talk.left, NOTICE_HZ, until_s=joined_s) == pytest.approx(NOTICE_S, abs=0.05)
    talk.talk_for(0.5)
    assert heard_frames(talk.left, talk.right)[0] > 0, "what the officer said while held did not reach the caller"
    row = talk.hang_up()
    assert (row["id"], row["outcome"], row["notice"]["complete"]) == (joined["id"], "recorded", True)
    _left, right, _ = lines.home.copy(row["id"])
    officer = kept_of(right, talk.right)
    held_s = talk.right.sent[0][1], talk.right.sent[0][1] + NOTICE_S * 0.8
    assert officer.bytes_between(*held_s) == 0, "what was said before the joining is not kept"


def test_after_answer_a_caller_who_holds_the_notice_away_keeps_the_officer_held(lines: Exchange) -> None:
    talk = lines.call("3001", answer=Answer(after_s=0.3))
    talk.begin()
    talk.wait_phase("notice, answered side held")
    re_offer(talk.first, talk.left.media(version=2, direction="inactive"))
    talk.talk_for(2 * NOTICE_S)
    assert talk.wait_phase("notice, answered side held")["is_recorded"] is False
    again_s = time.monotonic()
    re_offer(talk.first, talk.left.media(version=3))
    talk.wait_phase("joined")
    assert seconds_of(talk.left, NOTICE_HZ, since_s=again_s) == pytest.approx(NOTICE_S, abs=0.05)
    talk.talk_for(0.3)
    row = talk.hang_up()
    assert (row["notice"]["complete"], row["notice"]["proof"]) == (True, "heard")


def test_key_one_during_the_notice_plays_the_second_message_after_it(lines: Exchange) -> None:
    talk = lines.call()
    talk.begin()
    talk.wait_phase("notice")
    talk.left.press("1")
    talk.wait_phase("second message")
    assert talk.second is None
    talk.wait_second()
    rung_s = time.monotonic()
    assert seconds_of(talk.left, NOTICE_HZ, until_s=rung_s) == pytest.approx(NOTICE_S, abs=0.05)
    assert seconds_of(talk.left, SECOND_HZ, until_s=rung_s) == pytest.approx(SECOND_S, abs=0.05)
    talk.join()
    assert talk.hang_up()["notice"]["second_message"] is True


def test_key_one_just_after_the_notice_plays_it_while_the_officer_rings(lines: Exchange) -> None:
    talk = lines.call(answer=Answer(after_s=0.4))
    talk.begin()
    talk.wait_second()
    talk.left.press("1", ms=60)
    talk.wait_phase("second message, answered side held")
    talk.join()
    assert seconds_of(talk.left, SECOND_HZ) == pytest.approx(SECOND_S, abs=0.05)
    assert talk.hang_up()["notice"]["second_message"] is True


def test_on_an_outbound_call_the_party_called_hears_the_notice(lines: Exchange) -> None:
    talk = lines.call("01632960999", from_number="2001")
    talk.first.wait_confirmed()
    talk.left.talk(talk.first.remote_media)
    second = talk.wait_second()
    second.wait_for(lambda call: call.state is State.CONFIRMED)
    talk.right.talk(second.remote_media)
    found = talk.wait_phase("joined")
    joined_s = time.monotonic()
    assert seconds_of(talk.right, NOTICE_HZ, until_s=joined_s) == pytest.approx(NOTICE_S, abs=0.05)
    assert seconds_of(talk.left, NOTICE_HZ) == 0
    talk.talk_for(0.6)
    talk.left.press("*1")
    eventually(lambda: (call := talk.live) and call["state"] == "paused", "the officer's keys work from their own side")
    talk.first.hang_up()
    row = eventually(lambda: lines.home.rows(number="01632960999"), "it is filed")[0]
    assert (row["id"], row["direction"], row["operator"], row["called"]) == (
        found["id"],
        "outbound",
        "alice",
        "01632960999",
    )
    left, right, _ = lines.home.copy(row["id"])
    kept_of(left, talk.right)
    kept_of(right, talk.left)


def test_a_call_between_nominated_extensions_is_one_recording(lines: Exchange) -> None:
    talk = lines.call("2001", from_number="2002")
    recording = talk.join()
    talk.talk_for(0.5)
    answer = lines.home.act("/api/extensions/2002/pause").raise_for_status().json()
    assert [one["call"] for one in answer["calls"]] == [recording], "it is a call of either extension"
    lines.home.act("/api/extensions/2001/resume").raise_for_status()
    talk.first.hang_up()
    row = talk.home.row_of("2002")
    assert (row["direction"], row["id"], row["caller"], row["called"]) == ("internal", recording, "2002", "2001")


@pytest.mark.parametrize(
    ("status", "reason"), [(486, "busy"), (603, "declined"), (480, "no_answer"), (404, "unknown_number")]
)
def test_an_officer_who_refuses_leaves_a_row_and_a_tone(lines: Exchange, status: int, reason: str) -> None:
    talk = lines.call(answer=Answer(status=status, after_s=0.05))
    talk.begin()
    talk.first.wait_ended()
    assert talk.first.ended_by == "them", "an answered caller is hung up by us after the tone"
    row = lines.home.row_of(talk.number)
    assert (row["outcome"], row["reason"], row["path"]) == ("no_conversation", reason, None)
    assert not list(lines.home.root.rglob(f"{row['id']}.*"))


def test_a_refusal_before_the_answer_reaches_the_caller_as_it_is(lines: Exchange) -> None:
    talk = lines.call("3001", answer=Answer(status=486, after_s=0.05, headers=(("Retry-After", "60"),)))
    talk.first.wait_ended()
    assert (talk.first.status, talk.first.ended_by) == (486, "refused")
    assert lines.home.row_of(talk.number)["reason"] == "busy"


def test_an_officer_who_does_not_answer_is_given_up_after_the_time_to_ring(lines: Exchange) -> None:
    talk = lines.call("3001", answer=Answer(after_s=None))
    began_s = time.monotonic()
    talk.first.wait_ended(4)
    assert time.monotonic() - began_s == pytest.approx(1.5, abs=0.6)
    assert talk.first.status == 480
    second = talk.wait_second()
    second.wait_ended()
    assert second.status == 487, "the phone stops ringing"
    assert lines.home.row_of(talk.number)["reason"] == "no_answer"


def test_a_caller_who_cancels_while_it_rings_leaves_no_conversation(lines: Exchange) -> None:
    talk = lines.call("3001", answer=Answer(after_s=None))
    talk.first.wait_for(lambda call: call.state is State.RINGING)
    talk.first.hang_up()
    talk.first.wait_ended()
    assert talk.first.status == 487
    talk.wait_second().wait_ended()
    row = lines.home.row_of(talk.number)
    assert (row["outcome"], row["reason"]) == ("no_conversation", "caller_gave_up_while_ringing")


def test_a_caller_who_hangs_up_during_the_notice_never_rings_an_officer(lines: Exchange) -> None:
    talk = lines.call()
    talk.begin()
    talk.wait_phase("notice")
    talk.first.hang_up()
    row = lines.home.row_of(talk.number)
    assert (row["outcome"], row["reason"]) == ("no_conversation", "caller_gave_up_during_notice")
    assert row["notice"]["complete"] is False
    assert all(user_of(call.invite) != talk.number for call in lines.offered())


def test_an_officer_who_hangs_up_ends_the_call(lines: Exchange) -> None:
    talk = lines.call(answer=Answer(after_s=0.05, hang_up_after_s=0.8))
    recording = talk.join()
    talk.first.wait_ended()
    assert talk.first.ended_by == "them"
    row = lines.home.row_of(talk.number)
    assert (row["id"], row["outcome"], row["reason"]) == (recording, "recorded", "officer_hung_up")


def test_early_media_of_the_officers_side_is_heard_and_not_kept(lines: Exchange) -> None:
    talk = lines.call(answer=Answer(after_s=0.5))
    talk.begin()
    second = talk.wait_second()
    talk.wait_phase("ringing after the notice")
    assert second.state is State.RINGING
    ringing_s = time.monotonic()
    eventually(lambda: len(talk.left.heard_audio(ringing_s)) > 5, "the caller hears that it rings")
    talk.join()
    talk.hang_up()


@pytest.mark.parametrize(("number", "has_offer"), [("2001", True), ("2001", False), ("3001", True)])
def test_the_notice_waits_until_the_caller_knows_of_the_answer(
    lines: Exchange, monkeypatch: pytest.MonkeyPatch, number: str, has_offer: bool
) -> None:
    """A telephone plays nothing before its 200: what came until then would count as heard, and nobody heard it."""
    lost: list[float] = []
    with scene() as place:
        send = place.network.send

        def lossy(data: bytes, source: tuple[str, int], to: tuple[str, int]) -> None:
            if data.startswith(b"SIP/2.0 200 ") and to == lines.caller.address and len(lost) < 2:
                lost.append(time.monotonic())
            else:
                send(data, source, to)

        monkeypatch.setattr(place.network, "send", lossy)
        talk = lines.call(number, has_offer=has_offer)
        talk.first.wait_confirmed()
    confirmed_s = time.monotonic()
    assert confirmed_s - lost[0] > NOTICE_S + 0.4, "the 200 came the third time"
    talk.join()
    assert seconds_of(talk.left, NOTICE_HZ, until_s=confirmed_s) == 0
    assert seconds_of(talk.left, NOTICE_HZ) == pytest.approx(NOTICE_S, abs=0.05)
    talk.talk_for(0.3)
    row = talk.hang_up()
    assert (row["outcome"], row["notice"]["complete"]) == ("recorded", True)
