"""How long is the call thread blocked while calls are set up, are in progress, and are hung up together?

N calls are set up, are in progress with streams for some seconds, and then half of them are hung up together. Metric of
each of the three phases: CPU time of the longest iteration of the call thread's loop, for which keys, commands and
timers wait at least (see `benchmarks.call_thread_loop`); CPU time of the longest full and short passes of the garbage
collector, during which no Python code runs, and wall time of the longest; the slowest answer of health, which is polled
ten times a second. Goals: iterations and passes of at most 20 ms, answers within 100 ms.
Command: ``python -m benchmarks.stalls --calls 1000 --seconds 60 [--rate 40] [--in-kernel] [--json]``.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.health_poller import HealthPoller
from benchmarks.home import HomeError, RecorderHome
from benchmarks.loaded_recorder import loaded_recorder, need_descriptors_for
from benchmarks.machine import cpu_ms, measured_here
from benchmarks.media import tell
from benchmarks.placed import PlacedCalls
from benchmarks.ports import PortsError
from benchmarks.streams import DescriptorsError

PHASES = ("set_up", "in_progress", "hang_up")
GOAL_BLOCK_MS, GOAL_ANSWER_MS = 20.0, 100.0
_DAEMON = (sys.executable, "-m", "benchmarks.call_thread_loop")
_TOLD = re.compile(r"^loop: (\{.*\})$", re.MULTILINE)
_JOINED_S, _ENDED_S, _TOLD_S, _POLLED_EVERY_S = 120.0, 60.0, 10.0, 0.1


def measure(*, calls: int, seconds: float, rate: float, in_kernel: bool = False) -> dict[str, Any]:
    """Run the three phases and return the document.

    Raises:
        HomeError: The recorder could not be run, or a call was not joined, or did not end.
    """
    half = calls // 2
    phases: dict[str, dict[str, Any]] = {}
    with loaded_recorder(PlacedCalls(calls), in_kernel=in_kernel, daemon=_DAEMON) as loaded:
        home, placed = loaded.home, loaded.placed
        with _phase("set_up", home, phases):
            loaded.place_all(rate, timeout_s=_JOINED_S)
        with _phase("in_progress", home, phases):
            time.sleep(seconds)
        with _phase("hang_up", home, phases):
            began_s = time.monotonic()
            for call in placed.placed[:half]:
                call.hang_up()
            _wait_left(home, calls - half)
            hung_up_s = round(time.monotonic() - began_s, 2)
        packets = placed.cease()
        standing = placed.standing()
    about = {"calls": calls, "seconds": seconds, "rate": rate, "in_kernel": in_kernel, "hung_up": half}
    return {
        "phases": phases,
        **summary(phases),
        **about,
        "hung_up_s": hung_up_s,
        "still_standing": standing,
        "packets_sent": packets.sent,
        "packets_damaged": packets.damaged + packets.strayed,
    }


def summary(phases: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the longest block and the slowest answer of all phases, and whether they meet the goals."""
    longest_ms = max(phase[name] for phase in phases.values() for name in _BLOCKS)
    slowest_ms = max(phase["slowest_health_ms"] for phase in phases.values())
    return {
        "longest_block_ms": longest_ms,
        "slowest_health_ms": slowest_ms,
        "meets_goals": longest_ms <= GOAL_BLOCK_MS and slowest_ms <= GOAL_ANSWER_MS,
    }


_BLOCKS = ("longest_iteration_ms", "longest_full_ms", "longest_short_ms")


@contextmanager
def _phase(name: str, home: RecorderHome, phases: dict[str, dict[str, Any]]) -> Iterator[None]:
    """Measure what happens inside."""
    tell(name.replace("_", " "))
    _loop(home)
    cpu_before = cpu_ms(home.pid)
    with HealthPoller(home, every_s=_POLLED_EVERY_S) as polling:
        yield
    phases[name] = {
        **_loop(home),
        "slowest_health_ms": round(1000 * polling.slowest_s, 1),
        "health_unanswered": polling.unanswered,
        "cpu_ms": round(cpu_ms(home.pid) - cpu_before, 1),
    }


def _loop(home: RecorderHome) -> dict[str, Any]:
    """Ask the daemon for the iterations of its loop since the last time."""
    before, deadline = len(_TOLD.findall(home.said)), time.monotonic() + _TOLD_S
    home.tell(b"loop")
    while len(told := _TOLD.findall(home.said)) == before:
        if time.monotonic() > deadline:
            raise HomeError("the daemon did not say how long its iterations were")
        time.sleep(0.02)
    found: dict[str, Any] = json.loads(told[-1])
    return found


def _wait_left(home: RecorderHome, calls: int) -> None:
    deadline = time.monotonic() + _ENDED_S
    while (left := home.live_calls()) > calls:
        if time.monotonic() > deadline:
            raise HomeError(f"{left} calls are left instead of {calls}")
        time.sleep(0.1)


def _print(document: dict[str, Any]) -> None:
    print(
        f"{'':10} {'iteration':>12} {'full passes':>11} {'full':>8} {'short':>8} {'wall':>8}"
        f" {'slowest health':>14}   ms"
    )
    for name, phase in document["phases"].items():
        print(
            f"{name.replace('_', ' '):10} {phase['longest_iteration_ms']:12.1f} {phase['full_passes']:11}"
            f" {phase['longest_full_ms']:8.1f} {phase['longest_short_ms']:8.1f}"
            f" {phase['longest_pass_wall_ms']:8.1f} {phase['slowest_health_ms']:14.1f}"
        )
    print(f"{document['hung_up']} calls were hung up within {document['hung_up_s']} s")
    met = "met" if document["meets_goals"] else "not met"
    print(f"the goals are {met}: blocked for at most {GOAL_BLOCK_MS:g} ms, answers within {GOAL_ANSWER_MS:g} ms")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. 0: measured, whether or not the goals were met. 1: not measured, or a call was harmed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stalls", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=1000, help="calls at the same time")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long they are in progress")
    parser.add_argument("--rate", type=float, default=40.0, help="calls placed a second")
    parser.add_argument("--in-kernel", action="store_true", help="the kernel relays what comes by loopback (root)")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    if options.calls < 2 or min(options.seconds, options.rate) <= 0:
        parser.error("there must be two calls at least, and seconds and rate must be above 0")
    try:
        need_descriptors_for(options.calls)
        document = measure(calls=options.calls, seconds=options.seconds, rate=options.rate, in_kernel=options.in_kernel)
    except (DescriptorsError, HomeError, PortsError) as error:
        print(error, file=sys.stderr)
        return 1
    document = {**document, **measured_here()}
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        _print(document)
    if document["still_standing"] == document["calls"] - document["hung_up"] and document["packets_damaged"] == 0:
        return 0
    print("a call that was not hung up has ended, or packets were damaged", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
