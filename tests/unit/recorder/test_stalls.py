"""By as much as the beat of the call thread comes late, the thread was held."""

import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recorder.service.stalls import EVERY_S, Stalls, ready_s


class CallThread:
    """A call thread by a clock of its own, which other work may hold."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.worked_s = 0.0
        self._due: list[tuple[float, Callable[..., object]]] = []

    def clock(self) -> float:
        return self.now_s

    def submit(self, fn: Callable[..., object], *args: object) -> None:
        raise AssertionError

    def call_later(self, seconds: float, fn: Callable[..., object], *_args: object) -> None:
        self._due.append((self.now_s + seconds, fn))

    def go_on(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while self._due and self._due[0][0] <= until_s:
            due_s, fn = self._due.pop(0)
            self.now_s = max(self.now_s, due_s)
            fn()
        self.now_s = max(self.now_s, until_s)

    def hold(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.fixture
def thread() -> CallThread:
    return CallThread()


@pytest.fixture
def stalls(thread: CallThread) -> Stalls:
    watched = Stalls(thread, thread.clock, lambda: thread.worked_s)
    watched.watch()
    return watched


def seen(stalls: Stalls) -> tuple[float, float, int]:
    found = stalls.as_json()
    return found["longest_stall_ms"], found["longest_stall_lately_ms"], found["stalls_over_100_ms"]


def test_a_thread_that_nobody_holds_has_no_stall(thread: CallThread, stalls: Stalls) -> None:
    thread.go_on(300)
    assert seen(stalls) == (0.0, 0.0, 0)


def test_a_stall_is_seen_less_what_the_beat_still_had_to_wait(thread: CallThread, stalls: Stalls) -> None:
    thread.go_on(10.04)
    thread.hold(0.7)
    thread.go_on(1)
    longest, lately, counted = seen(stalls)
    assert 700 - 1000 * EVERY_S <= longest <= 700
    assert (lately, counted) == (longest, 1)


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


def test_how_long_a_thread_was_ready_is_the_kernels_word_and_nothing_of_one_that_has_ended() -> None:
    ended = threading.Thread(target=lambda: None)
    ended.start()
    ended.join()
    assert ended.native_id is not None
    while Path(f"/proc/self/task/{ended.native_id}").exists():  # the kernel's thread ends a little after Python's
        time.sleep(0.001)
    assert ready_s(threading.get_native_id()) > 0, "a thread waits a little for each of its turns"
    assert ready_s(ended.native_id) == 0.0
