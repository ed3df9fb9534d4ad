"""How long the call thread was kept from its work: for so long SIP, keys and commands waited."""

import logging
import time
from collections.abc import Callable
from typing import Any

from recorder.calls.works import Scheduler

_log = logging.getLogger(__name__)

EVERY_S = 0.1
_COUNTED_S, _TOLD_S, _WINDOW_S = 0.1, 1.0, 60.0


class Stalls:
    """A beat of the call thread that looks how late it comes; all but `as_json` on the call thread.

    It is due every 100 ms. By as much as it is late the thread was held: by one of its own callbacks, by another thread
    that had the interpreter (Python's collector), or by a machine without a processor to spare. What lasted L is seen
    as L less up to 100 ms. Timers come up to 10 ms late by themselves (`Reactor.call_later`).
    """

    def __init__(self, scheduler: Scheduler, clock: Callable[[], float] = time.monotonic) -> None:
        self._scheduler, self._clock = scheduler, clock
        self._due_s = self._window_ends_s = 0.0
        self._longest_s = self._last_window_s = self._window_s = 0.0
        self._counted = 0
        self._told_s = float("-inf")

    def watch(self) -> None:
        """Begin, and go on for as long as the call thread runs."""
        self._window_ends_s = self._clock() + _WINDOW_S
        self._wait()

    def as_json(self) -> dict[str, Any]:
        """Return what health says of it: the longest since the start and of the last minute or two, and how many."""
        return {
            "longest_stall_ms": round(1000 * self._longest_s, 1),
            "longest_stall_lately_ms": round(1000 * max(self._last_window_s, self._window_s), 1),
            "stalls_over_100_ms": self._counted,
        }

    def _wait(self) -> None:
        self._due_s = self._clock() + EVERY_S
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
                "the call thread was held for %.1f s: SIP, keys and commands waited for so long; if this comes again"
                " (`call_thread` in health) give the recorder processors of its own, or fewer set-ups a second",
                late_s,
            )
        self._wait()
