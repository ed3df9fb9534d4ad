"""What does the whole daemon cost for a call, beside a bare loop and beside rtpengine that records, in one run?

Metric: CPU ms per call-second in the steady state, the median of the rounds (goal: at most 0.26), and its ratios: the
daemon to the loop that gathers (goal: at most 1.5) and to rtpengine with a capture file for each call (at most 0.4).
Paths, in turn in each round: ``daemon`` and ``daemon_no_tones``, each a recorder of its own whose calls are set up once
and stand, silent while others are measured; ``daemon_kernel``, where the kernel relays what comes by loopback (as root
only); ``bare_gathering``; ``rtpengine``, where it is installed. What the kernel does with a packet on loopback it does
in the time of who sent it, so the load's own CPU is told too: the sum of both is what the machine takes.
Command: ``python -m benchmarks.versus --calls 500 --seconds 8 --rounds 5 [--rate 40] [--only PATH ...]
[--plot FILE.png] [--json]``.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import rtpengine
from benchmarks.home import IN_KERNEL, HomeError
from benchmarks.loaded_recorder import NOTICE_S, need_descriptors_for
from benchmarks.machine import measured_here
from benchmarks.media import GATHER_US, bare_command, print_table, ratio_to, rtpengine_command, summary, tell
from benchmarks.paths import MediaPath, PathError, PathResult
from benchmarks.plots import draw_bars
from benchmarks.ports import PortsError, media_ports
from benchmarks.standing import StandingCalls
from benchmarks.streams import DescriptorsError

DAEMONS = {
    "daemon": [],
    "daemon_no_tones": [("detect_tones = true", "detect_tones = false")],
    "daemon_kernel": [IN_KERNEL],
    "daemon_kernel_no_tones": [IN_KERNEL, ("detect_tones = true", "detect_tones = false")],
}
"""How each is configured."""
PATHS = ("bare_gathering", *DAEMONS, "rtpengine")
UNASKED = tuple(name for name in PATHS if name != "daemon_kernel_no_tones")
"""Measured without ``--only``: descriptors are not enough for all of them at 500 calls."""
GOALS = {"bare_gathering": 1.5, "rtpengine": 0.4}
"""How many times their CPU the daemon may take."""
GOAL_MS = 0.26
_DESCRIPTORS_PER_CALL = 8

Run = Callable[[], PathResult]


def _child(command: Sequence[str], calls: int, seconds: float) -> PathResult:
    with MediaPath(command, calls) as path:
        return path.run(seconds=seconds)


def _runs(
    stack: ExitStack, names: Sequence[str], *, calls: int, seconds: float, rate: float
) -> tuple[dict[str, Run], dict[str, StandingCalls]]:
    """Return what runs each path, and the daemons, whose calls are set up now."""
    found: dict[str, Run] = {}
    daemons: dict[str, StandingCalls] = {}
    for name in names:
        if name not in DAEMONS:
            command = rtpengine_command() if name == "rtpengine" else bare_command(GATHER_US)
            found[name] = lambda command=command: _child(command, calls, seconds)  # type: ignore[misc]
            continue
        tell(f"{calls} calls are set up for {name}")
        edits, ports = DAEMONS[name], media_ports(calls)
        standing = stack.enter_context(StandingCalls(calls, rate=rate, media_ports=ports, edits=edits))
        daemons[name] = standing
        found[name] = lambda standing=standing: standing.run(seconds=seconds)  # type: ignore[misc]
    return found, daemons


def goals(document: dict[str, Any], daemon: str) -> dict[str, Any]:
    """Return a daemon's cost and its ratio to each path that there is a goal for, and whether they are held."""
    cost = document[daemon]["cpu_ms_per_call_second"]
    found = {"ms": {"ratio": cost, "at_most": GOAL_MS, "is_held": cost <= GOAL_MS}}
    for name, at_most in GOALS.items():
        ratio = ratio_to(document[name], document[daemon]) if name in document else None
        if ratio is not None:
            found[name] = {"ratio": ratio, "at_most": at_most, "is_held": ratio <= at_most}
    return found


def chosen(only: Sequence[str]) -> list[str]:
    """Return the paths that are measured: those that were asked for, or all that can be."""
    if only:
        return [name for name in PATHS if name in only]
    return [name for name in UNASKED if name != "rtpengine" or rtpengine.program() is not None]


def measure(*, calls: int, seconds: float, rounds: int, rate: float, only: Sequence[str] = ()) -> dict[str, Any]:
    """Run the paths in turn, ``rounds`` times, and return the document that ``--json`` prints.

    Raises:
        HomeError: A recorder could not be run, or a call did not stand.
        PathError: Another path could not be run.
    """
    names = chosen(only)
    results: dict[str, list[PathResult]] = {name: [] for name in names}
    loads = [os.getloadavg()[0]]
    with ExitStack() as stack:
        runs, daemons = _runs(stack, names, calls=calls, seconds=seconds, rate=rate)
        for turn in range(rounds):
            for name, run in runs.items():
                tell(f"round {turn + 1} of {rounds}: {name}, {calls} calls")
                results[name].append(run())
        shares = {name: one.home.relayed_share() for name, one in daemons.items()}
    loads.append(os.getloadavg()[0])
    document: dict[str, Any] = {name: summary(of_path) for name, of_path in results.items()}
    for name, of_path in results.items():
        document[name]["rounds"] = [result.steady.cpu_ms_per_call_second for result in of_path]
    for name, share in shares.items():
        document[name]["relayed_share"] = share
    about = {"calls": calls, "seconds": seconds, "rounds": rounds, "rate": rate, "notice_s": NOTICE_S}
    return {
        **document,
        "goals": {name: goals(document, name) for name in DAEMONS if name in document},
        **about,
        "load_before_and_after": loads,
        **measured_here(),
    }


def plot(document: dict[str, Any], path: Path) -> None:
    """Draw what a call costs in each path, each round, and what the daemon may cost by the goals."""
    paths = {name: document[name] for name in PATHS if name in document}
    draw_bars(
        {name: figures["cpu_ms_per_call_second"] for name, figures in paths.items()},
        path,
        unit=f"CPU, ms for a call-second, {document['calls']} calls; dots: rounds",
        rounds={name: figures["rounds"] for name, figures in paths.items()},
        goals={
            f"the daemon's goal: {at_most} x {name}": at_most * paths[name]["cpu_ms_per_call_second"]
            for name, at_most in GOALS.items()
            if name in paths
        }
        | {f"the daemon's goal: {GOAL_MS} ms": GOAL_MS},
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 measured and no packet lost or damaged, 1 otherwise, with a reason."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.versus", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=500, help="calls at the same time, through each path")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each steady state that is measured")
    parser.add_argument("--rounds", type=int, default=5, help="the figures are the median of this many runs")
    parser.add_argument("--rate", type=float, default=40.0, help="calls placed a second")
    parser.add_argument("--only", nargs="+", choices=PATHS, default=[], help="these paths alone")
    parser.add_argument("--plot", type=Path, help="draw it, as PNG")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    if min(options.calls, options.rounds) < 1 or min(options.seconds, options.rate) <= 0:
        parser.error("calls, seconds, rounds and rate must be above 0")
    if not options.only and rtpengine.program() is None:
        print(rtpengine.INSTALL, file=sys.stderr)
    try:
        homes = sum(name in DAEMONS for name in chosen(options.only))
        need_descriptors_for((homes + 1) * options.calls, per_call=_DESCRIPTORS_PER_CALL)
        document = measure(
            calls=options.calls, seconds=options.seconds, rounds=options.rounds, rate=options.rate, only=options.only
        )
    except (DescriptorsError, HomeError, PathError, PortsError) as error:
        print(error, file=sys.stderr)
        return 1
    paths = {name: document[name] for name in PATHS if name in document}
    if options.plot is not None:
        plot(document, options.plot)
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        print_table(paths)
        for daemon, held in document["goals"].items():
            for name, goal in held.items():
                said = "held" if goal["is_held"] else "not held"
                unit = "ms" if name == "ms" else f"times {name}"
                print(f"{daemon} costs {goal['ratio']} {unit}; goal: at most {goal['at_most']}, {said}")
    return 0 if all(path["packets_lost"] == path["packets_damaged"] == 0 for path in paths.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
