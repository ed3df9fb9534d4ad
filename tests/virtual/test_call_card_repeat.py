"""A caller whose digits pause a call repeatedly without a payment raises an alarm, since each pause erases audio."""

from collections.abc import Iterator

import pytest

from tests.helpers.exchange import Exchange, Talk
from tests.helpers.recorder_home import eventually
from tests.helpers.virtual.exchange import exchange


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchange]:
    with exchange(tmp_path_factory.mktemp("card"), edits=(("erase_s = 3.0", "erase_s = 0.3"),)) as made:
        yield made


def alarms(lines: Exchange) -> int:
    return int(lines.home.health()["alarms"].get("card_pauses_repeated", 0))


def wait_state(talk: Talk, state: str) -> None:
    eventually(lambda: (talk.live or {})["state"] == state, f"the call is {state}")


def key_four(talk: Talk) -> None:
    """Have the caller key four digits, and the officer go on."""
    talk.left.press("4111", ms=60)
    wait_state(talk, "paused")
    talk.talk_for(0.6)
    talk.right.press("*2")
    wait_state(talk, "recording")


def test_the_third_pause_by_digits_without_a_payment_raises_an_alarm(lines: Exchange) -> None:
    before = alarms(lines)
    talk = lines.call()
    talk.join()
    for _ in range(2):
        key_four(talk)
    assert alarms(lines) == before, "a card number was mistyped"
    key_four(talk)
    assert alarms(lines) == before + 1
    talk.hang_up()


def test_a_payment_between_them_begins_the_count_anew(lines: Exchange) -> None:
    before = alarms(lines)
    talk = lines.call()
    recording = talk.join()
    for _ in range(2):
        key_four(talk)
    for word in ("pause", "resume"):
        till = {"as": "token:till"}
        lines.home.act(f"/api/calls/{recording}/{word}", by="token:till", **till).raise_for_status()
    wait_state(talk, "recording")
    for _ in range(2):
        key_four(talk)
    assert alarms(lines) == before
    talk.hang_up()
