"""How long the call thread was kept from its work: for so long SIP, keys and commands waited."""

import logging
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from recorder.calls.works import Scheduler

_log = logging.getLogger(__name__)

EVERY_S = 0.1
_COUNTED_S, _TOLD_S, _WINDOW_S = 0.1, 1.0, 60.0
_LOOKED_S, _FRAMES = 0.5, 4
"""How late the beat is when the stack of the call thread is looked at, and how many of its calls are told."""


class Spent(NamedTuple):
    """What a thread has done with its time so far, in seconds.

    Attributes:
        working_s: It ran on a processor.
        ready_s: It could have run, and the kernel ran others.
    """

    working_s: float
    ready_s: float


def spent() -> Spent:
    """Return it of the thread that calls (Linux: Documentation/scheduler/sched-stats.rst)."""
    try:
        ran, ready, _ = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_bytes().split()
    except (OSError, ValueError):  # a kernel without these figures
        return Spent(time.thread_time(), 0.0)
    return Spent(int(ran) / 1e9, int(ready) / 1e9)


class Stalls:
    """A beat of the call thread that looks how late it comes; all but `as_json` on the call thread.

    It is due every 100 ms. By as much as it is late the thread was held: by one of its own callbacks, by another thread
    that had the interpreter (Python's collector), or by a machine without a processor to spare. What lasted L is seen
    as L less up to 100 ms. Timers come up to 10 ms late by themselves (`Reactor.call_later`).
    """

    def __init__(
        self,
        scheduler: Scheduler,
        clock: Callable[[], float] = time.monotonic,
        spent: Callable[[], Spent] = spent,
    ) -> None:
        self._scheduler, self._clock, self._spent = scheduler, clock, spent
        self._before, self._where = Spent(0.0, 0.0), ""
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
            target=self._look_now_and_then, args=(threading.get_ident(),), name="stalls", daemon=True
        ).start()

    def look(self, frame: FrameType | None) -> None:
        """Note what the call thread is doing, given its innermost frame, if its beat is overdue; on any thread."""
        if not self._where and self._clock() - self._due_s >= _LOOKED_S:
            self._where = _calls(frame)

    def as_json(self) -> dict[str, Any]:
        """Return what health says of it: the longest since the start and of the last minute or two, and how many."""
        return {
            "longest_stall_ms": round(1000 * self._longest_s, 1),
            "longest_stall_lately_ms": round(1000 * max(self._last_window_s, self._window_s), 1),
            "stalls_over_100_ms": self._counted,
        }

    def _wait(self) -> None:
        self._due_s, self._before = self._clock() + EVERY_S, self._spent()
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
            now = self._spent()
            _log.warning(
                "the call thread was held for %.1f s: SIP, keys and commands waited for so long; of these it worked for"
                " %.1f s and was ready to run for %.1f s while the machine ran other programs%s; if this comes again"
                " (`call_thread` in health) give the recorder processors of its own, or fewer set-ups a second",
                late_s,
                now.working_s - self._before.working_s,
                now.ready_s - self._before.ready_s,
                f"; it was in {self._where}" if self._where else "",
            )
        self._where = ""
        self._wait()

    def _look_now_and_then(self, call_thread: int) -> None:
        while True:
            time.sleep(_LOOKED_S / 2)
            self.look(sys._current_frames().get(call_thread))


def _calls(frame: FrameType | None) -> str:
    """Return the innermost calls of a stack, the innermost first: module, line and function, and no values."""
    told: list[str] = []
    while frame is not None and len(told) < _FRAMES:
        told.append(f"{frame.f_globals.get('__name__', '?')}:{frame.f_lineno} {frame.f_code.co_name}")
        frame = frame.f_back
    return " < ".join(told)
