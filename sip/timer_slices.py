"""Runs sippy's timers in slices: those that are due together leave turns to other work. Knows sippy; see `sip.reactor`.

sippy runs all timers that are due before it looks at anything else. When hundreds of calls are hung up together, their
media is closed together a moment later, and keys and commands would wait for all of them.
"""

from heapq import heappop, heappush

from sippy.Core import EventDispatcher
from sippy.Core.EventDispatcher import EventDispatcher2
from sippy.Time.MonoTime import MonoTime

from sip.loop_pace import set_left
from sip.stack_addresses import Sippy

SLICE_S = 0.005
"""Longest time for which the call thread goes on with one kind of work before other work has a turn."""

_TIMERS = "timers"
ORIGINAL = EventDispatcher2.dispatchTimers
"""What is replaced."""


def install() -> None:
    """Have sippy's loop run its timers in slices; doing it again changes nothing."""
    EventDispatcher2.dispatchTimers = run_due


def run_due(loop: Sippy) -> None:
    """Run timers that are due, in the order of their time, for `SLICE_S`; the loop's next turn goes on with the rest.

    Otherwise it does what ``dispatchTimers`` of sippy does, but for timers whose intervals vary at random: nothing here
    has one.
    """
    set_left(_TIMERS, _leaves_some(loop, MonoTime().monot + SLICE_S))


def _leaves_some(loop: Sippy, ends_s: float) -> bool:
    """Run timers that are due until a time; tell whether some are left."""
    while loop.tlisteners:
        timer = loop.tlisteners[0]
        is_cancelled = timer.cb_func is None
        if not is_cancelled and timer.etime.monot > loop.last_ts.monot:
            return False
        if not is_cancelled and MonoTime().monot >= ends_s:
            return True
        heappop(loop.tlisteners)
        if is_cancelled:
            loop.twasted -= 1
            continue
        _run(loop, timer)
        if loop.endloop:
            return False
    return False


def _run(loop: Sippy, timer: Sippy) -> None:
    is_last = timer.nticks == 1
    if not is_last:
        timer.nticks -= timer.nticks > 1  # -1 goes on for ever
        timer.etime.offset(timer.ival)
        heappush(loop.tlisteners, timer)
    moment = (loop.last_ts,) if timer.cb_with_ts else ()
    try:
        timer.cb_func(*moment, *timer.cb_params)
    except Exception:  # noqa: BLE001 - a bug in one call must not end the loop
        EventDispatcher.dump_exception("unhandled exception when processing timeout event")
    if is_last and not loop.endloop:
        timer.cleanup()
