"""Token buckets that limit how often somebody may do something. For any thread.

Behind a proxy many people share one address, so a bucket has room for a whole department at the start of a shift.
"""

import threading
from collections.abc import Callable

AT_ONCE = 60
A_SECOND = 1.0
"""Sign-in attempts per address and second. An account is locked after five wrong ones anyway.

This limit is for clients that try many accounts, or keep the machine busy with hashing.
"""
MOST_BUCKETS = 4096
"""Buckets that are remembered; the one unused for longest is forgotten first."""


class Throttle:
    """Buckets by name.

    Args:
        clock: Monotonic clock, seconds.
        at_once: Size of a bucket, which is full at first.
        a_second: Refill per second.
    """

    def __init__(self, clock: Callable[[], float], *, at_once: float = AT_ONCE, a_second: float = A_SECOND) -> None:
        self._clock = clock
        self._at_once = at_once
        self._a_second = a_second
        self._lock = threading.Lock()
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> float:
        """Take one from a bucket; return 0, or the seconds until there is one again."""
        with self._lock:
            left = self._now_left(name)
            is_there = left >= 1
            self._put(name, left - 1 if is_there else left)
        return 0.0 if is_there else (1 - left) / self._a_second

    def give_back(self, name: str) -> None:
        """Put one back."""
        with self._lock:
            self._put(name, self._now_left(name) + 1)

    def _now_left(self, name: str) -> float:
        now = self._clock()
        left, at = self._left.get(name, (self._at_once, now))
        return min(self._at_once, left + (now - at) * self._a_second)

    def _put(self, name: str, left: float) -> None:
        self._left.pop(name, None)
        self._left[name] = (min(left, self._at_once), self._clock())
        if len(self._left) > MOST_BUCKETS:
            del self._left[next(iter(self._left))]
