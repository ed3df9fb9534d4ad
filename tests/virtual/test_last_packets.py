"""The last packets before a hang-up, where the media thread is held up: kept, but for keys and what is said on."""

import time
from collections.abc import Iterator
from typing import cast

import pytest

from audio.types import LegId
from recorder.calls.closing import LONGEST_WAIT_S
from recorder.calls.recording import CLOSING_S
from recorder.calls.siprec.lifecycle import SessionLifecycle
from tests.helpers.exactness import Kept, kept_of
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.siprec_client import Session
from tests.helpers.siprec_policy import Site
from tests.helpers.virtual.exchange import TurnedHome, exchange
from tests.helpers.virtual.siprec import siprec_site
from tests.helpers.voices import FRAME


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("calls")) as made:
        yield made


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with siprec_site(tmp_path_factory.mktemp("sessions")) as (home, clients):
        yield Site(home, clients)


def held_up(lines: Exchange, held_s: float, *, talk_s: float, key: str = "") -> tuple[Talk, str]:
    """Talk, and talk on while the media thread is held up; the officer may press a key then.

    Args:
        lines: Where they call.
        held_s: How long it is held up.
        talk_s: How long they talk on.
        key: What the officer presses.

    Returns:
        The call, and the id of its recording.
    """
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(2)
    cast(TurnedHome, lines.home).hold_up_media(held_s)
    if key:
        talk.right.press(key)
    talk.talk_for(talk_s)
    return talk, recording


def kept_of_both(lines: Exchange, talk: Talk, recording: str) -> tuple[Kept, Kept]:
    """Return what was kept of the caller and of the officer."""
    left, right, _ = lines.home.exported(recording)
    return kept_of(left, talk.left), kept_of(right, talk.right)


def test_they_are_kept(lines: Exchange) -> None:
    talk, recording = held_up(lines, 0.4, talk_s=0.2)
    hung_up_s = time.monotonic()
    row = talk.hang_up()
    assert (row["outcome"], row["packets_lost"]) == ("recorded", [0, 0])
    for kept in kept_of_both(lines, talk, recording):
        assert len(kept.spans) == 1
        assert kept.end_tick >= kept.voice.tick_at(hung_up_s) + FRAME


def test_they_are_silenced_with_a_key_in_them(lines: Exchange) -> None:
    talk, recording = held_up(lines, 1.3, talk_s=1, key="4")
    talk.hang_up()
    caller, officer = kept_of_both(lines, talk, recording)
    _, start, end = talk.right.pressed[0]
    assert not caller.has_some_of(start - officer.offset, end - officer.offset)


def test_a_call_ends_although_the_media_thread_does_not_go_on(lines: Exchange) -> None:
    talk, _ = held_up(lines, 5.0, talk_s=0.2)
    hung_up_s = time.monotonic()
    talk.hang_up()
    assert time.monotonic() - hung_up_s < CLOSING_S + LONGEST_WAIT_S + 0.2


def test_what_is_said_on_after_a_hang_up_is_not_kept(lines: Exchange) -> None:
    talk, recording = held_up(lines, 0.6, talk_s=0.2)
    before, hung_up_s = lines.home.index_state(), time.monotonic()
    talk.first.hang_up()
    time.sleep(CLOSING_S + 0.2)  # officers hang up late, and who attacks does not
    talk.left.hush()
    talk.right.hush()
    lines.home.row_of(talk.number, before=before)
    _, officer = kept_of_both(lines, talk, recording)
    assert officer.end_tick <= talk.right.tick_at(hung_up_s + CLOSING_S) + 2 * FRAME


def test_a_call_is_filed_although_its_sockets_cannot_be_shut(lines: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_leg: LegId) -> None:
        raise OSError(101, "Network is unreachable")

    talk, recording = held_up(lines, 0.4, talk_s=0.2)
    monkeypatch.setattr(cast(TurnedHome, lines.home).daemon_now.relay, "take_no_more", refuse)
    row = talk.hang_up()
    assert (row["id"], row["outcome"]) == (recording, "recorded")


def test_a_stop_waits_for_them(lines: Exchange) -> None:
    talk, recording = held_up(lines, 0.8, talk_s=0.1)
    stopped_s = time.monotonic()
    talk.left.hush()
    talk.right.hush()
    try:
        lines.home.stop()
    finally:
        lines.home.start()
    caller, _ = kept_of_both(lines, talk, recording)
    assert caller.end_tick >= talk.left.tick_at(stopped_s)


def kept_of_session(site: Site, session: Session) -> tuple[Kept, Kept]:
    """Return what was kept of the first two lines of a session that has ended."""
    row = site.home.row_of(session.call.caller.user)
    left, right = site.home.copy(row["id"])[:2]
    return kept_of(left, session.lines[0].voice), kept_of(right, session.lines[1].voice)


def test_those_of_a_recording_session_are_kept(site: Site) -> None:
    session = site.session()
    session.invite()
    session.talk_for(0.5)
    cast(TurnedHome, site.home).hold_up_media(0.3)
    session.talk_for(0.1)
    ended_s = time.monotonic()
    session.bye()
    for kept in kept_of_session(site, session):
        assert kept.end_tick >= kept.voice.tick_at(ended_s) + FRAME


def test_those_of_a_recording_session_are_silenced_with_a_key_in_them(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SessionLifecycle, "has_officers_keys", False)  # so a key may be the caller's on either side
    session = site.session()
    session.invite()
    session.talk_for(2.0)
    cast(TurnedHome, site.home).hold_up_media(0.5)
    voice = session.lines[1].voice
    voice.press("4", ms=100)
    session.talk_for(0.3)
    session.bye()
    left, right = kept_of_session(site, session)
    _, start, end = voice.pressed[0]
    for kept in (left, right):
        assert not kept.has_some_of(start - right.offset, end - right.offset)
