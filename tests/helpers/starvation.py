"""How long a process would have run and got no CPU, as Linux counts it (Documentation/scheduler/sched-stats.rst).

A bound in seconds is a bound for the program. On a machine that is shared, the seconds for which the kernel ran others
in its place are told apart, instead of being guessed at by a longer wait.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.helpers import procfs
from tests.helpers.background import beside

_WAY_OF_A_PACKET = 2
"""Threads that a packet passes before it is in a file: the media core's and the writer's."""


def waited_s(pid: int) -> dict[int, float]:
    """Return for each thread of a process how long it has waited for a CPU, in seconds; none, if it has ended."""
    return dict(_waits(pid))


def _waits(pid: int) -> Iterator[tuple[int, float]]:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError, IndexError):
                yield int(task.name), int(procfs.read(f"{pid}/task/{task.name}/schedstat").split()[1]) / 1e9


_LOOK_EVERY_S = 0.025


class Starvation:
    """What a process waited for a CPU, as it was looked at now and then."""

    def __init__(self) -> None:
        self._looks: list[tuple[float, dict[int, float]]] = []

    def look(self, pid: int) -> None:
        """Note how long its threads have waited; to be called at least a few times a second."""
        self._looks.append((time.monotonic(), waited_s(pid)))

    def since(self, moment_s: float) -> float:
        """Return how long a packet that came after a moment (monotonic) may have waited for those who keep it."""
        before = next((waits for at_s, waits in reversed(self._looks) if at_s <= moment_s), {})
        after = self._looks[-1][1]
        gained = sorted((waited - before.get(thread, 0.0) for thread, waited in after.items()), reverse=True)
        return sum(gained[:_WAY_OF_A_PACKET])


def with_children(pid: int) -> list[int]:
    """Return a process and all that it has started, directly or not, and that go on: a browser has many."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, procfs.read(f"{parent}/task/{task.name}/children").split())
    return found


def stopwatch(*pids: int, threads: int = 3) -> Callable[[], float]:
    """Return what tells how long the programs have taken since now: seconds in which they got no CPU are left out.

    Args:
        pids: Processes that what is timed passes through, one after another.
        threads: How many threads it passes at most: the waits of those that waited longest are left out.
    """
    began_s, before = time.monotonic(), {pid: waited_s(pid) for pid in pids}

    def taken_s() -> float:
        passed_s = time.monotonic() - began_s
        gained = [
            waited - before[pid].get(thread, 0.0) for pid in pids for thread, waited in waited_s(pid).items()
        ]  # fmt: skip
        return passed_s - sum(sorted(gained, reverse=True)[:threads])

    return taken_s


@contextlib.contextmanager
def noting_starvation(
    process: Callable[[], int], note: Callable[[float, float], None], *, longer_than_s: float
) -> Iterator[None]:
    """Note when a thread of a process got no CPU, as long as this is open.

    Args:
        process: Returns the process; it may be another one each time.
        note: Gets the beginning and the end (monotonic) of a time in which a thread waited.
        longer_than_s: What is not noted.
    """

    def look(must_end: threading.Event) -> None:
        before_s, before = time.monotonic(), waited_s(process())
        while not must_end.wait(_LOOK_EVERY_S):
            now_s, now = time.monotonic(), waited_s(process())
            if any(now[thread] - before[thread] > longer_than_s for thread in now.keys() & before.keys()):
                note(before_s, now_s)
            before_s, before = now_s, now

    with beside(look):
        yield
