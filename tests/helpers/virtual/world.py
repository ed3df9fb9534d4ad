"""Virtual time: a clock that only a test advances, and one thread that runs everything in the same order every time.

`World` replaces the clock, `time.sleep` and the recorder's threads. A part joins it with two functions: `work` does the
work that is due, and `due_ns` says when there is more. While the world is open, the functions of `time` read its clock,
and `time.sleep` advances it.
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
"""Most rounds of work at one moment; more are an endless loop."""
_LEAST_NS = 1_000_000
"""Least time that passes before a part that is always due is called again, as a polling thread is."""

_last_ns = 0
"""Last time of the previous world's clock, because monotonic time must not go back in a process."""


class Part(Protocol):
    """A replacement of a thread, run by the world."""

    def work(self) -> bool:
        """Do some of the work that is due; return whether there was any."""

    def due_ns(self) -> int:
        """Return when the next work is due, by the world's clock; NEVER_NS if none is."""


class Prompted:
    """A part whose work others cause: none ever falls due by the clock."""

    def due_ns(self) -> int:
        return NEVER_NS


@dataclass(eq=False)
class Timer:
    """A function that is called at a time."""

    act: Callable[[], None] | None

    def cancel(self) -> None:
        """Cancel the timer; does nothing if it has run."""
        self.act = None


class World:
    """The virtual clock, the timers and the parts. One at a time in a process."""

    def __init__(self) -> None:
        self._started_ns = max(time.monotonic_ns(), _last_ns)
        self._wall_offset_ns = time.time_ns() - time.monotonic_ns()
        self.now_ns = self._started_ns
        self._timers: list[tuple[int, int, Timer]] = []
        self._order = itertools.count()
        self._soon: deque[Callable[[], None]] = deque()
        self._parts: tuple[Part, ...] = ()
        self._timed: tuple[Part, ...] = ()
        """The parts that have work which falls due by the clock."""
        self._is_working = False

    # --- the clock

    @property
    def now_s(self) -> float:
        """Return the monotonic clock, seconds."""
        return self.now_ns / NS_PER_S

    @contextmanager
    def open(self) -> Iterator[None]:
        """Patch `time` so that the process reads this clock."""
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

    # --- scheduling

    def join(self, part: Part) -> None:
        """Run a part from now on."""
        self._set_parts((*self._parts, part))

    def leave(self, part: Part) -> None:
        """Stop running a part."""
        self._set_parts(tuple(one for one in self._parts if one is not part))

    def _set_parts(self, parts: tuple[Part, ...]) -> None:
        self._parts = parts
        self._timed = tuple(part for part in parts if not isinstance(part, Prompted))

    def soon(self, act: Callable[[], None]) -> None:
        """Call a function after the current work, at the same virtual time."""
        self._soon.append(act)

    def after(self, seconds: float, act: Callable[[], None]) -> Timer:
        """Call a function after a delay."""
        timer = Timer(act)
        heapq.heappush(self._timers, (self.now_ns + round(seconds * NS_PER_S), next(self._order), timer))
        return timer

    # --- advancing the clock

    def settle(self) -> None:
        """Do all work that is due now, until none is left."""
        assert not self._is_working, "a part cannot advance the clock"
        self._is_working = True
        try:
            for _ in range(MOST_ROUNDS):
                if not self._round():
                    return
            raise AssertionError(f"more than {MOST_ROUNDS} rounds of work at one moment: an endless loop")
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
        for part in self._parts:  # noqa: SIM110 - a generator for `any` costs as much as what most parts do
            if part.work():
                return True
        return False

    def creep(self) -> None:
        """Advance the clock by a microsecond, without doing work."""
        self.now_ns += 1000

    def turn(self, seconds: float) -> None:
        """Advance the clock, and do all work that becomes due."""
        until_ns = self.now_ns + round(seconds * NS_PER_S)
        self.settle()
        while (due_ns := self._due_ns()) <= until_ns:
            self.now_ns = due_ns
            self.settle()
        self.now_ns = max(self.now_ns, until_ns)
        self.settle()

    def step(self, longest_s: float) -> None:
        """Advance to the next time at which work is due, by at most ``longest_s`` seconds."""
        self.settle()
        until_ns = self.now_ns + round(longest_s * NS_PER_S)
        self.now_ns = max(self.now_ns, min(self._due_ns(), until_ns))
        self.settle()

    def wait_for(self, predicate: Callable[[], object], timeout_s: float) -> object:
        """Advance the clock until a predicate is true or the time is over; return its last value."""
        until_ns = self.now_ns + round(timeout_s * NS_PER_S)
        self.settle()
        while not (found := predicate()) and self.now_ns < until_ns:
            self.step((until_ns - self.now_ns) / NS_PER_S)
        return found

    def _due_ns(self) -> int:
        due_ns = self._timers[0][0] if self._timers else NEVER_NS
        for part in self._timed:
            due_ns = min(due_ns, part.due_ns())
        return max(due_ns, self.now_ns + _LEAST_NS)
