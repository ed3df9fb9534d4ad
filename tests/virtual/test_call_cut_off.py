"""A PBX that fails during a call: the row says so, and the recording ends where the media ended."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.helpers.exactness import kept_of
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.virtual.exchange import exchange
from tests.helpers.virtual.scene import scene

NOTICED_S = 120.0
"""Silence is reported after 10 s, the sides are probed after 50 s, and have 32 s to answer; plus a margin."""


@pytest.fixture
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("cut-off")) as made:
        yield made


def die(lines: Exchange, talk: Talk) -> None:
    """Stop the media and the signalling of both sides."""
    for voice in (talk.left, talk.right):
        voice.hush()
    with scene() as place:
        for agent in (lines.caller, lines.officer):
            place.network.leave(agent.address)


def filed(lines: Exchange, talk: Talk) -> dict[str, Any]:
    until = time.monotonic() + NOTICED_S
    while lines.home.calls():
        assert time.monotonic() < until, "nobody noticed"
        time.sleep(1)
    return lines.home.row_of(talk.number)


def seconds_of(row: dict[str, Any]) -> float:
    return (datetime.fromisoformat(row["ended_at"]) - datetime.fromisoformat(row["started_at"])).total_seconds()


def test_a_call_whose_pbx_dies_ends_where_its_media_ended(lines: Exchange) -> None:
    talk = lines.call()
    talk.join()
    joined_s = time.monotonic()
    talk.talk_for(4)
    died_s = time.monotonic()
    die(lines, talk)
    row = filed(lines, talk)
    assert time.monotonic() - died_s > 60, "it took that long to notice"
    assert row["outcome"] == "partial"
    assert row["reason"] in ("caller_unreachable", "officer_unreachable")
    assert row["duration_s"] == pytest.approx(died_s - joined_s, abs=0.2)
    assert seconds_of(row) == pytest.approx(died_s - joined_s, abs=0.2)
    assert [one["kind"] for one in row["segments"]] == ["recording"]
    assert row["segments"][-1]["end_s"] == pytest.approx(row["duration_s"], abs=0.001)
    for channel, voice in zip(lines.home.copy(row["id"])[:2], (talk.left, talk.right), strict=True):
        assert kept_of(channel, voice).bytes_between(joined_s + 0.1, died_s - 0.1) > 3.5 * 8000


def test_what_was_done_to_the_recording_after_the_media_ended_leaves_no_span(lines: Exchange) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(8)
    die(lines, talk)
    time.sleep(20)
    lines.home.act(f"/api/calls/{call}/pause").raise_for_status()
    row = filed(lines, talk)
    assert (row["outcome"], row["reason"]) == ("partial", "ended_while_paused")
    assert row["duration_s"] == pytest.approx(8, abs=0.5)
    assert [one["kind"] for one in row["segments"]] == ["recording"]


def test_a_call_that_is_hung_up_in_silence_is_as_long_as_it_was(lines: Exchange) -> None:
    talk = lines.call()
    talk.join()
    talk.talk_for(2)
    for voice in (talk.left, talk.right):
        voice.hush()
    time.sleep(5)
    talk.hang_up()
    row = lines.home.row_of(talk.number)
    assert (row["outcome"], row["reason"]) == ("recorded", "caller_hung_up")
    assert row["duration_s"] == pytest.approx(7, abs=0.5)
