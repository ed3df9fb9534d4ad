"""Runs sippy's timers in slices: those that are due together leave turns to other work. Knows sippy; see `sip.reactor`.

sippy runs all timers that are due before it looks at anything else. When hundreds of calls are hung up together, their
media is closed together a moment later, and keys and commands would wait for all of them.
"""

from heapq import heappop, heappush

from sippy.Core import EventDispatcher
from sippy.Core.EventDispatcher import EventDispatcher2
from sippy.Time.MonoTime import MonoTime

from sip.stack_addresses import Sippy

SLICE_S = 0.005
"""Longest time for which the call thread goes on with one kind of work before other work has a turn."""

ORIGINAL = EventDispatcher2.dispatchTimers
"""What is replaced."""


def install() -> None:
    """Have sippy's loop run its timers in slices; doing it again changes nothing."""
    EventDispatcher2.dispatchTimers = run_due
    EventDispatcher2.is_going_on = False


def run_due(loop: Sippy) -> None:
    """Run timers that are due, in the order of their time, for `SLICE_S`; go on after what waits for the loop by then.

    Otherwise it does what ``dispatchTimers`` of sippy does, but for timers whose intervals vary at random: nothing here
    has one.
    """
    ends_s = MonoTime().monot + SLICE_S
    while loop.tlisteners:
        timer = loop.tlisteners[0]
        is_cancelled = timer.cb_func is None
        if not is_cancelled and timer.etime.monot > loop.last_ts.monot:
            return
        if not is_cancelled and MonoTime().monot >= ends_s:
            _go_on_later(loop)
            return
        heappop(loop.tlisteners)
        if is_cancelled:
            loop.twasted -= 1
            continue
        _run(loop, timer)
        if loop.endloop:
            return


def _go_on_later(loop: Sippy) -> None:
    if not loop.is_going_on:  # else it waits for the loop already
        loop.is_going_on = True
        loop.callFromThread(_go_on, loop)


def _go_on(loop: Sippy) -> None:
    loop.is_going_on = False
    loop.last_ts = MonoTime()
    run_due(loop)


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
