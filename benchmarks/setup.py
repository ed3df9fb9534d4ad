"""How many calls can be set up a second until the first one fails?

At each rate calls are set up for some seconds through a recorder of its own, joined, stream both ways, and are hung up
two seconds later (see `benchmarks.soak`); the first rate at which a call fails is the last that is tried. Metric:
calls that failed and how, packets lost, CPU of the daemon and of the scripted peers, which share the machine, and the
slowest answer of health, which says how long the call thread kept others waiting. The limits for
each address (``calls_per_s``, ``requests_per_s``) are put out of the way: the machine's end is sought.
Command: ``python -m benchmarks.setup --rates 40 80 120 160 200 --seconds 10 [--hold-s 2] [--json]``.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks import soak
from benchmarks.home import HomeError
from benchmarks.machine import measured_here
from benchmarks.media import tell
from benchmarks.ports import PortsError
from benchmarks.streams import DescriptorsError, need_descriptors

RATES = (40.0, 60.0, 80.0, 100.0, 120.0, 140.0, 160.0, 200.0)
_NO_LIMITS = [(f"{what}_per_s = 100.0 ", f"{what}_per_s = 100000.0 ") for what in ("calls", "requests")]
_DESCRIPTORS_PER_CALL, _DESCRIPTORS, _JOIN_S = 4, 400, 15.0
_KEPT = (
    "calls", "placed_per_s", "failed_calls", "ended", "outcomes", "most_at_a_time", "late_placed_s", "slowest_health_s",
    "packets_sent", "packets_lost", "packets_damaged", "cpu_s", "peers_cpu_s", "took_s", "alarms", "tracebacks",
)  # fmt: skip


def measure(*, rates: Sequence[float], seconds: float, hold_s: float) -> dict[str, Any]:
    """Try one rate after another until a call fails, and return the document.

    Raises:
        HomeError: A recorder could not be run.
    """
    steps: list[dict[str, Any]] = []
    for rate in rates:
        tell(f"{rate:g} calls a second for {seconds:g} s")
        found = soak.measure(rate=rate, seconds=seconds, hold_s=hold_s, edits=_NO_LIMITS, looks_for_leaks=False)
        cpu_ms = round(1000 * found["cpu_s"] / found["calls"], 2)
        steps.append({"rate": rate, "cpu_ms_per_call": cpu_ms, **{name: found[name] for name in _KEPT}})
        if found["failed_calls"]:
            break
    return {"steps": steps, **ends(steps), "seconds": seconds, "hold_s": hold_s}


def ends(steps: Sequence[dict[str, Any]]) -> dict[str, float | None]:
    """Return the highest rate without a failed call and the lowest with one, as far as they were reached."""
    return {
        "highest_without_failure": max((step["rate"] for step in steps if not step["failed_calls"]), default=None),
        "first_failure": min((step["rate"] for step in steps if step["failed_calls"]), default=None),
    }


def _print(document: dict[str, Any]) -> None:
    print(f"{'a second':>8} {'placed':>7} {'calls':>6} {'failed':>6} {'lost':>6} {'CPU ms':>7} {'health s':>9}  ended")
    for step in document["steps"]:
        print(
            f"{step['rate']:8g} {step['placed_per_s']:7g} {step['calls']:6} {step['failed_calls']:6}"
            f" {step['packets_lost']:6} {step['cpu_ms_per_call']:7.2f} {step['slowest_health_s']:9.2f}  {step['ended']}"
        )
    first = document["first_failure"]
    print("no call failed" if first is None else f"the first call failed at {first:g} a second")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 measured, 1 a sentence says why it could not be run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.setup", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES), help="calls a second, in this order")
    parser.add_argument("--seconds", type=float, default=10.0, help="for how long at each rate")
    parser.add_argument("--hold-s", type=float, default=2.0, help="how long a call is joined")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    if min(options.rates) * options.seconds < 1 or options.hold_s <= 0:
        parser.error("rates, seconds and hold-s must be above 0, and give a call at least")
    try:
        need_descriptors(round(_DESCRIPTORS_PER_CALL * max(options.rates) * (options.hold_s + _JOIN_S)) + _DESCRIPTORS)
        document = measure(rates=options.rates, seconds=options.seconds, hold_s=options.hold_s)
    except (DescriptorsError, HomeError, PortsError) as error:
        print(error, file=sys.stderr)
        return 1
    document = {**document, **measured_here()}
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        _print(document)
    return 0


if __name__ == "__main__":
    sys.exit(main())
