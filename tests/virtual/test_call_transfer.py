"""Blind transfers (REFER) of a recorded call: participants, segments, and NOTIFYs."""

import time
from collections.abc import Iterator

import pytest

from tests.helpers.exactness import heard_frames, kept_of
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.recorder_home import eventually
from tests.helpers.sip_peer import Answer, Call, State
from tests.helpers.transfers import expect_newcomer, refer, said, speakers, told, wait_told
from tests.helpers.virtual.exchange import exchange

ALICE, BOB = ("alice", "2001"), ("bob", "2002")


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("transfer"), edits=(("erase_s = 3.0", "erase_s = 0.3"),)) as made:
        yield made


def joined(lines: Exchange) -> tuple[Talk, str, Call]:
    """Return a call to alice that both talk in, its recording and her leg."""
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(0.6)
    return talk, recording, talk.wait_second()


def hears(talk: Talk, listener: str, speaker: object) -> None:
    """Wait until one party hears another."""
    since_s = time.monotonic()
    party = getattr(talk, listener)
    eventually(lambda: len(heard_frames(party, speaker, since_s=since_s)) > 5, f"{listener} hears them")  # type: ignore[arg-type]


def test_to_a_nominated_extension_the_recording_goes_on_as_hers(lines: Exchange) -> None:
    talk, recording, alice = joined(lines)
    bob = expect_newcomer(talk, "2002")
    refer(alice, "2002")
    leg = bob.join()
    wait_told(alice, 200)
    assert told(alice) == [100, 180, 200]
    alice.wait_ended()
    assert alice.replies_to("REFER") == [202]
    last = alice.requests("NOTIFY")[-1]
    assert (last.value("Event"), last.value("Subscription-State")) == ("refer", "terminated;reason=noresource")
    assert last.value("Content-Type").startswith("message/sipfrag")
    talk.right.hush()
    hears(talk, "left", bob.voice)
    talk.talk_for(0.6)
    assert (live := talk.live) is not None
    assert (live["id"], live["operator"], live["extension"]) == (recording, "bob", "2002")
    row = talk.hang_up()
    leg.wait_ended()
    bob.voice.hush()

    assert (row["id"], row["outcome"], row["reason"]) == (recording, "recorded", "caller_hung_up")
    assert [(s["kind"], s["operator"], s["extension"]) for s in row["segments"]] == [
        ("recording", *ALICE),
        ("recording", *BOB),
    ]
    assert (row["operator"], row["operators"], row["extensions"]) == ("alice", ["alice", "bob"], ["2001", "2002"])
    left, right, _ = lines.home.copy(recording)
    assert len(kept_of(left, talk.left).spans) == 1, "not a byte of the caller is missing"
    assert speakers(right, (talk.right, bob.voice)) == [talk.right, bob.voice]
    edge = row["segments"][1]["start_s"]
    (_, _, alice_to), (_, bob_from, _) = said(right, (talk.right, bob.voice))
    assert alice_to / 8000 <= edge + 0.05
    assert bob_from / 8000 >= edge - 0.05
    assert [one["id"] for one in lines.home.rows(operator="bob", number=talk.number)] == [recording]


def test_to_an_extension_that_is_not_nominated_the_recording_stops_before_they_are_heard(lines: Exchange) -> None:
    talk, recording, alice = joined(lines)
    carol = expect_newcomer(talk, "4000")
    refer(alice, "4000")
    leg = carol.join()
    wait_told(alice, 200)
    joined_s = time.monotonic()
    hears(talk, "left", carol.voice)
    assert (live := talk.live) is not None
    assert (live["state"], live["is_recorded"]) == ("out_of_scope", True)
    carol.voice.press("*2")  # her keys have no effect
    assert lines.home.act(f"/api/calls/{recording}/resume").status_code == 403, "nobody has it who is recorded"
    refused = lines.home.act(f"/api/calls/{recording}/resume", **{"as": "manager"})
    assert refused.status_code == 409
    assert "not recorded" in refused.json()["detail"]
    assert lines.home.act("/api/extensions/2001/pause").status_code == 404, "it is no call of alice's any more"
    talk.talk_for(1.0)
    assert talk.left.heard_keys(joined_s) == "*2", "to the caller they are keys like any"
    row = talk.hang_up()
    leg.wait_ended()
    carol.voice.hush()
    assert (row["outcome"], row["reason"]) == ("recorded", "caller_hung_up")
    kinds = [(s["kind"], s["reason"], s["operator"]) for s in row["segments"]]
    assert kinds == [("recording", "", "alice"), ("out_of_scope", "transferred", "")]
    assert row["operators"] == ["alice"]
    left, right, _ = lines.home.copy(recording)
    edge = round(row["segments"][1]["start_s"] * 8000)
    assert speakers(right, (talk.right, carol.voice)) == [talk.right], "not a byte of her"
    assert set(left[edge + 400 :]) <= {0xD5}, "nor of the caller from then on"
    assert kept_of(left, talk.left).bytes_between(joined_s + 0.1, time.monotonic()) == 0


def test_back_to_a_nominated_one_it_goes_on_in_the_same_recording(lines: Exchange) -> None:
    talk, recording, alice = joined(lines)
    carol, bob = expect_newcomer(talk, "4000"), expect_newcomer(talk, "2002")
    refer(alice, "4000")
    away = carol.join()
    wait_told(alice, 200)
    talk.talk_for(0.4)
    refer(away, "2002")
    leg = bob.join()
    wait_told(away, 200)
    carol.voice.hush()
    hears(talk, "left", bob.voice)
    talk.talk_for(0.6)
    row = talk.hang_up()
    leg.wait_ended()
    bob.voice.hush()
    assert [(s["kind"], s["operator"]) for s in row["segments"]] == [
        ("recording", "alice"),
        ("out_of_scope", ""),
        ("recording", "bob"),
    ]
    assert (row["outcome"], row["operators"]) == ("recorded", ["alice", "bob"])
    left, right, _ = lines.home.copy(recording)
    assert speakers(right, (talk.right, carol.voice, bob.voice)) == [talk.right, bob.voice]
    assert len(kept_of(left, talk.left).spans) == 2


@pytest.mark.parametrize("status", [486, 603])
def test_a_transfer_that_fails_leaves_everything_as_it_was(lines: Exchange, status: int) -> None:
    talk, recording, alice = joined(lines)
    expect_newcomer(talk, "2002", answer=Answer(status=status, after_s=0.05))
    refer(alice, "2002")
    wait_told(alice, status)
    assert alice.state is State.CONFIRMED
    since_s = time.monotonic()
    hears(talk, "left", talk.right)
    hears(talk, "right", talk.left)
    talk.talk_for(0.4)
    row = talk.hang_up()
    assert [(s["kind"], s["operator"]) for s in row["segments"]] == [("recording", "alice")]
    assert (row["outcome"], row["operators"], row["id"]) == ("recorded", ["alice"], recording)
    left, right, _ = lines.home.copy(recording)
    for kept in (kept_of(left, talk.left), kept_of(right, talk.right)):
        assert len(kept.spans) == 1, "not a byte is missing"
        assert kept.bytes_between(since_s, since_s + 0.3) > 1600


def test_the_transferor_may_hang_up_first_and_the_caller_hears_ringing(lines: Exchange) -> None:
    talk, recording, alice = joined(lines)
    bob = expect_newcomer(talk, "2002", answer=Answer(after_s=0.8))
    refer(alice, "2002")
    bob.wait()
    alice.hang_up()
    talk.right.hush()
    left_s = time.monotonic()
    talk.wait_phase("one side has left, a newcomer is called")
    eventually(lambda: len(talk.left.heard_audio(left_s + 0.1)) > 5, "the caller hears ringing")
    leg = bob.join()
    wait_told(alice, 200)
    hears(talk, "left", bob.voice)
    talk.talk_for(0.4)
    row = talk.hang_up()
    leg.wait_ended()
    bob.voice.hush()
    assert [(s["kind"], s["operator"]) for s in row["segments"]] == [("recording", "alice"), ("recording", "bob")]
    _, right, _ = lines.home.copy(recording)
    assert speakers(right, (talk.right, bob.voice)) == [talk.right, bob.voice]


def test_when_the_transferor_is_gone_and_nobody_answers_the_caller_hears_so(lines: Exchange) -> None:
    talk, recording, alice = joined(lines)
    expect_newcomer(talk, "2002", answer=Answer(after_s=0.6, status=486))
    refer(alice, "2002")
    talk.wait_phase("joined, a newcomer is called")
    alice.hang_up()
    talk.right.hush()
    talk.wait_phase("clearing")
    talk.first.wait_ended(8)
    talk.left.hush()
    row = lines.home.row_of(talk.number)
    assert (row["id"], row["outcome"], row["reason"]) == (recording, "recorded", "busy")


def test_the_caller_may_hang_up_while_the_newcomer_rings(lines: Exchange) -> None:
    talk, recording, alice = joined(lines)
    bob = expect_newcomer(talk, "2002", answer=Answer(after_s=None))
    refer(alice, "2002")
    leg = bob.wait()
    row = talk.hang_up()
    leg.wait_ended()
    assert [one.method for one in leg.received if not one.status][:2] == ["INVITE", "CANCEL"]
    alice.wait_ended()
    assert told(alice)[-1] == 487
    assert (row["id"], row["reason"]) == (recording, "caller_hung_up")


def test_pause_and_its_reasons_survive_and_only_a_person_resumes(lines: Exchange) -> None:
    talk, recording, alice = joined(lines)
    paused = lines.home.act(f"/api/calls/{recording}/pause").json()
    assert paused["state"] == "paused"
    carol, bob = expect_newcomer(talk, "4000"), expect_newcomer(talk, "2002")
    refer(alice, "4000")
    away = carol.join()
    wait_told(alice, 200)
    talk.right.hush()
    talk.talk_for(0.3)
    refer(away, "2002")
    leg = bob.join()
    wait_told(away, 200)
    hears(talk, "left", bob.voice)
    carol.voice.hush()
    assert (live := talk.live) is not None
    assert (live["state"], live["reasons"]) == ("paused", ["agent"])
    talk.talk_for(0.5)
    resumed_s = time.monotonic()
    bob.voice.press("*2")
    eventually(lambda: (talk.live or {})["state"] == "recording", "bob resumes")
    talk.talk_for(0.8)
    row = talk.hang_up()
    leg.wait_ended()
    bob.voice.hush()
    assert [(s["kind"], s["operator"]) for s in row["segments"]] == [
        ("recording", "alice"),
        ("paused", "alice"),
        ("out_of_scope", ""),
        ("paused", "bob"),
        ("recording", "bob"),
    ]
    left, right, _ = lines.home.copy(recording)
    assert speakers(right, (talk.right, carol.voice, bob.voice)) == [talk.right, bob.voice]
    kept = kept_of(left, talk.left)
    assert kept.bytes_between(resumed_s - 0.4, resumed_s) == 0
    assert kept.bytes_between(resumed_s + 0.5, resumed_s + 0.7) > 0


def test_an_opt_out_survives_and_can_be_granted_while_it_is_away(lines: Exchange) -> None:
    talk, recording, alice = joined(lines)
    carol, bob = expect_newcomer(talk, "4000"), expect_newcomer(talk, "2002")
    refer(alice, "4000")
    away = carol.join()
    wait_told(alice, 200)
    talk.right.hush()
    granted = lines.home.act(f"/api/calls/{recording}/opt-out", by="maud", reason="in distress")
    assert granted.json()["state"] == "opted_out"
    refer(away, "2002")
    leg = bob.join()
    wait_told(away, 200)
    hears(talk, "left", bob.voice)
    assert (talk.live or {})["state"] == "opted_out"
    row = talk.hang_up()
    leg.wait_ended()
    carol.voice.hush()
    bob.voice.hush()
    assert (row["outcome"], row["reason"], row["opted_out"]) == ("partial", "opted_out", True)
    _, right, _ = lines.home.copy(recording)
    assert speakers(right, (talk.right, carol.voice, bob.voice)) == [talk.right]


def test_hold_by_the_transferor_ends_with_them(lines: Exchange) -> None:
    talk, recording, alice = joined(lines)
    alice.offer(talk.right.media(direction="sendonly", version=2))
    talk.first.wait_for(lambda c: len(c.requests("INVITE")) == 1)
    bob = expect_newcomer(talk, "2002")
    refer(alice, "2002")
    leg = bob.join()
    wait_told(alice, 200)
    talk.right.hush()
    talk.first.wait_for(lambda c: len(c.requests("INVITE")) == 2)
    assert b"a=sendrecv" in talk.first.requests("INVITE")[1].body
    hears(talk, "left", bob.voice)
    assert leg.requests("INVITE")[1:] == [], "the colleague is never held"
    row = talk.hang_up()
    leg.wait_ended()
    bob.voice.hush()
    assert (row["id"], row["operators"]) == (recording, ["alice", "bob"])
