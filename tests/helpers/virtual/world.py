"""A world whose time stands still until a test turns it: one thread, no waiting, the same order every time.

`World` takes the place of the clock, of `time.sleep`, and of every thread that a part of the recorder would have. Parts
join it with two functions: one does what is due now, the other tells when the part has something to do next. While the
world is open, `time.monotonic`, `time.time` and their kin read its clock, and `time.sleep` turns it.
"""

import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol
from unittest.mock import patch

NS_PER_S = 1_000_000_000
NEVER_NS = 1 << 62
MOST_ROUNDS = 100_000
"""Rounds of work at one moment; more is a loop that would never end."""
_LEAST_NS = 1_000_000
"""The least that passes when a part wants to be called again at once, as a thread that polls does."""

_last_ns = 0
"""Where the clock of the last world stood: time never goes back in a process."""


class Part(Protocol):
    """Something that acts in the world."""

    def work(self) -> bool:
        """Do what is due now, or some of it; tell whether there was anything."""

    def due_ns(self) -> int:
        """Return when there is something to do next, on the world's clock, or NEVER_NS."""


@dataclass(eq=False)
class Timer:
    """Something that is due at a moment."""

    act: Callable[[], None] | None

    def cancel(self) -> None:
        """Call it off; harmless when it has happened."""
        self.act = None


class World:
    """The clock, the timers and the parts. One at a time in a process."""

    def __init__(self) -> None:
        self._started_ns = max(time.monotonic_ns(), _last_ns)
        self._wall_offset_ns = time.time_ns() - time.monotonic_ns()
        self.now_ns = self._started_ns
        self._timers: list[tuple[int, int, Timer]] = []
        self._order = itertools.count()
        self._soon: deque[Callable[[], None]] = deque()
        self._parts: list[Part] = []
        self._is_working = False

    # --- the clock

    @property
    def now_s(self) -> float:
        """Return the monotonic clock, seconds."""
        return self.now_ns / NS_PER_S

    @contextmanager
    def open(self) -> Iterator[None]:
        """Have the process read this world's clock."""
        global _last_ns  # noqa: PLW0603 - sippy remembers, for each thread, the latest time it has seen
        clocks = {time.CLOCK_REALTIME: self._wall_ns}

        def clock_ns(which: int) -> int:
            return clocks.get(which, lambda: self.now_ns)()

        with (
            patch.object(time, "monotonic", lambda: self.now_ns / NS_PER_S),
            patch.object(time, "monotonic_ns", lambda: self.now_ns),
            patch.object(time, "time", lambda: self._wall_ns() / NS_PER_S),
            patch.object(time, "time_ns", self._wall_ns),
            patch.object(time, "clock_gettime", lambda which: clock_ns(which) / NS_PER_S),
            patch.object(time, "clock_gettime_ns", clock_ns),
            patch.object(time, "sleep", self.turn),
        ):
            try:
                yield
            finally:
                _last_ns = self.now_ns

    def _wall_ns(self) -> int:
        return self.now_ns + self._wall_offset_ns

    # --- what is to be done

    def join(self, part: Part) -> None:
        """Have a part act from now on."""
        self._parts.append(part)

    def leave(self, part: Part) -> None:
        """Have a part act no more."""
        self._parts.remove(part)

    def soon(self, act: Callable[[], None]) -> None:
        """Do something as soon as what is being done now is over."""
        self._soon.append(act)

    def after(self, seconds: float, act: Callable[[], None]) -> Timer:
        """Do something in so many seconds."""
        timer = Timer(act)
        heapq.heappush(self._timers, (self.now_ns + round(seconds * NS_PER_S), next(self._order), timer))
        return timer

    # --- turning it

    def settle(self) -> None:
        """Do everything that is due now, and what follows from it, until nothing is left."""
        assert not self._is_working, "what acts in the world cannot turn its clock"
        self._is_working = True
        try:
            for _ in range(MOST_ROUNDS):
                if not self._round():
                    return
            raise AssertionError("the world does not come to rest: something is done again and again at one moment")
        finally:
            self._is_working = False

    def _round(self) -> bool:
        if self._soon:
            self._soon.popleft()()
            return True
        if self._timers and self._timers[0][0] <= self.now_ns:
            act = heapq.heappop(self._timers)[2].act
            if act is not None:
                act()
            return True
        return any(part.work() for part in list(self._parts))

    def creep(self) -> None:
        """Let the time pass that a step of a program takes."""
        self.now_ns += 1000

    def turn(self, seconds: float) -> None:
        """Let time pass, and do everything that becomes due."""
        until_ns = self.now_ns + round(seconds * NS_PER_S)
        self.settle()
        while (due_ns := self._due_ns()) <= until_ns:
            self.now_ns = due_ns
            self.settle()
        self.now_ns = max(self.now_ns, until_ns)
        self.settle()

    def step(self, longest_s: float) -> None:
        """Turn to the next moment at which something is due, but no further than ``longest_s`` seconds."""
        self.settle()
        until_ns = self.now_ns + round(longest_s * NS_PER_S)
        self.now_ns = max(self.now_ns, min(self._due_ns(), until_ns))
        self.settle()

    def wait_for(self, predicate: Callable[[], object], timeout_s: float) -> object:
        """Turn the clock until a predicate gives something true and return it, or a false one after the time."""
        until_ns = self.now_ns + round(timeout_s * NS_PER_S)
        self.settle()
        while not (found := predicate()) and self.now_ns < until_ns:
            self.step((until_ns - self.now_ns) / NS_PER_S)
        return found

    def _due_ns(self) -> int:
        timer_ns = self._timers[0][0] if self._timers else NEVER_NS
        due_ns = min([timer_ns, *(part.due_ns() for part in self._parts)])
        return max(due_ns, self.now_ns + _LEAST_NS)
