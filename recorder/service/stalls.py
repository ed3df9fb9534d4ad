"""Measures how long the call thread was blocked, and SIP, keys and commands with it."""

import itertools
import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from recorder.calls.call_services import Scheduler

_log = logging.getLogger(__name__)

EVERY_S = 0.1
_NONE_DUE = float("inf")
_COUNTED_S, _TOLD_S, _WINDOW_S = 0.1, 1.0, 60.0
_LOOKED_S, _FRAMES = 0.5, 4
"""How long a function has waited when the call thread's stack is read, seconds; how many calls of it are logged."""
_LOOK_TURNS = 3
"""In how many turns of the thread `stalls` the call thread is looked at once."""


def ready_s(thread: int) -> float:
    """Return how long a thread of this process was ready to run while the kernel ran others, seconds in all.

    From Linux's schedstat (Documentation/scheduler/sched-stats.rst); 0.0 if the kernel keeps no such figures.

    Args:
        thread: Its number, from `threading.get_native_id`.
    """
    try:
        return int(Path(f"/proc/self/task/{thread}/schedstat").read_bytes().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


class Stalls:
    """Measures how long a function waits that another thread submits to the call thread, as SIP and commands do.

    One is due every 100 ms. If it runs late, the thread was blocked: by one of its own callbacks, by another thread
    that held the interpreter (such as Python's collector), or by a machine with no free processor. Lateness counts from
    when the function was due, not from when it was submitted, because whoever holds the interpreter delays both
    threads. A block of length L is measured as L less up to 100 ms.

    Nothing is submitted while the call thread sleeps, since it has nothing to do: that would wake it. By as much as the
    thread `stalls` runs late, all threads were held.

    The lateness of a timer would not do: timers that are due together leave turns to commands (`sip.timer_slices`).
    Figures that need a system call are read on the thread `stalls`, because the call thread would release the
    interpreter for it, and wait to have it again.

    Args:
        scheduler: The call thread's scheduler.
        clock: Monotonic clock, seconds.
        worked_s: Processor time of the calling thread so far, seconds.
        is_asleep: Tells whether the call thread sleeps; any thread.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        clock: Callable[[], float] = time.monotonic,
        worked_s: Callable[[], float] = time.thread_time,
        is_asleep: Callable[[], bool] = lambda: False,
    ) -> None:
        self._scheduler, self._clock, self._worked_s, self._is_asleep = scheduler, clock, worked_s, is_asleep
        self._worked_before_s = self._ready_before_s = self._ready_s = 0.0
        self._where = ""
        self._due_s, self._window_ends_s = _NONE_DUE, 0.0
        self._longest_s = self._last_window_s = self._window_s = 0.0
        self._counted = 0
        self._told_s = float("-inf")

    def watch(self) -> None:
        """Begin to measure. Call thread."""
        self._window_ends_s, self._worked_before_s = self._clock() + _WINDOW_S, self._worked_s()

    def start_asking(self) -> None:
        """Start the thread that submits functions, and notes what the call thread, which calls this, does meanwhile."""
        threading.Thread(
            target=self._ask_and_look,
            args=(threading.get_ident(), threading.get_native_id()),
            name="stalls",
            daemon=True,
        ).start()

    def ask(self, due_s: float) -> None:
        """Submit a function, unless the last one has not run yet. Thread `stalls`.

        Args:
            due_s: When it was due, by the monotonic clock; now, or earlier if this thread was kept waiting.
        """
        if self._due_s != _NONE_DUE:
            return
        if self._is_asleep():
            self._note(max(0.0, self._clock() - due_s), 0.0)
            return
        self._due_s = due_s
        self._scheduler.submit(self._answer)

    def look(self, frame: FrameType | None, ready_s: float) -> None:
        """Note what the call thread is doing, if a function is overdue. Thread `stalls`.

        Args:
            frame: Innermost frame of the call thread.
            ready_s: Result of `ready_s` for the call thread.
        """
        overdue_s = self._clock() - self._due_s
        self._ready_s = ready_s
        if overdue_s < EVERY_S:
            self._ready_before_s = ready_s
        elif overdue_s >= _LOOKED_S and not self._where:
            self._where = _calls(frame)

    def as_json(self) -> dict[str, Any]:
        """Return the longest block since the start and in the last one to two minutes, and the number of blocks."""
        return {
            "longest_stall_ms": round(1000 * self._longest_s, 1),
            "longest_stall_lately_ms": round(1000 * max(self._last_window_s, self._window_s), 1),
            "stalls_over_100_ms": self._counted,
        }

    def _answer(self) -> None:
        """Measure how late this runs. Call thread."""
        worked_s = self._worked_s()
        self._note(max(0.0, self._clock() - self._due_s), worked_s - self._worked_before_s)
        self._where = ""
        self._due_s, self._worked_before_s = _NONE_DUE, self._worked_s()

    def _note(self, late_s: float, worked_s: float) -> None:
        """Note how long the call thread was held. On the thread `stalls` only while the call thread sleeps."""
        now_s = self._clock()
        if now_s >= self._window_ends_s:
            self._last_window_s, self._window_s = self._window_s, 0.0
            self._window_ends_s = now_s + _WINDOW_S
        self._window_s = max(self._window_s, late_s)
        self._longest_s = max(self._longest_s, late_s)
        self._counted += late_s >= _COUNTED_S
        if late_s >= _TOLD_S and now_s - self._told_s >= _WINDOW_S:
            self._told_s = now_s
            _log.warning(
                "the call thread was blocked for %.1f s, and SIP, keys and commands with it; it ran for %.1f s of it,"
                " and for about %.1f s it was ready to run while the machine ran other programs%s; if this happens"
                " again (`call_thread` in health) give the recorder its own processors, or fewer set-ups a second",
                late_s,
                worked_s,
                self._ready_s - self._ready_before_s,
                f"; it was in {self._where}" if self._where else "",
            )

    def _ask_and_look(self, call_thread: int, native: int) -> None:
        for turn in itertools.count():
            due_s = self._clock() + EVERY_S
            time.sleep(EVERY_S)
            self.ask(due_s)
            if turn % _LOOK_TURNS == 0:
                self.look(sys._current_frames().get(call_thread), ready_s(native))


def _calls(frame: FrameType | None) -> str:
    """Return the innermost calls of a stack, innermost first: module, line and function, without values."""
    told: list[str] = []
    while frame is not None and len(told) < _FRAMES:
        told.append(f"{frame.f_globals.get('__name__', '?')}:{frame.f_lineno} {frame.f_code.co_name}")
        frame = frame.f_back
    return " < ".join(told)
