"""A daemon is killed, and its peers go on sending to its ports: nobody else hears or records that."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.helpers.exactness import kept_of
from tests.helpers.exchange import Exchange, Talk, exchange
from tests.helpers.recorder_home import eventually
from tests.helpers.siprec_client import EDITS, HOSTS, REQUIRE, Client, Session
from tests.helpers.voices import FRAME, TICKS_PER_S, Voice

CALLS = 20
LATE_S = 0.6
"""After which half of the clients begin to send: what else comes until then is recorded, and taken back."""
PORTS = 96
"""Eight pairs more than the calls need: the next ones have to use ports of the killed run."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Exchange, Client, list[Voice]]]:
    """A recorder that was killed with 20 calls in progress and runs again; their 40 parties talk on to its ports."""
    with ExitStack() as stack:
        lines = stack.enter_context(exchange(tmp_path_factory.mktemp("stale"), edits=EDITS, ports=PORTS))
        talks = begun(lines)
        for talk in talks:
            talk.left.stream *= 4
            talk.right.stream *= 4
            talk.join()
        wait_talking(talks)
        lines.home.kill()
        lines.home.start()
        client = stack.enter_context(Client(lines.home, lines.studio, HOSTS["sbc"]))
        yield lines, client, [voice for talk in talks for voice in (talk.left, talk.right)]


def begun(lines: Exchange) -> list[Talk]:
    """Place the calls one after another, all before the first is answered."""
    return [lines.call(("2001", "2002")[number % 2]) for number in range(CALLS)]


def wait_talking(talks: list[Talk]) -> None:
    """Wait until every party has said something."""
    voices = [voice for talk in talks for voice in (talk.left, talk.right)]
    eventually(lambda: all(voice.sent for voice in voices), "everybody talks")


def ports_of(voices: list[Voice]) -> set[int]:
    return {voice.remote[1] for voice in voices if voice.remote is not None}


def wait_still_sending(stale: list[Voice]) -> None:
    now_s = time.monotonic()
    eventually(lambda: all(voice.sent[-1][1] > now_s for voice in stale), "the parties of the calls before talk on")


def test_new_recording_sessions_hold_nothing_of_former_calls(site: tuple[Exchange, Client, list[Voice]]) -> None:
    lines, client, stale = site
    sessions = [client.session(caller=f"0163298{number:04d}") for number in range(CALLS)]
    for session in sessions:
        content, content_type = session.body()
        session.answer = session.ask("INVITE", content, content_type, REQUIRE)
        assert session.answer.status == 200
        if sessions.index(session) % 2 == 0:
            session.talk(session.answer)
    time.sleep(LATE_S)
    for session in sessions[1::2]:
        assert session.answer is not None
        session.talk(session.answer)
    sessions[-1].talk_for(4)
    new = [line.voice for session in sessions for line in session.lines]
    assert len(ports_of(new) & ports_of(stale)) >= 20, "ports of the killed run are used again: there are no others"
    wait_still_sending(stale)
    for session in sessions:
        session.bye()
    for session in sessions[::2]:
        assert_whole(lines, session, from_tick=TICKS_PER_S // 2)  # it began before there was a recording
    for session in sessions[1::2]:
        assert_whole(lines, session, from_tick=0)
    assert "were dropped so far, the last from 127.0.0.1:" in lines.home.said
    assert lines.home.health()["media"]["refused"] > 1000


def assert_whole(lines: Exchange, session: Session, *, from_tick: int) -> None:
    """Assert that each channel holds the voice of its line in one piece, and not a byte that is another's."""
    row = lines.home.row_of(session.call.caller.user)
    assert (row["outcome"], row["reason"]) == ("recorded", "session_ended")
    for channel, line in zip(lines.home.copy(row["id"])[:2], session.lines, strict=True):
        kept = kept_of(channel, line.voice)
        assert len(kept.spans) == 1
        assert kept.offset + kept.spans[0][0] <= from_tick, "from its first word on"
        assert kept.spans[0][1] - kept.spans[0][0] > 2 * TICKS_PER_S


def test_nothing_of_former_calls_is_heard_on_new_ones(site: tuple[Exchange, Client, list[Voice]]) -> None:
    lines, _, stale = site
    talks = begun(lines)
    for talk in talks:
        talk.join()
    wait_talking(talks)
    talks[-1].talk_for(3)
    new = [voice for talk in talks for voice in (talk.left, talk.right)]
    assert len(ports_of(new) & ports_of(stale)) >= 20
    wait_still_sending(stale)
    rows = [talk.hang_up() for talk in talks]
    former = {voice.stream[tick : tick + FRAME] for voice in stale for tick, _ in voice.sent}
    for talk, row in zip(talks, rows, strict=True):
        assert (row["outcome"], row["reason"]) == ("recorded", "caller_hung_up")
        for channel, voice in zip(lines.home.copy(row["id"])[:2], (talk.left, talk.right), strict=True):
            kept_of(channel, voice)  # fails if a byte is another's
            assert len(voice.heard_audio()) > 100
            assert not any(one.packet.payload in former for one in voice.heard)
