"""How often the call loop looks for work: each 10 ms, or each millisecond while a slice has left some. Knows sippy.

Another thread wakes the loop when it submits something. What the call thread submits to itself waits for the loop's
next look, and so do timers. Work that is done in slices of 5 ms would be done for half of the time only. Call thread
only.
"""

import functools

from sippy.Core.EventDispatcher import ED2

_QUICK_HZ = 1000.0
_USUAL = 0
"""Index of the rate with which sippy made its loop."""

_left: set[str] = set()


@functools.cache
def _quick() -> int:
    return int(ED2.elp.addband(_QUICK_HZ))


def set_left(kind: str, is_left: bool) -> None:
    """Note whether a slice of one kind of work has left some."""
    had_any = bool(_left)
    if is_left:
        _left.add(kind)
    else:
        _left.discard(kind)
    if bool(_left) is not had_any:
        ED2.elp.useband(_quick() if _left else _USUAL)
