"""How the call loop waits: until the next timer is due or something is submitted to it. Knows sippy.

sippy's loop looks 100 times a second whether there is work, also without a call. Here it sleeps until there is. While
a slice has left some work it looks each millisecond, so that other threads have a turn in between.
"""

import functools
import os
import select
import signal
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sippy.Core.EventDispatcher import ED2
from sippy.Time.MonoTime import MonoTime

from sip.stack_addresses import Sippy

_QUICK_S = 0.001
_LONGEST_S = 60.0
"""How long it waits where no timer is set."""
_READ_BYTES = 4096

_left: set[str] = set()


def set_left(kind: str, is_left: bool) -> None:
    """Note whether a slice of one kind of work has left some. Call thread only."""
    if is_left:
        _left.add(kind)
    else:
        _left.discard(kind)


class LoopWait:
    """Waits in the place of sippy's ``ElPeriodic``, which wakes at a fixed rate. One in a process.

    Args:
        next_s: Returns when the next timer is due, monotonic seconds; None if there is none.
        now_s: Returns the clock of the timers.
        left: Kinds of work that slices have left.
    """

    def __init__(self, next_s: Callable[[], float | None], now_s: Callable[[], float], left: set[str]) -> None:
        self._next_s, self._now_s, self._left = next_s, now_s, left
        self._submitted: deque[Callable[[], object]] = deque()
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._read, select.POLLIN)
        self._is_woken = False
        self.is_asleep = False
        """Whether it waits now."""
        self.process = os.getpid()
        """A fork does not share the pipe of its parent."""

    def call_from_thread(self, fn: Callable[..., object], *args: object) -> None:
        """Have the loop call ``fn(*args)`` soon; any thread, and signal handlers."""
        self._submitted.append(functools.partial(fn, *args))
        if not self._is_woken:  # set by another thread: that one wakes the loop, which has not looked yet
            self._is_woken = True
            with suppress(BlockingIOError):  # full: it is awake
                os.write(self._write, b"\0")

    def procrastinate(self) -> None:
        """Wait until there is something to do, then call what was submitted; what it submits itself comes later."""
        self.is_asleep = True
        is_woken = self._poll.poll(self._timeout_s() * 1000)
        self.is_asleep = False
        if is_woken:
            with suppress(BlockingIOError):
                while len(os.read(self._read, _READ_BYTES)) == _READ_BYTES:
                    pass
        self._is_woken = False
        for _ in range(len(self._submitted)):
            self._submitted.popleft()()

    def _timeout_s(self) -> float:
        if self._submitted:
            return 0.0
        if self._left:
            return _QUICK_S
        next_s = self._next_s()
        return _LONGEST_S if next_s is None else min(max(next_s - self._now_s(), 0.0), _LONGEST_S)

    @contextmanager
    def woken_by_signals(self) -> Iterator[None]:
        """Wake the loop by signals, also by one that arrives as it is about to sleep. Main thread only."""
        before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)


def _next_timer_s() -> float | None:
    timers = ED2.tlisteners
    return float(timers[0].etime.monot) if timers else None


@functools.cache
def _original() -> Sippy:
    """Return what sippy made, which is kept: its signal handler refers to it."""
    return ED2.elp


def install() -> LoopWait:
    """Have sippy's loop wait here; doing it again in the same process changes nothing."""
    _original()
    if not (isinstance(ED2.elp, LoopWait) and ED2.elp.process == os.getpid()):
        ED2.elp = LoopWait(_next_timer_s, lambda: float(MonoTime().monot), _left)
    return ED2.elp
