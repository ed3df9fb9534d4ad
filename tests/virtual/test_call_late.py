"""Acts that the call thread runs late: they erase from the time of the request."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from storage.retention_types import ErasureState
from tests.helpers.exactness import PACKET_S
from tests.helpers.exchange import Exchange, Talk
from tests.helpers.recorder_home import eventually
from tests.helpers.virtual.exchange import TurnedHome, exchange
from tests.virtual.test_call_pause import channels_of, skipped
from tests.virtual.test_call_retroactive_pause import forgot, orders_of

ERASE_S, LOOK_BACK_S, FORGOT_S, LATE_S = 1.0, 2.5, 0.5, 1.2
CARD_WINDOW_S = 10.0
EDITS = (
    ("look_back_s = 5.0", f"look_back_s = {LOOK_BACK_S}"),
    ("erase_s = 3.0", f"erase_s = {ERASE_S}"),
    ("forgot_s = 300.0", f"forgot_s = {FORGOT_S}"),
)


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("late"), edits=EDITS) as made:
        yield made


@pytest.fixture
def home(lines: Exchange) -> TurnedHome:
    assert isinstance(lines.home, TurnedHome)
    return lines.home


def key(talk: Talk) -> Callable[[], float]:
    """Return what presses the key for a pause, and tells when that was over."""

    def press() -> float:
        talk.right.press("*1")
        eventually(lambda: len(talk.right.pressed) == 2, "both keys were pressed")
        return time.monotonic()

    return press


def request(talk: Talk) -> Callable[[], float]:
    """Return what asks for a pause, and tells when that was."""
    person = talk.home._part("2001", "officer")

    def ask() -> float:
        asked_s = time.monotonic()
        headers = {"X-Recorder-Actor": "officer"}
        talk.home.live.post("/api/extensions/2001/pause", json={"person": person}, headers=headers).raise_for_status()
        return asked_s

    return ask


@pytest.mark.parametrize("erase_s", [ERASE_S, 0.0])
@pytest.mark.parametrize("way", [key, request])
def test_a_pause_counts_from_when_it_was_asked_for(
    lines: Exchange,
    home: TurnedHome,
    monkeypatch: pytest.MonkeyPatch,
    way: Callable[[Talk], Callable[[], float]],
    erase_s: float,
) -> None:
    services = home.daemon_now.services
    monkeypatch.setattr(
        services, "config", replace(services.config, pause=replace(services.config.pause, erase_s=erase_s))
    )
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(ERASE_S + 0.6)
    act, began_s = way(talk), time.monotonic()
    home.hold_up(LATE_S)
    asked_s = act()
    talk.talk_for(LATE_S)
    eventually(lambda: (call := talk.live) and call["state"] == "paused", "it is paused")
    talk.talk_for(0.4)
    row = talk.hang_up()

    _, closed = row["segments"]
    caller, officer = channels_of(talk, recording)
    assert max(end for _, end in caller.spans) / 8000 == pytest.approx(closed["start_s"], abs=PACKET_S)
    for kept in (caller, officer):
        assert kept.bytes_between(asked_s + PACKET_S - erase_s, time.monotonic()) == 0
        frames, whole = kept.frames_between(0, began_s - erase_s - 2 * PACKET_S)
        assert whole >= frames - skipped(kept, began_s - erase_s)


def test_what_the_look_back_no_longer_holds_is_not_said_to_be_gone(lines: Exchange, home: TurnedHome) -> None:
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(ERASE_S + 0.6)
    shut_s = time.monotonic() + LOOK_BACK_S + 1.0
    home.hold_up(LOOK_BACK_S + 1.0)
    key(talk)()
    talk.talk_for(LOOK_BACK_S + 1.0)
    row = talk.hang_up()

    _, closed = row["segments"]
    for kept in channels_of(talk, recording):
        assert kept.position_of(shut_s) - closed["start_s"] == pytest.approx(LOOK_BACK_S, abs=0.2)
        assert max(end for _, end in kept.spans) / 8000 == pytest.approx(closed["start_s"], abs=PACKET_S)


def test_forgot_reaches_back_from_when_it_was_asked_for_and_takes_no_second_person(
    lines: Exchange, home: TurnedHome
) -> None:
    talk = lines.call()
    call = talk.join()
    talk.talk_for(2.0)
    home.hold_up(LATE_S)
    forgot(lines, call, FORGOT_S).raise_for_status()
    (order,) = orders_of(lines, call)
    assert order.end_s is not None
    assert order.end_s - order.start_s == pytest.approx(FORGOT_S + LATE_S, abs=0.05)
    assert order.state is ErasureState.CONFIRMED
    talk.hang_up()


def test_digits_of_a_card_count_by_when_they_were_keyed(lines: Exchange, home: TurnedHome) -> None:
    talk = lines.call()
    talk.join()
    talk.talk_for(0.5)
    talk.left.press("41")
    eventually(lambda: len(talk.left.pressed) == 2, "two digits are keyed")
    home.hold_up(CARD_WINDOW_S + 1.0)
    talk.left.press("71")
    talk.talk_for(CARD_WINDOW_S + 1.0)
    eventually(lambda: (call := talk.live) and call["state"] == "paused", "four within ten seconds pause")
    talk.hang_up()
