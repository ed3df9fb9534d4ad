"""Timers that are due together run in their order and in slices, and otherwise as sippy runs them."""

import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from sippy.Core.EventDispatcher import EventDispatcher2
from sippy.Time import MonoTime

from sip import timer_slices
from sip.reactor import Sippy, _quieten_sippy
from sip.timer_slices import SLICE_S

START_S = 1000.0
BOTH = pytest.mark.parametrize("dispatch", [timer_slices.ORIGINAL, timer_slices.run_due], ids=["sippy", "slices"])


class Loop:
    """The part of sippy's loop that has to do with timers, and its clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = START_S
        monkeypatch.setattr(MonoTime, "clock_getdtime", lambda _clock: self.now_s)
        self.tlisteners: list[Any] = []
        self.twasted = 0
        self.endloop = False
        self.my_ident = threading.get_ident()
        self.last_ts = MonoTime.MonoTime()

    def after(self, seconds: float, fn: Callable[..., object], *args: object, times: int = 1) -> Sippy:
        timer = EventDispatcher2.regTimer(self, fn, seconds, times, False, *args)
        timer.go()
        return timer

    def turn(self, dispatch: Callable[[Any], None], at_s: float) -> None:
        """Have the loop look at its timers."""
        self.now_s = max(self.now_s, START_S + at_s)
        self.last_ts = MonoTime.MonoTime()
        dispatch(self)


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    return Loop(monkeypatch)


def test_a_burst_of_timers_leaves_turns_to_other_work_and_keeps_its_order(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []
    monkeypatch.setattr(timer_slices, "set_left", lambda _kind, is_left: told.append(is_left))
    done: list[object] = []

    def close(call: int) -> None:
        loop.now_s += SLICE_S / 4
        done.append(call)

    for call in range(10):
        loop.after(2.0 + call / 1e6, close, call)
    told.clear()
    for _ in range(4):
        loop.turn(timer_slices.run_due, 2.1)
        done.append("other work")
    assert done == [0, 1, 2, 3, "other work", 4, 5, 6, 7, "other work", 8, 9, "other work", "other work"]
    assert told == [True, True, False, False], "the loop is told when it has to look again soon"
    assert loop.tlisteners == []


def test_one_timer_runs_in_each_turn_however_long_it_takes(loop: Loop) -> None:
    done: list[int] = []

    def take_long(call: int) -> None:
        loop.now_s += 3 * SLICE_S
        done.append(call)

    for call in range(3):
        loop.after(0.1 * call, take_long, call)
    for turns in range(1, 4):
        loop.turn(timer_slices.run_due, 1.0)
        assert len(done) == turns
    assert done == [0, 1, 2]


@BOTH
def test_timers_run_when_they_are_due_and_not_when_they_are_cancelled(
    loop: Loop, dispatch: Callable[[Any], None]
) -> None:
    done: list[str] = []
    loop.after(1.0, done.append, "one")
    cancelled = loop.after(1.5, done.append, "cancelled")
    last = loop.after(2.0, done.append, "two")
    cancelled.cancel()
    assert loop.twasted == 1
    loop.turn(dispatch, 0.99)
    assert done == []
    loop.turn(dispatch, 1.0)
    assert done == ["one"]
    loop.turn(dispatch, 3.0)
    assert (done, loop.twasted, loop.tlisteners) == (["one", "two"], 0, [])
    assert last.cb_func is None, "a timer that has run lets go of what it called"
    last.cancel()
    assert loop.twasted == 0


@BOTH
def test_periodic_timers_go_on_for_as_often_as_they_are_to(loop: Loop, dispatch: Callable[[Any], None]) -> None:
    done: list[str] = []
    loop.after(1.0, done.append, "three times", times=3)
    loop.after(1.5, done.append, "for ever", times=-1)
    for second in range(1, 6):
        loop.turn(dispatch, float(second))
    assert (done.count("three times"), done.count("for ever")) == (3, 3)
    assert len(loop.tlisteners) == 1


@BOTH
def test_a_timer_is_told_the_time_if_it_wants_it(loop: Loop, dispatch: Callable[[Any], None]) -> None:
    told: list[float] = []
    timer = loop.after(1.0, lambda now: told.append(now.monot - START_S), times=-1)
    timer.cb_with_ts = True
    loop.turn(dispatch, 1.25)
    loop.turn(dispatch, 2.5)
    assert told == [1.25, 2.5]


@BOTH
def test_a_timer_that_fails_is_logged_without_what_it_says_and_the_next_one_runs(
    loop: Loop, dispatch: Callable[[Any], None], caplog: pytest.LogCaptureFixture
) -> None:
    _quieten_sippy()
    done: list[str] = []

    def fail() -> None:
        raise ValueError("01632960123")

    loop.after(1.0, fail)
    loop.after(1.1, done.append, "next")
    with caplog.at_level(logging.ERROR):
        loop.turn(dispatch, 2.0)
    assert done == ["next"]
    (record,) = caplog.records
    assert "ValueError" in record.getMessage()
    assert "01632960123" not in caplog.text


@BOTH
def test_the_end_of_the_loop_ends_its_timers(loop: Loop, dispatch: Callable[[Any], None]) -> None:
    done: list[str] = []

    def end() -> None:
        loop.endloop = True

    loop.after(1.0, end)
    loop.after(1.1, done.append, "next")
    loop.turn(dispatch, 2.0)
    assert (done, len(loop.tlisteners)) == ([], 1)


@BOTH
def test_a_timer_that_is_made_by_another_runs_when_it_is_due(loop: Loop, dispatch: Callable[[Any], None]) -> None:
    done: list[str] = []

    def make() -> None:
        loop.after(0.5, done.append, "made")

    loop.after(1.0, make)
    loop.turn(dispatch, 1.0)
    assert done == []
    loop.turn(dispatch, 1.5)
    assert done == ["made"]
