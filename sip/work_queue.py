"""Work of the SIP threads for the call thread, done in slices. Knows nothing of SIP."""

import threading
import time
from collections import deque
from collections.abc import Callable

from sip.reactor import guarded
from sip.timer_slices import SLICE_S


class WorkQueue:
    """Runs functions on the call thread in the order in which they came, in slices of `SLICE_S`.

    The loop does all that is submitted to it before it looks at a timer. Five hundred calls that are hung up at once
    would keep keys, commands and timers waiting for as long as they take together.

    Args:
        submit: Runs a function soon on the call thread, after what was submitted before; any thread.
        clock: Monotonic clock, seconds.
        set_left: Called on the call thread after each slice, with whether it has left something.
    """

    def __init__(
        self,
        submit: Callable[[Callable[[], None]], object],
        clock: Callable[[], float] = time.monotonic,
        set_left: Callable[[bool], object] = lambda _is_left: None,
    ) -> None:
        self._submit, self._clock, self._set_left = submit, clock, set_left
        self._lock = threading.Lock()
        self._waiting: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()
        self._is_submitted = False

    def put(self, fn: Callable[..., object], *args: object) -> None:
        """Run ``fn(*args)`` on the call thread after all that was put before; any thread. Exceptions are logged."""
        with self._lock:
            self._waiting.append((fn, args))
            was_submitted, self._is_submitted = self._is_submitted, True
        if not was_submitted:
            self._submit(self._work)

    def _work(self) -> None:
        has_left = self._has_left(self._clock() + SLICE_S)
        if has_left:
            self._submit(self._work)
        self._set_left(has_left)

    def _has_left(self, ends_s: float) -> bool:
        """Work until a time; tell whether something may be left."""
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_submitted = False
                    return False
                fn, args = self._waiting.popleft()
            guarded(fn, *args)
            if self._clock() >= ends_s:
                return True
