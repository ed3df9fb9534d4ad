"""The second message during a call: who hears it, the recording, the audit log, and refusals."""

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from audio.types import Prompt
from recorder.calls.notices import NoticeStore
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from tests.helpers.exactness import heard_frames, kept_of, times_heard
from tests.helpers.exchange import Exchange, Talk, re_offer
from tests.helpers.recorder_home import NOTICE_S, SECOND_S, eventually
from tests.helpers.sip_peer import Answer
from tests.helpers.transfers import expect_newcomer, refer, wait_told
from tests.helpers.virtual.exchange import exchange

EDITS = (
    ("erase_s = 3.0", "erase_s = 0.3"),
    ('service = "Revenues"\nteam = ""', 'service = "Revenues"\nteam = "Revenues"'),
)
OFFICER = {"display_name": "alice", "roles": ["officer"]}


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("second"), edits=EDITS) as made:
        yield made


@pytest.fixture(scope="module")
def message(lines: Exchange) -> Prompt:
    return NoticeStore(lines.home.root / "notices").load("second").prompt


def play(talk: Talk, call: str, **person: Any) -> httpx2.Response:
    return talk.home.act(f"/api/calls/{call}/second-message", by="ann", person={**OFFICER, **person})


def entries(talk: Talk, subject: str) -> list[AuditEntry]:
    log = AuditLog(talk.home.root / "audit").entries()
    return [one for one in log if one.subject == subject and one.act.startswith("call.second_message")]


def wait_state(talk: Talk, state: str) -> None:
    eventually(lambda: (live := talk.live) and live["second_message"] == state, f"the second message is {state}")


def test_the_caller_hears_it_byte_for_byte_and_the_officer_goes_on_hearing_the_caller(
    lines: Exchange, message: Prompt
) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(0.4)
    assert talk.wait_phase("joined")["second_message"] == "ready"
    began_s = time.monotonic()
    answer = play(talk, call).raise_for_status().json()
    assert (answer["call"], answer["state"], answer["reasons"]) == (call, "recording", [])
    assert talk.wait_phase("joined")["second_message"] == "playing"
    again = play(talk, call)
    assert (again.status_code, "hearing the second message already" in again.json()["detail"]) == (409, True)
    wait_state(talk, "played")
    ended_s = time.monotonic()
    assert times_heard(talk.left, message) == 1
    assert times_heard(talk.right, message) == 0, "the officer hears the caller, not the message"
    during = [one for one in talk.left.heard_audio(began_s + 0.1) if one.at_s < began_s + SECOND_S - 0.1]
    assert not heard_frames_among(talk, during), "in the place of the officer"
    talk.talk_for(0.5)
    assert len(heard_frames(talk.right, talk.left, since_s=began_s)) * 0.02 > ended_s - began_s
    assert heard_frames(talk.left, talk.right, since_s=ended_s), "afterwards the caller hears the officer again"

    row = talk.hang_up()
    assert (row["outcome"], row["notice"]["complete"], row["notice"]["second_message"]) == ("recorded", True, True)
    assert [one["kind"] for one in row["segments"]] == ["recording"]
    (played,) = row["second_messages"]
    assert (played["by"], played["complete"]) == ("ann", True)
    assert row["notice"]["ended_at"] < row["started_at"] < played["started_at"] < played["ended_at"] < row["ended_at"]
    left, right, _ = lines.home.copy(call)
    for kept in (kept_of(left, talk.left), kept_of(right, talk.right)):
        assert len(kept.spans) == 1, "nothing of either is missing, and nothing of the message is in it"
    asked, refused, ended = entries(talk, call)
    assert (asked.act, asked.actor, asked.details["state"]) == ("call.second_message", "ann", "recording")
    assert refused.act == "call.second_message.refused"
    assert (ended.act, ended.actor, ended.details["complete"]) == ("call.second_message.ended", "ann", True)


def heard_frames_among(talk: Talk, heard: list[Any]) -> set[bytes]:
    said = {talk.right.stream[tick : tick + 160] for tick, _ in list(talk.right.sent)}
    return said & {one.packet.payload for one in heard}


def test_a_pause_stays_and_an_opted_out_call_stays_ended(lines: Exchange, message: Prompt) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(0.4)
    lines.home.act(f"/api/calls/{call}/pause").raise_for_status()
    answer = play(talk, call).raise_for_status().json()
    assert (answer["state"], answer["reasons"]) == ("paused", ["agent"])
    wait_state(talk, "played")
    assert talk.wait_phase("joined")["state"] == "paused"
    manager = {"display_name": "Mary", "roles": ["manager"], "teams": ["Revenues"]}
    lines.home.act(f"/api/calls/{call}/opt-out", by="mary", person=manager, reason="she asked").raise_for_status()
    assert play(talk, call, **manager).raise_for_status().json()["state"] == "opted_out"
    wait_state(talk, "played")
    assert times_heard(talk.left, message) == 2
    row = talk.hang_up()
    assert (row["opted_out"], row["notice"]["second_message"]) == (True, True)


def test_what_the_caller_heard_before_the_joining_counts_as_played(lines: Exchange) -> None:
    talk = lines.call()
    talk.begin()
    talk.wait_phase("notice")
    early = play(talk, str(talk.wait_phase("notice")["id"]))
    assert (early.status_code, "not joined" in early.json()["detail"]) == (409, True)
    talk.left.press("1")
    talk.wait_phase("second message")
    assert talk.live is not None
    assert talk.live["second_message"] == "playing"
    call = talk.join()
    assert talk.wait_phase("joined")["second_message"] == "played"
    assert play(talk, call).status_code == 200, "they may ask for it again"
    row = talk.hang_up()
    assert entries(talk, call)[-1].details["complete"] is False, "they hung up before its end"
    assert [(one["by"], one["complete"]) for one in row["second_messages"]] == [("", True), ("ann", False)]
    assert row["second_messages"][0]["ended_at"] <= row["started_at"]


@pytest.mark.parametrize(
    ("person", "status", "sentence"),
    [
        ({"display_name": "Otto"}, 404, "No call"),
        ({"display_name": "Otto", "extension": "2002"}, 403, "not your call"),
        ({"display_name": "Hugo", "roles": ["manager"], "teams": ["Housing"]}, 404, "No call"),
        ({"display_name": "Dora", "roles": ["ict", "admin", "member", "dpo"]}, 403, "not your call"),
        ({"roles": ["admin", "member"]}, 404, "No call"),
    ],
)
def test_nobody_has_it_played_in_somebody_elses_call(
    lines: Exchange, person: dict[str, Any], status: int, sentence: str
) -> None:
    talk = lines.call()
    call = talk.join()
    refused = play(talk, call, **person)
    assert (refused.status_code, sentence in refused.json()["detail"]) == (status, True), refused.text
    assert talk.wait_phase("joined")["second_message"] == "ready"
    assert talk.hang_up()["notice"]["second_message"] is False
    gone = play(talk, call)
    assert (gone.status_code, "no call" in gone.json()["detail"].lower()) == (404, True)


def test_whoever_handed_the_call_over_has_no_part_in_it_any_more(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    bob = expect_newcomer(talk, "2002")
    alice = talk.wait_second()
    refer(alice, "2002")
    leg = bob.join()
    wait_told(alice, 200)
    alice.wait_ended()
    assert play(talk, call).status_code == 403
    assert talk.wait_phase("joined")["operators_now"] == ["bob"]
    assert play(talk, call, display_name="bob").status_code == 200
    talk.hang_up()
    leg.wait_ended()
    bob.voice.hush()


def test_a_transfer_cuts_it_off_and_it_can_be_played_again(lines: Exchange, message: Prompt) -> None:
    talk = lines.call()
    call = talk.join()
    carol = expect_newcomer(talk, "4000")
    alice = talk.wait_second()
    play(talk, call).raise_for_status()
    refer(alice, "4000")
    leg = carol.join()
    wait_told(alice, 200)
    eventually(lambda: len(entries(talk, call)) == 2, "its end is written down")
    assert entries(talk, call)[-1].details["complete"] is False
    assert times_heard(talk.left, message) == 0
    away = lines.home.act("/api/extensions/2001/second-message", by="ann", person=OFFICER)
    assert away.status_code == 404, "no call of hers is recorded"
    back = play(talk, call, display_name="Lena", roles=["team_leader"])
    assert (back.status_code, "not recorded" in back.json()["detail"]) == (409, True)
    talk.hang_up()
    leg.wait_ended()
    carol.voice.hush()


def test_who_comes_in_later_has_not_had_it_played(lines: Exchange) -> None:
    talk = lines.call("2001", from_number="2002")  # inside: bob, who calls, has it played
    call = talk.join()
    play(talk, call).raise_for_status()
    wait_state(talk, "played")
    outside = expect_newcomer(talk, "01632960123")
    alice = talk.wait_second()
    refer(alice, "01632960123")
    leg = outside.join()
    wait_told(alice, 200)
    talk.wait_phase("notice, answered side held")
    assert talk.wait_phase("joined", timeout_s=NOTICE_S + 3)["second_message"] == "ready"
    talk.first.hang_up()
    talk.first.wait_ended()
    talk.left.hush()
    talk.right.hush()
    leg.wait_ended()
    outside.voice.hush()
    (row,) = eventually(
        lambda: [row for row in talk.home.rows(number=talk.number) if row["id"] == call], "the call is filed"
    )
    assert (row["notice"]["complete"], row["notice"]["second_message"]) == (True, False)


def test_who_hangs_up_while_somebody_is_called_in_their_place_has_not_heard_it_in_full(lines: Exchange) -> None:
    talk = lines.call("2002", from_number="2001")
    call = talk.join()
    carol = expect_newcomer(talk, "4000", calling="2002", answer=Answer(after_s=1.5))
    play(talk, call).raise_for_status()
    refer(talk.first, "4000")
    carol.wait()
    talk.first.hang_up()
    talk.first.wait_ended()
    talk.left.hush()
    eventually(lambda: len(entries(talk, call)) == 2, "its end is written down")
    assert entries(talk, call)[-1].details["complete"] is False
    leg = carol.join()
    talk.wait_second().hang_up()
    leg.wait_ended()
    talk.right.hush()
    carol.voice.hush()


def test_a_hold_in_the_middle_of_it_is_written_down_as_not_heard_in_full(lines: Exchange, message: Prompt) -> None:
    talk = lines.call()
    call = talk.join()
    play(talk, call).raise_for_status()
    re_offer(talk.first, talk.left.media(version=2, direction="inactive"))
    wait_state(talk, "played")
    re_offer(talk.first, talk.left.media(version=3))
    eventually(lambda: len(entries(talk, call)) == 2, "its end is written down")
    assert entries(talk, call)[-1].details["complete"] is False
    assert times_heard(talk.left, message) == 0
    play(talk, call).raise_for_status()
    wait_state(talk, "played")
    assert times_heard(talk.left, message) == 1
    talk.hang_up()


def test_a_caller_on_hold_would_not_hear_it(lines: Exchange, message: Prompt) -> None:
    talk = lines.call()
    call = talk.join()
    re_offer(talk.first, talk.left.media(version=2, direction="inactive"))
    held = play(talk, call)
    assert (held.status_code, "on hold" in held.json()["detail"]) == (409, True)
    re_offer(talk.first, talk.left.media(version=3))
    (answer,) = lines.home.act("/api/extensions/2001/second-message", by="ann", person=OFFICER).json()["calls"]
    assert answer["call"] == call
    wait_state(talk, "played")
    assert times_heard(talk.left, message) == 1
    talk.hang_up()


def test_without_a_second_message_there_is_nothing_to_play(lines: Exchange) -> None:
    lines.home.edit('second = "second"', 'second = "off"')
    lines.home.act("/api/reload").raise_for_status()
    try:
        talk = lines.call()
        call = talk.join()
        assert talk.wait_phase("joined")["second_message"] == "off"
        refused = play(talk, call)
        assert (refused.status_code, "no second message is set" in refused.json()["detail"].lower()) == (409, True)
        talk.hang_up()
    finally:
        lines.home.edit('second = "off"', 'second = "second"')
        lines.home.act("/api/reload").raise_for_status()
