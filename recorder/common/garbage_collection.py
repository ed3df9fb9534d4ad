"""Runs Python's cyclic garbage collector: short passes while there are many SIP legs, full passes otherwise.

Objects that refer to each other in a cycle are freed, and so wiped, by this collector only. No other Python code of the
process runs during a pass, so a long pass delays calls.
"""

import gc
import logging
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_log = logging.getLogger(__name__)

COLLECT_EVERY_S = 10.0
"""Interval between passes, seconds.

With at most `FEW_LEGS` legs it is also how long an unreachable cycle may stay in memory; with more that is up to
`FULL_PASS_EVERY_S`.
"""
FULL_PASS_EVERY_S = 3600.0
"""Longest time between two full passes, seconds."""
FREED_WITHIN_S = 60.0
"""How long objects of an ended call, or of a leg that the SIP register has removed, may take to be freed, seconds."""
FEW_LEGS = 150
"""With at most this many legs every pass is full: a full pass takes about 0.1 ms a leg."""
_TOLD_EVERY_S = 60.0
_SHORT, _FULL = 1, 2
"""Generations up to which a pass examines objects."""
_NEVER = 1 << 30


def freeze_startup_objects() -> None:
    """Exclude the objects that exist now from all later passes. Call it before the first call is taken.

    Objects made at the start live to the end, and are half of what a pass in an idle daemon would examine.
    """
    gc.collect()
    gc.freeze()


class GarbageCollector:
    """Makes a pass of the garbage collector every `COLLECT_EVERY_S`, on a thread of its own.

    A *full pass* examines every object. A *short pass* examines new objects: those of generations 0 and 1. An object
    that has survived a short pass is examined again only in a full pass. The time of a full pass grows with the number
    of legs, so with more than `FEW_LEGS` passes are short. A full pass is then made only when an object of an ended
    call or leg is not freed within `FREED_WITHIN_S`, and every `FULL_PASS_EVERY_S` (ADR 72).

    Args:
        every_s: Interval of the passes, seconds.
        has_generations: Whether Python has short passes. Python 3.14 works in increments, which may skip new objects.
        collect: Makes a pass over the generations up to the given one, as `gc.collect` does.
        clock: Monotonic clock, seconds.

    Attributes:
        legs: Returns how many SIP legs are kept; any thread.
    """

    def __init__(
        self,
        every_s: float = COLLECT_EVERY_S,
        *,
        has_generations: bool = sys.version_info < (3, 14),
        collect: Callable[[int], object] = gc.collect,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every_s, self._has_generations, self._collect, self._clock = every_s, has_generations, collect, clock
        self.legs: Callable[[], int] = lambda: 0
        self._ended: deque[tuple[float, weakref.ref[object]]] = deque()
        self._watched: list[_Watched] = []
        self._full_pass_s, self._told_s = clock(), float("-inf")

    def start(self) -> None:
        """Start the passes, and exclude the objects that exist now from them. Call it before the first call comes in.

        Python's own full passes are turned off, because they would come in the middle of a call's work.
        """
        gc.freeze()  # without collecting first: that takes 0.1 s and finds almost nothing
        gc.enable()
        gc.set_threshold(*gc.get_threshold()[:2], _NEVER)
        threading.Thread(target=self._run, name="collector", daemon=True).start()

    def expect_freed(self, *ended: object) -> None:
        """Make a full pass if objects of an ended call or leg are not freed within `FREED_WITHIN_S`. Any thread."""
        now_s = self._clock()
        self._ended.extend((now_s, weakref.ref(one)) for one in ended)

    def run_pass(self) -> None:
        """Make one pass, full or short."""
        late, now_s = self._count_late(), self._clock()
        is_due = now_s - self._full_pass_s >= FULL_PASS_EVERY_S
        if self._has_generations and self.legs() > FEW_LEGS and not late and not is_due:
            self._collect(_SHORT)
            return
        self._collect(_FULL)
        self._full_pass_s = now_s
        if late and now_s - self._told_s >= _TOLD_EVERY_S:
            self._told_s = now_s
            _log.info("%d objects of ended calls or legs were not freed in time; made a full garbage collection", late)

    def _count_late(self) -> int:
        """Return how many objects that should have been freed by now are still there.

        A recording that cannot be filed keeps its call for long. So each of them is looked for again after twice the
        time.
        """
        while self._ended:
            ended_s, reference = self._ended.popleft()
            self._watched.append(_Watched(reference, ended_s + FREED_WITHIN_S, FREED_WITHIN_S))
        now_s, late = self._clock(), 0
        self._watched = [one for one in self._watched if one.reference() is not None]
        for one in self._watched:
            if one.due_s <= now_s:
                late += 1
                one.wait_s *= 2
                one.due_s = now_s + one.wait_s
        return late

    def _run(self) -> None:
        while True:
            time.sleep(self._every_s)
            try:
                self.run_pass()
            except Exception:  # noqa: BLE001 - without passes garbage, and what is secret in it, would stay for ever
                _log.exception("garbage collection failed; a full pass follows")
                self._collect(_FULL)


@dataclass(slots=True)
class _Watched:
    """An object that should be freed, and when to look for it next."""

    reference: weakref.ref[object]
    due_s: float
    wait_s: float
