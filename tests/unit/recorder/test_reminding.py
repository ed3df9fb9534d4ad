"""What a pause calls for while it lasts; every expectation is written out by hand."""

import pytest

from recorder.calls.rules.reminding import Due, PauseReminders, is_watched
from recorder.rules.pausing import AGENT, CARD_DIGITS, HOLD, MANAGER, Final, PauseReasons, payment_app

REMIND, ALARM = Due.REMIND, Due.ALARM


@pytest.mark.parametrize("reason", [AGENT, CARD_DIGITS, MANAGER, payment_app("shop")])
def test_a_pause_is_watched_and_a_hold_alone_is_not(reason: str) -> None:
    assert is_watched(PauseReasons({reason}))
    assert is_watched(PauseReasons({reason, HOLD}))
    assert not is_watched(PauseReasons({HOLD}))
    assert not is_watched(PauseReasons())
    assert not is_watched(PauseReasons({reason}, final=Final.OPTED_OUT)), "nothing is left to be resumed"


def test_reminders_come_in_their_time_and_one_alarm_between_them() -> None:
    vigil = PauseReminders(reminder_s=60, max_s=150)
    told = {held_s: vigil.due(held_s) for held_s in (0, 59.9, 60, 61, 119, 120, 150, 151, 180, 240, 6000)}
    assert told == {
        0: set(), 59.9: set(), 60: {REMIND}, 61: set(), 119: set(), 120: {REMIND}, 150: {ALARM}, 151: set(),
        180: {REMIND}, 240: {REMIND}, 6000: {REMIND},
    }  # fmt: skip


def test_both_at_once() -> None:
    vigil = PauseReminders(reminder_s=60, max_s=120)
    assert vigil.due(60) == {REMIND}
    assert vigil.due(120) == {REMIND, ALARM}


def test_a_look_that_comes_late_gives_one_reminder_and_keeps_the_beat() -> None:
    vigil = PauseReminders(reminder_s=60, max_s=1000)
    assert vigil.due(200) == {REMIND}
    assert vigil.due(201) == set()
    assert vigil.wait_s(201) == pytest.approx(39)


def test_when_to_look_again() -> None:
    vigil = PauseReminders(reminder_s=60, max_s=100)
    assert vigil.wait_s(0) == 60
    vigil.due(60)
    assert vigil.wait_s(60) == 40, "the alarm is before the next reminder"
    vigil.due(100)
    assert vigil.wait_s(100) == 20
    assert vigil.wait_s(125) == 0, "overdue is now"


def test_without_reminders_there_is_still_the_alarm_and_then_nothing() -> None:
    vigil = PauseReminders(reminder_s=None, max_s=100)
    assert vigil.wait_s(10) == 90
    assert vigil.due(100) == {ALARM}
    assert vigil.wait_s(100) is None
    assert vigil.due(9999) == set()
