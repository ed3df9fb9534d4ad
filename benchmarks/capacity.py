"""How does what the daemon costs grow with the number of calls, and where does the machine end?

Metric: CPU ms a second of the daemon and of the bare loop at each number of calls, each through a recorder of its own;
how straight the line through them is (R squared) and what one more call costs by it; packets lost, delays, memory and
descriptors per call at each. It stops after the first number at which a call fails or a segment is lost.
Command: ``python -m benchmarks.capacity --calls 100 250 500 1000 --seconds 20 [--rate 40] [--in-kernel]
[--plot FILE.svg] [--json]``; with ``--in-kernel`` the kernel relays what comes by loopback (as root only).
"""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import calls as daemon_calls
from benchmarks import report_figures
from benchmarks.home import HomeError
from benchmarks.loaded_recorder import need_descriptors_for
from benchmarks.machine import measured_here
from benchmarks.paths import PathError
from benchmarks.ports import PortsError
from benchmarks.report_page import by_calls
from benchmarks.streams import DescriptorsError

_KEPT = (
    "cpu_ms_per_call_second", "load_cpu_ms_per_call_second", "ratio", "bare", "packets_sent", "packets_lost",
    "packets_damaged", "late_sends",
    "delay_ms", "jitter_ms", "lost_segments", "failed_calls", "never_ended", "per_call", "setup_cpu_ms_per_call",
    "relayed_share", "call_thread",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The straight line through CPU by calls: ms a second of the first call, of each more, and R squared."""

    fixed_ms: float
    per_call_ms: float
    r_squared: float


def line_through(points: Sequence[tuple[int, float]]) -> Line | None:
    """Return the line with the least squares through ``(calls, CPU ms a second)``; None for fewer than three points."""
    if len(points) < 3:  # through two of them every line is straight
        return None
    at, cost = np.array(points, float).T
    slope, fixed = np.polyfit(at, cost, 1)
    rest = float(((cost - (slope * at + fixed)) ** 2).sum())
    spread = float(((cost - cost.mean()) ** 2).sum())
    return Line(
        fixed_ms=round(float(fixed), 2),
        per_call_ms=round(float(slope), 4),
        r_squared=round(1.0 - rest / spread, 5) if spread else 1.0,
    )


def measure(*, counts: Sequence[int], seconds: float, rate: float, in_kernel: bool = False) -> dict[str, Any]:
    """Measure at each number of calls, in the order given, and return the document.

    Raises:
        HomeError: A recorder could not be run.
        PathError: The bare loop could not.
    """
    steps: list[dict[str, Any]] = []
    for count in counts:
        found = daemon_calls.measure(calls=count, seconds=seconds, rate=rate, notice_s=1.0, in_kernel=in_kernel)
        found = daemon_calls.with_bare(found, calls=count, seconds=seconds)
        steps.append({"calls": count, **{name: found[name] for name in _KEPT}})
        if found["failed_calls"] or found["never_ended"] or found["lost_segments"]:
            break
    lines = {
        "daemon": line_through([(step["calls"], step["calls"] * step["cpu_ms_per_call_second"]) for step in steps]),
        "bare": line_through(
            [(step["calls"], step["calls"] * step["bare"]["cpu_ms_per_call_second"]) for step in steps]
        ),
    }
    return {
        "seconds": seconds,
        "rate": rate,
        "steps": steps,
        "lines": {name: dataclasses.asdict(line) if line else None for name, line in lines.items()},
        **measured_here(),
    }


def plot(document: dict[str, Any], path: Path) -> None:
    """Draw CPU by calls and the delays of each number of calls, as SVG."""
    relayed = "relayed by the kernel" if document["steps"][-1]["relayed_share"] else "by sockets"
    path.write_text(by_calls(report_figures.steps(document), relayed), encoding="utf-8")


def _print(document: dict[str, Any]) -> None:
    print(f"{'calls':>6} {'CPU ms/call-s':>14} {'to bare':>8} {'lost':>6} {'p50 ms':>8} {'p99 ms':>8} {'kB/call':>8}")
    for step in document["steps"]:
        delay = step["delay_ms"] or {"p50": float("nan"), "p99": float("nan")}
        print(
            f"{step['calls']:6} {step['cpu_ms_per_call_second']:14.3f} {step['ratio'] or 0:8.2f}"
            f" {step['packets_lost']:6} {delay['p50']:8.2f} {delay['p99']:8.2f} {step['per_call']['resident_kb']:8.0f}"
        )
    for name, line in document["lines"].items():
        if line:
            print(
                f"{name}: {{fixed_ms}} ms a second, {{per_call_ms}} for each call, R^2 {{r_squared}}".format_map(line)
            )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 1 a call failed or a sentence says why it could not be run."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.capacity", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--calls", type=int, nargs="+", default=[100, 250, 500, 1000], help="calls at the same time")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each steady state that is measured")
    parser.add_argument("--rate", type=float, default=40.0, help="calls placed a second")
    parser.add_argument("--in-kernel", action="store_true", help="have the kernel relay what comes by loopback")
    parser.add_argument("--plot", type=Path, help="draw it, as SVG")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    if min(options.calls) < 1 or options.seconds <= 0 or options.rate <= 0:
        parser.error("calls, seconds and rate must be above 0")
    try:
        need_descriptors_for(max(options.calls))
        document = measure(
            counts=options.calls, seconds=options.seconds, rate=options.rate, in_kernel=options.in_kernel
        )
    except (DescriptorsError, HomeError, PathError, PortsError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.plot is not None:
        plot(document, options.plot)
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        _print(document)
    return 0 if all(step["failed_calls"] == step["never_ended"] == 0 for step in document["steps"]) else 1


if __name__ == "__main__":
    sys.exit(main())
