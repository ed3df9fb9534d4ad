"""The loop sleeps until there is work, and looks each millisecond while any kind of work is left over."""

import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from sip import loop_pace
from sip.loop_pace import LoopWait

FAR_S = 50.0
"""A wait that would fail the test's time limit."""


class Polled:
    """Stands in for `select.poll`: notes for how long it is asked to wait, milliseconds."""

    def __init__(self) -> None:
        self.waits_ms: list[float] = []

    def poll(self, timeout_ms: float) -> list[object]:
        self.waits_ms.append(timeout_ms)
        return []


@pytest.fixture
def next_s() -> list[float | None]:
    return [None]


@pytest.fixture
def wait(next_s: list[float | None]) -> Iterator[LoopWait]:
    made = LoopWait(lambda: next_s[0], lambda: 100.0, loop_pace._left)
    yield made
    os.close(made._read)
    os.close(made._write)


def asked(wait: LoopWait) -> float:
    polled = Polled()
    real, wait._poll = wait._poll, polled  # type: ignore[assignment]
    wait.procrastinate()
    wait._poll = real
    return polled.waits_ms[0] / 1000


def test_the_loop_waits_for_the_next_timer_and_looks_each_millisecond_while_work_of_any_kind_is_left(
    wait: LoopWait, next_s: list[float | None]
) -> None:
    assert asked(wait) == 60.0, "without a timer"
    for due_s, waits_s in ((107.5, 7.5), (99.0, 0.0), (900.0, 60.0)):
        next_s[0] = due_s
        assert asked(wait) == waits_s
    for kind, is_left in (("sip", False), ("sip", True), ("timers", True), ("sip", True), ("sip", False)):
        loop_pace.set_left(kind, is_left)
    assert asked(wait) == 0.001
    loop_pace.set_left("timers", False)
    loop_pace.set_left("timers", False)
    assert asked(wait) == 60.0


def test_what_is_submitted_wakes_it_once_and_what_that_submits_comes_at_the_next_look(
    wait: LoopWait, next_s: list[float | None]
) -> None:
    next_s[0] = 100.0 + FAR_S
    done: list[str] = []

    def again() -> None:
        done.append("first")
        wait.call_from_thread(done.append, "next")

    def submit() -> None:
        wait.call_from_thread(again)
        wait.call_from_thread(done.append, "second")

    other = threading.Timer(0.05, submit)
    other.start()
    while len(done) < 2:
        wait.procrastinate()
    assert done == ["first", "second"]
    wait.procrastinate()
    assert done == ["first", "second", "next"]
    next_s[0] = 100.0
    wait.procrastinate()
    assert not wait._poll.poll(0), "nothing wakes it again"
    other.join()


def test_a_signal_wakes_it(wait: LoopWait, next_s: list[float | None]) -> None:
    next_s[0] = 100.0 + FAR_S
    got: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, _: wait.call_from_thread(got.append, number))
    try:
        with wait.woken_by_signals():
            sender = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
            sender.start()
            began_s = time.monotonic()
            while not got:
                wait.procrastinate()
            sender.join()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert got == [signal.SIGUSR1]
    assert time.monotonic() - began_s < FAR_S


def test_a_fork_waits_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    first = loop_pace.install()
    assert loop_pace.install() is first
    monkeypatch.setattr(first, "process", os.getpid() + 1)
    second = loop_pace.install()
    assert second is not first
    assert second._read != first._read
    os.close(first._read)
    os.close(first._write)
