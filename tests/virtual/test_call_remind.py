"""A long pause: the officer is reminded, the alarm is raised, and only a person resumes."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from audio import prompts
from audio.types import Codec
from tests.helpers.exactness import times_heard
from tests.helpers.exchange import Exchange
from tests.helpers.recorder_home import eventually
from tests.helpers.virtual.exchange import exchange

REMINDER_S, MAX_S = 0.5, 1.2
EDITS = (
    ("reminder_s = 60.0", f"reminder_s = {REMINDER_S}"),
    ("max_s = 600.0", f"max_s = {MAX_S}"),
    ("record_hold = true", "record_hold = false"),
)
STILL = prompts.still_paused_tone()


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("remind"), edits=EDITS) as made:
        yield made


def test_the_officer_is_reminded_and_one_alarm_is_raised_and_the_pause_stays(lines: Exchange) -> None:
    before = lines.home.health()["alarms"].get("pause_over_maximum", 0)
    talk = lines.call()
    call = talk.join()
    talk.talk_for(0.3)
    lines.home.act(f"/api/calls/{call}/pause").raise_for_status()
    talk.talk_for(4 * REMINDER_S + 0.3)
    assert times_heard(talk.right, STILL) in (3, 4), "one every reminder_s, and on after the alarm"
    assert lines.home.health()["alarms"]["pause_over_maximum"] == before + 1
    assert talk.wait_phase("joined")["state"] == "paused"
    assert f"call {call}: paused for over {MAX_S:g} s" in lines.home.said
    assert talk.number not in lines.home.said
    assert STILL.audio[Codec.PCMA][:160] not in [one.packet.payload for one in talk.left.heard_audio()]

    lines.home.act(f"/api/calls/{call}/resume").raise_for_status()
    heard = times_heard(talk.right, STILL)
    talk.talk_for(2 * REMINDER_S)
    assert times_heard(talk.right, STILL) == heard, "who is not paused is not reminded"
    lines.home.act(f"/api/calls/{call}/pause").raise_for_status()
    eventually(
        lambda: lines.home.health()["alarms"]["pause_over_maximum"] == before + 2, "another pause, another alarm"
    )
    row = talk.hang_up()
    assert (row["outcome"], row["reason"]) == ("partial", "ended_while_paused")


def test_a_hold_by_rule_reminds_nobody(lines: Exchange) -> None:
    before = lines.home.health()["alarms"].get("pause_over_maximum", 0)
    talk = lines.call()
    talk.join()
    talk.talk_for(0.3)
    talk.first.offer(talk.left.media(version=2, direction="sendonly"))
    eventually(lambda: (c := talk.live) and c["reasons"] == ["hold"], "the hold is taken for one")
    talk.talk_for(MAX_S + REMINDER_S)
    assert times_heard(talk.right, STILL) == 0
    assert lines.home.health()["alarms"].get("pause_over_maximum", 0) == before
    row = talk.hang_up()
    assert row["outcome"] == "recorded"


def test_a_call_that_was_paused_on_hold_reminds_the_officer_who_takes_it_back(lines: Exchange) -> None:
    """The pause was asked for at another call, which has ended: only a person resumes."""
    held = lines.call()
    call = held.join()
    alice = held.wait_second()
    alice.offer(replace(alice.media, direction="sendonly", version=2))
    eventually(lambda: (c := held.live) and c["reasons"] == ["hold"], "the caller is on hold")
    other = lines.call()
    other.join()
    lines.home.act("/api/extensions/2001/pause").raise_for_status()
    eventually(lambda: (c := held.live) and c["reasons"] == ["agent", "hold"], "the call on hold is paused too")
    other.hang_up()
    alice.offer(replace(alice.media, direction="sendrecv", version=3))
    eventually(lambda: (c := held.live) and c["reasons"] == ["agent"], "the hold is over, the pause is not")
    heard = times_heard(held.right, STILL)
    held.talk_for(2 * REMINDER_S + 0.2)
    assert times_heard(held.right, STILL) > heard, "the officer is told"
    held.right.press("*2")
    eventually(lambda: (c := held.live) and c["state"] == "recording", "their key resumes")
    assert held.live is not None
    assert held.live["paused_since"] is None
    assert held.hang_up()["id"] == call


def test_reminders_end_with_the_call(lines: Exchange) -> None:
    before = lines.home.health()["alarms"].get("pause_over_maximum", 0)
    talk = lines.call()
    call = talk.join()
    talk.talk_for(0.2)
    lines.home.act(f"/api/calls/{call}/pause").raise_for_status()
    talk.hang_up()
    other = lines.call()
    other.join()
    other.talk_for(MAX_S + 0.5)
    assert lines.home.health()["alarms"].get("pause_over_maximum", 0) == before
    other.hang_up()
    assert "Traceback" not in lines.home.said
