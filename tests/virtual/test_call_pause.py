"""Pausing a call: by key, command line, extension and socket. Nothing of the paused time is in the file."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from tests.helpers.exactness import PACKET_S, Kept, kept_of
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.recorder_home import eventually
from tests.helpers.virtual.exchange import exchange
from tests.helpers.voices import EVENT, FRAME

ERASE_S, LOOK_BACK_S = 1.0, 2.5
EDITS = (("look_back_s = 5.0", f"look_back_s = {LOOK_BACK_S}"), ("erase_s = 3.0", f"erase_s = {ERASE_S}"))


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("pause"), edits=EDITS) as made:
        yield made


@dataclass(frozen=True)
class Moment:
    """When an act was asked for and when it was known to be done, and what was answered."""

    asked_s: float
    done_s: float
    answer: dict[str, Any]


def act(do: Callable[[], dict[str, Any]]) -> Moment:
    asked_s = time.monotonic()
    answer = do()
    return Moment(asked_s, time.monotonic(), answer)


def by_socket(talk: Talk, word: str, **body: str) -> Moment:
    call = talk.wait_phase("joined")["id"]
    return act(lambda: dict(talk.home.act(f"/api/calls/{call}/{word}", **body).raise_for_status().json()))


def by_extension(talk: Talk, word: str) -> Moment:
    def do() -> dict[str, Any]:
        calls = talk.home.act(f"/api/extensions/2001/{word}").raise_for_status().json()["calls"]
        return dict(next(one for one in calls if one["call"] == talk.wait_phase("joined")["id"]))

    return act(do)


def by_command(talk: Talk, word: str) -> Moment:
    call = talk.wait_phase("joined")["id"]
    return act(lambda: dict(talk.home.json(word, "--call", call, *talk.home.as_officer("alice"))))


def by_key(talk: Talk, word: str) -> Moment:
    goal = {"pause": "paused", "resume": "recording"}[word]

    def do() -> dict[str, Any]:
        talk.right.press({"pause": "*1", "resume": "*2"}[word])
        found = eventually(lambda: (c := talk.live) and c["state"] == goal and c, f"the key makes it {goal}")
        assert isinstance(found, dict)
        return found

    return act(do)


def opt_out(talk: Talk, call: str, *, by: str = "mary", **body: Any) -> httpx2.Response:
    """Ask for an opt-out as console and command line do for a manager."""
    person = {"display_name": "Mary", "roles": ["dpo"]}
    words = {"caller_asked": True, "distress_judged": True, "person": person, **body}
    headers = {"X-Recorder-Actor": by} if by else {}
    return talk.home.live.post(f"/api/calls/{call}/opt-out", json=words, headers=headers)


def channels_of(talk: Talk, recording: str) -> tuple[Kept, Kept]:
    left, right, _ = talk.home.copy(recording)
    return kept_of(left, talk.left), kept_of(right, talk.right)


@pytest.mark.parametrize("way", [by_key, by_command, by_extension, by_socket])
def test_nothing_captured_after_the_pause_less_the_erase_is_in_the_file(
    lines: Exchange, way: Callable[[Talk, str], Moment]
) -> None:
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(ERASE_S + 0.6)
    paused = way(talk, "pause")
    assert paused.answer["state"] == "paused"
    assert paused.answer["reasons"] == ["agent"]
    talk.talk_for(0.6)
    resumed = way(talk, "resume")
    assert resumed.answer["state"] == "recording"
    talk.talk_for(0.6)
    row = talk.hang_up()

    assert (row["outcome"], row["reason"]) == ("recorded", "caller_hung_up")
    before, closed, after = row["segments"]
    assert [before["kind"], closed["kind"], after["kind"]] == ["recording", "paused", "recording"]
    assert closed["reason"] == "agent"
    assert closed["by"]
    if way is not by_key:  # the key's answer is the listing, whose position goes on
        assert closed["start_s"] == pytest.approx(paused.answer["position_s"], abs=0.001)
        assert closed["end_s"] == pytest.approx(resumed.answer["position_s"], abs=0.001)
    for kept in channels_of(talk, recording):
        assert_closed(kept, closed, paused, resumed)


def assert_closed(kept: Kept, closed: dict[str, Any], paused: Moment, resumed: Moment) -> None:
    # A packet carries the 20 ms before it was sent.
    assert kept.bytes_between(paused.done_s - ERASE_S + PACKET_S, resumed.asked_s) == 0
    frames, whole = kept.frames_between(0, paused.asked_s - ERASE_S - 2 * PACKET_S)
    assert whole >= frames - skipped(kept, paused.asked_s - ERASE_S)
    assert kept.bytes_between(resumed.done_s + 2 * PACKET_S, time.monotonic()) > 0
    last = max(end for start, end in kept.spans if start / 8000 < closed["start_s"])
    first = min(start for start, _ in kept.spans if start / 8000 >= closed["start_s"])
    assert last / 8000 == pytest.approx(closed["start_s"], abs=PACKET_S), "the segment begins within a packet"
    said = min(tick for tick, _ in kept.voice.sent if tick + FRAME - kept.offset > closed["end_s"] * 8000) - kept.offset
    expected = max(said / 8000, closed["end_s"])  # who presses a key says nothing meanwhile
    assert first / 8000 == pytest.approx(expected, abs=PACKET_S), "the segment ends within a packet"


def skipped(kept: Kept, until_s: float) -> int:
    """Frames said before the joining, which were never to be kept."""
    return sum(tick < kept.offset + kept.spans[0][0] for tick, at_s in kept.voice.sent if at_s <= until_s)


def test_the_callers_keys_do_nothing_and_their_digits_are_silenced_on_both_sides(lines: Exchange) -> None:
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(0.5)
    talk.left.press("*1")
    eventually(lambda: len(talk.left.pressed) == 2, "both keys were pressed")
    talk.talk_for(0.8)
    assert talk.wait_phase("joined")["state"] == "recording"
    row = talk.hang_up()
    assert {segment["kind"] for segment in row["segments"]} == {"recording", "silenced"}
    assert talk.right.heard_keys() == "*1", "the officer's side gets what the caller keys"

    caller, officer = channels_of(talk, recording)
    first, last = talk.left.pressed[0][1] - caller.offset, talk.left.pressed[-1][2] - caller.offset
    for kept in (caller, officer):
        gaps = [(a[1], b[0]) for a, b in zip(kept.spans, kept.spans[1:], strict=False)]
        assert len(gaps) == 1, "the one gap is that of the digits"
        assert gaps[0][0] == pytest.approx(first - 1600, abs=200), "200 ms before the first trace"
        assert gaps[0][1] == pytest.approx(last + 1600, abs=200), "200 ms after the last"


def test_four_digits_in_ten_seconds_pause_by_themselves(lines: Exchange) -> None:
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(ERASE_S + 0.4)
    talk.left.press("411", ms=60)
    eventually(lambda: len(talk.left.pressed) == 3, "three digits")
    talk.talk_for(0.3)
    assert talk.wait_phase("joined")["state"] == "recording", "three digits are no card number"
    talk.left.press("1", ms=60)
    found = eventually(lambda: (c := talk.live) and c["state"] == "paused" and c, "the fourth digit pauses")
    assert isinstance(found, dict)
    assert found["reasons"] == ["card_digits"]
    talk.talk_for(0.3)
    resumed = by_key(talk, "resume")
    talk.talk_for(0.5)
    row = talk.hang_up()
    closed = next(segment for segment in row["segments"] if segment["kind"] == "paused")
    assert (closed["reason"], closed["by"]) == ("card_digits", "rule:card_digits")
    for kept in channels_of(talk, recording):
        assert kept.bytes_between(talk.left.sent[0][1], resumed.asked_s) > 0, "what was said before is there"
        last_digit_s = max(at_s for tick, at_s in talk.left.sent if tick < talk.left.pressed[-1][1])
        assert kept.bytes_between(last_digit_s, resumed.asked_s) == 0


def test_a_star_and_another_digit_reach_the_caller_in_order_and_a_control_key_never(lines: Exchange) -> None:
    talk = lines.call()
    talk.join()
    talk.talk_for(0.2)
    talk.right.press("*17*5")
    eventually(lambda: len(talk.right.pressed) == 5, "the officer has pressed all")
    eventually(lambda: talk.left.heard_keys() == "7*5", "the caller gets what is not a control sequence")
    talk.talk_for(0.3)
    assert talk.left.heard_keys() == "7*5"
    assert talk.wait_phase("joined")["state"] == "paused"
    numbers = [one.packet.sequence for one in talk.left.heard if one.packet.payload_type == EVENT]
    assert len(set(numbers)) == len(numbers)
    row = talk.hang_up()
    assert (row["outcome"], row["reason"]) == ("partial", "ended_while_paused")


def test_a_second_reason_keeps_the_pause_until_its_own_authority_takes_it_away(lines: Exchange) -> None:
    talk = lines.call()
    talk.join()
    assert by_socket(talk, "pause").answer["reasons"] == ["agent"]
    both = by_socket(talk, "pause", **{"as": "token:payments"})
    assert both.answer["reasons"] == ["agent", "payment_app:payments"]
    assert by_socket(talk, "resume").answer["state"] == "paused", "the officer may not clear the application's reason"
    call = talk.wait_phase("joined")["id"]
    refused = talk.home.act(f"/api/calls/{call}/resume")
    assert refused.status_code == 409
    assert "ask a manager" in refused.json()["detail"]
    assert by_socket(talk, "resume", **{"as": "token:payments"}).answer["state"] == "recording"
    talk.hang_up()


def test_a_pause_that_comes_twice_is_one_pause(lines: Exchange) -> None:
    """A client sends it again where its connection ended before the answer (`recorder.control.connections`)."""
    talk, other = lines.call(), lines.call()
    both = {talk.join(): talk, other.join(): other}
    talk.talk_for(ERASE_S + 0.4)

    def now() -> dict[str, list[Any]]:
        fields = ("state", "state_since", "paused_since", "reasons")
        return {one["id"]: [one[field] for field in fields] for one in talk.home.calls()}

    first = by_socket(talk, "pause")
    before = now()
    assert [(state, reasons) for state, _, _, reasons in before.values()] == [("paused", ["agent"])] * 2
    talk.talk_for(0.4)
    again = by_socket(talk, "pause")
    assert [one["call"] for one in (again.answer, *again.answer["also"])] == list(both)
    assert now() == before
    by_socket(talk, "resume")
    assert {state for state, *_ in now().values()} == {"recording"}, "one resume ends it everywhere"
    for call, one in both.items():
        segments = one.hang_up()["segments"]
        assert [segment["kind"] for segment in segments] == ["recording", "paused", "recording"]
        if call == first.answer["call"]:
            assert segments[1]["start_s"] == pytest.approx(first.answer["position_s"], abs=0.001), "no more is erased"


def test_an_opt_out_needs_person_and_reason_and_is_final(lines: Exchange) -> None:
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(ERASE_S + 0.4)
    nobody = opt_out(talk, recording, by="", reason="caller is distressed")
    assert nobody.status_code == 403
    groundless = opt_out(talk, recording)
    assert groundless.status_code == 422
    assert talk.wait_phase("joined")["state"] == "recording", "what was refused changed nothing"
    granted = act(
        lambda: dict(
            talk.home.json("opt-out", "--call", recording, *talk.home.as_admin(), "--reason", "caller is distressed")
        )
    )
    assert granted.answer["state"] == "opted_out"
    again = opt_out(talk, recording, reason="caller is distressed")
    assert again.status_code == 409
    assert "ended for good" in again.json()["detail"]
    assert talk.home.act(f"/api/calls/{recording}/resume").status_code == 409
    talk.right.press("*2")
    talk.talk_for(0.6)
    assert talk.wait_phase("joined")["state"] == "opted_out"
    row = talk.hang_up()
    assert (row["outcome"], row["reason"], row["opted_out"]) == ("partial", "opted_out", True)
    assert [segment["kind"] for segment in row["segments"]] == ["recording", "opted_out"]
    for kept in channels_of(talk, recording):
        assert kept.bytes_between(granted.done_s - ERASE_S + PACKET_S, time.monotonic()) == 0
        assert kept.bytes_between(0, granted.asked_s - ERASE_S) > 0


def test_a_pause_before_the_joining_begins_the_recording_closed(lines: Exchange) -> None:
    talk = lines.call()
    talk.begin()
    call = talk.wait_phase("notice")["id"]
    answer = talk.home.act(f"/api/calls/{call}/pause").raise_for_status().json()
    assert (answer["state"], answer["position_s"]) == ("paused", 0)
    assert talk.join() == call
    talk.talk_for(0.6)
    resumed = by_socket(talk, "resume")
    talk.talk_for(0.6)
    row = talk.hang_up()
    assert [segment["kind"] for segment in row["segments"]] == ["paused", "recording"]
    assert row["segments"][0]["start_s"] == 0
    for kept in channels_of(talk, call):
        assert kept.bytes_between(0, resumed.asked_s) == 0
        assert kept.bytes_between(resumed.done_s + 2 * PACKET_S, time.monotonic()) > 0


def test_an_opt_out_before_the_joining_keeps_nothing(lines: Exchange) -> None:
    talk = lines.call()
    talk.begin()
    call = talk.wait_phase("notice")["id"]
    opt_out(talk, call, reason="asked before").raise_for_status()
    assert talk.join() == call
    assert talk.wait_phase("joined")["is_recorded"] is False
    talk.talk_for(0.3)
    row = talk.hang_up()
    assert (row["outcome"], row["reason"], row["path"]) == ("blocked", "opted_out", None)
    assert not list(talk.home.root.rglob(f"{call}.*")), "no file and no key of it"
