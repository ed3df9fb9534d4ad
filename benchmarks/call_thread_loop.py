"""The recorder's command line, which measures each iteration of the call thread's loop.

An *iteration* is from one run of the loop's timers to the next: what came from other threads, and the timers that are
due. Its time is CPU time of the thread, so other load on the machine does not lengthen it. The same goes for passes of
the garbage collector, for which wall time is given too. For each line on standard input it writes one to standard
error, ``loop: {"longest_iteration_ms": 11.2, ...}``, for the time since the line before. Run as ``python -m
benchmarks.call_thread_loop run -C HOME``.
"""

import gc
import json
import sys
import threading
import time
from typing import Any

from sippy.Core.EventDispatcher import ED2

from recorder.__main__ import main

_FULL = 2
_NOTHING = {
    "longest_iteration_ms": 0.0, "iterations": 0, "full_passes": 0, "longest_full_ms": 0.0, "longest_short_ms": 0.0,
    "longest_pass_wall_ms": 0.0,
}  # fmt: skip


class _Loop:
    """Measures the iterations of the call thread's loop, and the passes of the garbage collector."""

    def __init__(self) -> None:
        self._found: dict[str, float] = dict(_NOTHING)
        self._ended_s = 0.0
        self._began_s = (0.0, 0.0)

    def dispatch_timers(self) -> None:
        """Run the timers that are due; in place of the dispatcher's own."""
        type(ED2).dispatchTimers(ED2)  # whatever the daemon has put in its place
        ended_s = time.thread_time()
        found = self._found
        found["longest_iteration_ms"] = max(found["longest_iteration_ms"], 1000 * (ended_s - self._ended_s))
        found["iterations"] += 1
        self._ended_s = ended_s

    def collecting(self, phase: str, about: dict[str, Any]) -> None:
        """Note a pass of the garbage collector; for `gc.callbacks`."""
        if phase == "start":
            self._began_s = (time.thread_time(), time.perf_counter())
            return
        worked_s, began_s = self._began_s
        took_ms, found = 1000 * (time.thread_time() - worked_s), self._found
        found["longest_pass_wall_ms"] = max(found["longest_pass_wall_ms"], 1000 * (time.perf_counter() - began_s))
        name = "longest_full_ms" if about["generation"] == _FULL else "longest_short_ms"
        found[name] = max(found[name], took_ms)
        found["full_passes"] += about["generation"] == _FULL

    def take(self) -> dict[str, float]:
        """Return what was found since the last time."""
        found, self._found = self._found, dict(_NOTHING)
        return {name: round(value, 2) for name, value in found.items()}


def _obey(loop: _Loop) -> None:
    for _ in sys.stdin.buffer:
        print(f"loop: {json.dumps(loop.take())}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    found = _Loop()
    ED2.dispatchTimers = found.dispatch_timers
    gc.callbacks.append(found.collecting)
    threading.Thread(target=_obey, args=(found,), name="obeying", daemon=True).start()
    main()
