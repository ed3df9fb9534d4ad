"""By as much as a function that is submitted to the call thread runs late, the thread was held."""

import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recorder.service.stalls import EVERY_S, Stalls, ready_s


class CallThread:
    """A call thread by a clock of its own, which other work may hold, and the thread that submits functions to it.

    Attributes:
        timers_late_s: How long timers that are due leave turns to what is submitted.
    """

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.worked_s = self.timers_late_s = 0.0
        self.asks: Callable[[float], object] = lambda _due_s: None
        self._asks_s = self.now_s + EVERY_S
        self._submitted: list[Callable[..., object]] = []
        self._due: list[tuple[float, Callable[..., object]]] = []

    def clock(self) -> float:
        return self.now_s

    def submit(self, fn: Callable[..., object], *_args: object) -> None:
        self._submitted.append(fn)

    def call_later(self, seconds: float, fn: Callable[..., object], *_args: object) -> None:
        self._due.append((self.now_s + seconds, fn))

    def go_on(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        self._run()
        while self._asks_s <= until_s:
            self._ask()
            self._run()
        self.now_s = until_s

    def hold(self, seconds: float, *, is_for_all: bool = False) -> None:
        """Let time pass while the call thread is held, or all threads, as in a process that is stopped."""
        until_s = self.now_s + seconds
        while self._asks_s <= until_s and not is_for_all:
            self._ask()
        self.now_s = until_s

    def _ask(self) -> None:
        due_s, self.now_s = self._asks_s, max(self.now_s, self._asks_s)
        self.asks(due_s)
        self._asks_s = self.now_s + EVERY_S

    def _run(self) -> None:
        submitted, self._submitted = self._submitted, []
        due = [fn for due_s, fn in self._due if due_s + self.timers_late_s <= self.now_s]
        self._due = [(due_s, fn) for due_s, fn in self._due if due_s + self.timers_late_s > self.now_s]
        for fn in submitted + due:
            fn()


@pytest.fixture
def thread() -> CallThread:
    return CallThread()


@pytest.fixture
def stalls(thread: CallThread) -> Stalls:
    watched = Stalls(thread, thread.clock, lambda: thread.worked_s)
    watched.watch()
    thread.asks = watched.ask
    return watched


def seen(stalls: Stalls) -> tuple[float, float, int]:
    found = stalls.as_json()
    return found["longest_stall_ms"], found["longest_stall_lately_ms"], found["stalls_over_100_ms"]


def test_a_thread_that_nobody_holds_has_no_stall(thread: CallThread, stalls: Stalls) -> None:
    thread.go_on(300)
    assert seen(stalls) == (0.0, 0.0, 0)


def test_a_stall_is_seen_less_the_time_until_a_function_is_due(thread: CallThread, stalls: Stalls) -> None:
    thread.go_on(10.04)
    thread.hold(0.7)
    thread.go_on(1)
    longest, lately, counted = seen(stalls)
    assert 700 - 1000 * EVERY_S <= longest <= 700
    assert (lately, counted) == (longest, 1)


def test_who_keeps_the_thread_that_asks_from_its_work_keeps_the_call_thread_too(
    thread: CallThread, stalls: Stalls
) -> None:
    thread.go_on(10.04)
    thread.hold(0.7, is_for_all=True)
    thread.go_on(1)
    longest, _, counted = seen(stalls)
    assert 700 - 1000 * EVERY_S <= longest <= 700
    assert counted == 1


def test_timers_that_leave_turns_to_commands_are_no_stall(thread: CallThread, stalls: Stalls) -> None:
    thread.timers_late_s = 0.7
    thread.go_on(10)
    assert seen(stalls) == (0.0, 0.0, 0)


def test_one_function_waits_at_a_time(thread: CallThread, stalls: Stalls) -> None:
    thread.hold(1.0)
    assert len(thread._submitted) == 1
    thread.go_on(1)
    assert seen(stalls)[2] == 1


def test_the_longest_is_kept_and_that_of_lately_is_forgotten(thread: CallThread, stalls: Stalls) -> None:
    thread.hold(0.5)
    thread.go_on(59)
    thread.hold(0.25)
    thread.go_on(1)
    assert seen(stalls)[2] == 2
    assert seen(stalls)[0] == seen(stalls)[1] == pytest.approx(400)
    thread.go_on(30)
    assert seen(stalls)[1] == pytest.approx(400)
    thread.go_on(120)
    assert seen(stalls)[0] == pytest.approx(400)
    assert seen(stalls)[1:] == (0.0, 2)


def test_what_is_short_is_not_counted_and_what_is_long_is_said_once_a_minute(
    thread: CallThread, stalls: Stalls, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        thread.hold(0.15)
        thread.go_on(1)
        assert (seen(stalls)[2], caplog.messages) == (0, [])
        for _ in range(3):
            thread.hold(1.25)
            thread.go_on(10)
        assert seen(stalls)[2] == 3
        assert [line.split(",")[0] for line in caplog.messages] == ["the call thread was blocked for 1.2 s"]
        thread.go_on(60)
        thread.hold(2.05)
        thread.go_on(1)
    assert [line.split(",")[0] for line in caplog.messages][1:] == ["the call thread was blocked for 2.0 s"]


def test_what_held_it_is_said(thread: CallThread, stalls: Stalls, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        thread.go_on(10)
        stalls.look(sys._getframe(), 7.0)  # in time: nothing to say
        thread.hold(0.4)
        stalls.look(sys._getframe(), 7.25)  # overdue, and not yet for long
        thread.hold(1.65)
        thread.worked_s = 0.3
        stalls.look(sys._getframe(), 8.25)
        thread.go_on(70)
        stalls.look(sys._getframe(), 9.0)
        thread.hold(2.05)
        thread.go_on(1)
    first, second = caplog.messages
    assert "it ran for 0.3 s of it, and for about 1.2 s it was ready to run" in first
    assert f"; it was in {__name__}:" in first
    assert " test_what_held_it_is_said < " in first
    assert "it was in" not in second, "nobody looked the second time"
    assert "it ran for 0.0 s of it, and for about 0.0 s it was ready to run" in second


def test_a_thread_that_sleeps_is_not_woken_and_a_stop_of_the_process_is_seen_all_the_same(
    thread: CallThread,
) -> None:
    is_asleep = [True]
    stalls = Stalls(thread, thread.clock, lambda: thread.worked_s, lambda: is_asleep[0])
    stalls.watch()
    thread.asks = stalls.ask
    thread.go_on(10)
    assert not thread._submitted
    thread.hold(0.75, is_for_all=True)
    thread.go_on(1)
    longest, lately, counted = seen(stalls)
    assert longest == lately == pytest.approx(750, abs=1)
    assert counted == 1
    is_asleep[0] = False
    thread.go_on(0.05)
    thread.hold(1.0)
    thread.go_on(1)
    assert seen(stalls)[0] > 850, "awake it is asked"


def test_how_long_a_thread_was_ready_is_the_kernels_word_and_nothing_of_one_that_has_ended() -> None:
    ended = threading.Thread(target=lambda: None)
    ended.start()
    ended.join()
    assert ended.native_id is not None
    while Path(f"/proc/self/task/{ended.native_id}").exists():  # the kernel's thread ends a little after Python's
        time.sleep(0.001)
    assert ready_s(threading.get_native_id()) > 0, "a thread waits a little for each of its turns"
    assert ready_s(ended.native_id) == 0.0
