"""How often one address may try to sign in. Pure.

An account is locked after five wrong tries; this is for whoever tries many accounts, or keeps the machine busy hashing.
Behind a proxy everybody has one address, so there is room for a whole department that begins its shift.
"""

from collections.abc import Callable

AT_ONCE = 60
A_SECOND = 1.0
MOST_SOURCES = 4096
"""What is remembered; the one that was quiet for longest is forgotten first."""


class Throttle:
    """Tries by address.

    Args:
        clock: Returns seconds that never go back.
        at_once: Tries that an address has when it comes.
        a_second: Tries that come back a second.
    """

    def __init__(self, clock: Callable[[], float], *, at_once: float = AT_ONCE, a_second: float = A_SECOND) -> None:
        self._clock = clock
        self._at_once = at_once
        self._a_second = a_second
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, source: str) -> float:
        """Take one try of an address; returns 0, or after how many seconds there is one again."""
        now = self._clock()
        left, at = self._left.pop(source, (self._at_once, now))
        left = min(self._at_once, left + (now - at) * self._a_second)
        is_there = left >= 1
        self._left[source] = (left - 1 if is_there else left, now)
        if len(self._left) > MOST_SOURCES:
            del self._left[next(iter(self._left))]
        return 0.0 if is_there else (1 - left) / self._a_second
