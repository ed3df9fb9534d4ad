"""How long the call thread was blocked: SIP, keys and commands waited for that time."""

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
_COUNTED_S, _TOLD_S, _WINDOW_S = 0.1, 1.0, 60.0
_LOOKED_S, _FRAMES = 0.5, 4
"""How late the beat is when the stack of the call thread is looked at, and how many of its calls are told."""


def ready_s(thread: int) -> float:
    """Return how long a thread of this process was ready to run while the kernel ran others, seconds so far.

    Linux: Documentation/scheduler/sched-stats.rst. 0.0 where the kernel keeps no such figures.

    Args:
        thread: Its number, as `threading.get_native_id` gives it.
    """
    try:
        return int(Path(f"/proc/self/task/{thread}/schedstat").read_bytes().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


class Stalls:
    """A beat of the call thread that looks how late it comes; all but `as_json` and `look` on the call thread.

    It is due every 100 ms. By as much as it is late the thread was held: by one of its own callbacks, by another thread
    that had the interpreter (Python's collector), or by a machine without a processor to spare. What lasted L is seen
    as L less up to 100 ms. Timers come up to 10 ms late by themselves (`Reactor.call_later`). What takes a system call
    is found out by another thread: the beat would let go of the interpreter, and wait to have it back.

    Args:
        scheduler: The call thread's.
        clock: Monotonic, seconds.
        worked_s: For how long the thread that calls has run on a processor, seconds so far.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        clock: Callable[[], float] = time.monotonic,
        worked_s: Callable[[], float] = time.thread_time,
    ) -> None:
        self._scheduler, self._clock, self._worked_s = scheduler, clock, worked_s
        self._worked_before_s = self._ready_before_s = self._ready_s = 0.0
        self._where = ""
        self._due_s = self._window_ends_s = 0.0
        self._longest_s = self._last_window_s = self._window_s = 0.0
        self._counted = 0
        self._told_s = float("-inf")

    def watch(self) -> None:
        """Begin, and go on for as long as the call thread runs."""
        self._window_ends_s = self._clock() + _WINDOW_S
        self._wait()

    def start_looking(self) -> None:
        """Start a thread that looks where this one, the call thread, is whenever its beat is overdue."""
        threading.Thread(
            target=self._look_now_and_then,
            args=(threading.get_ident(), threading.get_native_id()),
            name="stalls",
            daemon=True,
        ).start()

    def look(self, frame: FrameType | None, ready_s: float) -> None:
        """Note what the call thread is doing, if its beat is overdue; on one other thread.

        Args:
            frame: Its innermost frame.
            ready_s: As `ready_s` says of it.
        """
        overdue_s = self._clock() - self._due_s
        self._ready_s = ready_s
        if overdue_s < 0:
            self._ready_before_s = ready_s
        elif overdue_s >= _LOOKED_S and not self._where:
            self._where = _calls(frame)

    def as_json(self) -> dict[str, Any]:
        """Return what health says of it: the longest since the start and of the last minute or two, and how many."""
        return {
            "longest_stall_ms": round(1000 * self._longest_s, 1),
            "longest_stall_lately_ms": round(1000 * max(self._last_window_s, self._window_s), 1),
            "stalls_over_100_ms": self._counted,
        }

    def _wait(self) -> None:
        self._due_s, self._worked_before_s = self._clock() + EVERY_S, self._worked_s()
        self._scheduler.call_later(EVERY_S, self._beat)

    def _beat(self) -> None:
        now_s = self._clock()
        late_s = max(0.0, now_s - self._due_s)
        if now_s >= self._window_ends_s:
            self._last_window_s, self._window_s = self._window_s, 0.0
            self._window_ends_s = now_s + _WINDOW_S
        self._window_s = max(self._window_s, late_s)
        self._longest_s = max(self._longest_s, late_s)
        self._counted += late_s >= _COUNTED_S
        if late_s >= _TOLD_S and now_s - self._told_s >= _WINDOW_S:
            self._told_s = now_s
            _log.warning(
                "the call thread was held for %.1f s: SIP, keys and commands waited for so long; of these it worked for"
                " %.1f s and was ready to run for about %.1f s while the machine ran other programs%s; if this comes"
                " again (`call_thread` in health) give the recorder processors of its own, or fewer set-ups a second",
                late_s,
                self._worked_s() - self._worked_before_s,
                self._ready_s - self._ready_before_s,
                f"; it was in {self._where}" if self._where else "",
            )
        self._where = ""
        self._wait()

    def _look_now_and_then(self, call_thread: int, native: int) -> None:
        while True:
            time.sleep(_LOOKED_S / 2)
            self.look(sys._current_frames().get(call_thread), ready_s(native))


def _calls(frame: FrameType | None) -> str:
    """Return the innermost calls of a stack, the innermost first: module, line and function, and no values."""
    told: list[str] = []
    while frame is not None and len(told) < _FRAMES:
        told.append(f"{frame.f_globals.get('__name__', '?')}:{frame.f_lineno} {frame.f_code.co_name}")
        frame = frame.f_back
    return " < ".join(told)
