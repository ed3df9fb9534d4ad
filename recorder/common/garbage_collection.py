"""Python's cyclic garbage collection, arranged so that secrets go soon and no pass delays calls.

Objects that refer to each other in a cycle are freed, and so wiped, only by Python's garbage collector. Nothing else of
the process runs Python code during a pass.
"""

import gc
import logging
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable

_log = logging.getLogger(__name__)

COLLECT_EVERY_S = 10.0
"""Interval of the passes, seconds: how long a digit may stay in objects that only refer to each other."""
FULL_PASS_EVERY_S = 3600.0
"""Longest time between two full passes, seconds."""
FREED_WITHIN_S = 60.0
"""How long an ended call or leg may take to be freed, seconds: until its recording is filed."""
FEW_LEGS = 150
"""With at most so many legs every pass is a full one: each costs it about 0.1 ms."""
_SHORT, _FULL = 1, 2
"""Generations up to which a pass examines objects."""
_NEVER = 1 << 30


def leave_out_what_is_there() -> None:
    """Exclude the objects that exist now from all later passes: call it before the first call is taken.

    Objects made at the start live to the end, and are half of what a pass in an idle daemon would examine.
    """
    gc.collect()
    gc.freeze()


class Collector:
    """Makes a pass of the garbage collector every `COLLECT_EVERY_S`, on a thread of its own.

    A pass is *full* and examines every object, or it is *short* and examines those made since the last few passes. The
    time of a full pass grows with the legs there are. With more than `FEW_LEGS` passes are short. A full pass is then
    made only when an ended call or leg has not been freed when it was expected to be, and at the latest after
    `FULL_PASS_EVERY_S` (ADR 72).

    Args:
        every_s: Interval of the passes, seconds.
        collect: Makes a pass over the generations up to the given one, as `gc.collect` does.
        clock: Monotonic clock, seconds.

    Attributes:
        legs: Returns how many SIP legs are kept; any thread.
    """

    def __init__(
        self,
        every_s: float = COLLECT_EVERY_S,
        *,
        collect: Callable[[int], object] = gc.collect,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._every_s, self._collect, self._clock = every_s, collect, clock
        self.legs: Callable[[], int] = lambda: 0
        self._expected: deque[tuple[float, weakref.ref[object]]] = deque()
        self._last_s = clock()

    def start(self) -> None:
        """Start the passes. Objects that exist now are excluded permanently: call it before the first call comes in.

        Python's own full passes are turned off: they would come in the middle of the work of a call.
        """
        gc.freeze()  # without collecting first: that takes 0.1 s and finds almost nothing
        gc.enable()
        gc.set_threshold(*gc.get_threshold()[:2], _NEVER)
        threading.Thread(target=self._run, name="collector", daemon=True).start()

    def expect_freed(self, ended: object) -> None:
        """Make a full pass if an ended call or leg is still there after `FREED_WITHIN_S`. Call thread only."""
        self._expected.append((self._clock() + FREED_WITHIN_S, weakref.ref(ended)))

    def turn(self) -> None:
        """Make one pass."""
        left = self._left_over()
        if not left and self.legs() > FEW_LEGS and self._clock() - self._last_s < FULL_PASS_EVERY_S:
            self._collect(_SHORT)
            return
        self._collect(_FULL)
        self._last_s = self._clock()
        if left:
            _log.info("%d calls or legs had not been freed a minute after their end: all objects were examined", left)

    def _left_over(self) -> int:
        """Return how many objects that should have been freed by now are still there; each is counted once."""
        count, now_s = 0, self._clock()
        while self._expected and self._expected[0][0] <= now_s:
            count += self._expected.popleft()[1]() is not None
        return count

    def _run(self) -> None:
        while True:
            time.sleep(self._every_s)
            self.turn()
