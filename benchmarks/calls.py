"""What does a recorded call cost the daemon, and does the load harm any call?

Metric: CPU ms per call-second of the daemon's process in the steady state (all calls joined, none being set up); CPU
ms per call of the set-up, with what the joined calls cost in that time taken off; packets lost; one-way delay through
the daemon; memory and descriptors per call; calls that failed or did not stand to the end. A real recorder in a home of
its own, with a notice of one second unless told otherwise; callers and officers are scripted SIP peers, and from the
joining on both stream A-law. With ``--in-kernel`` the kernel relays what comes by loopback (as root only).
Command: ``python -m benchmarks.calls --calls 200 --seconds 60 [--rate 20] [--notice-s 1] [--in-kernel] [--bare]
[--json]``.
"""

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.home import HomeError
from benchmarks.loaded_recorder import JOINED_S, LoadedRecorder, loaded_recorder, need_descriptors_for
from benchmarks.machine import Holdings, cpu_ms, holdings, measured_here
from benchmarks.media import GATHER_US, bare_command, print_table, ratio_to, summary, tell
from benchmarks.outcomes import noise_as_speech, outcomes_of
from benchmarks.paths import MediaPath, PathError, await_steady, measure_steady
from benchmarks.placed import PlacedCalls
from benchmarks.ports import PortsError
from benchmarks.streams import DescriptorsError

_SEALED_S = 60.0


def measure(*, calls: int, seconds: float, rate: float, notice_s: float, in_kernel: bool = False) -> dict[str, Any]:
    """Run the calls through a recorder and return its part of the document.

    Raises:
        HomeError: The recorder could not be run.
    """
    with loaded_recorder(PlacedCalls(calls), notice_s=notice_s, in_kernel=in_kernel) as loaded:
        found = _through(loaded, seconds=seconds, rate=rate)
        found["relayed_share"] = loaded.home.relayed_share()
        return {**found, "rate": rate, "notice_s": notice_s}


def _through(loaded: LoadedRecorder, *, seconds: float, rate: float) -> dict[str, Any]:
    home, placed = loaded.home, loaded.placed
    cpu_idle, held_idle = cpu_ms(home.pid), holdings(home.pid)
    placed.place(loaded.sip, rate=rate, on_placed=lambda count: _progress(f"{count} calls placed"))
    joined = placed.wait_joined(JOINED_S, lambda count: _progress(f"{count} calls joined"))
    cpu_joined, joined_at_s = cpu_ms(home.pid), time.monotonic()
    _progress(f"{joined} calls joined; measuring for {seconds:g} s")
    await_steady()
    steady = measure_steady(placed.load, home.pid, calls=max(joined, 1), seconds=seconds)
    held = holdings(home.pid)
    health = home.health()
    standing = min(placed.standing(), int(health["calls"]))
    packets = placed.cease()
    stuck = placed.hang_up()
    rows = home.wait_outcomes(placed.count, _SEALED_S)
    overlap_s = sum(joined_at_s - at for at in placed.joined_at_s.values())
    cost = steady.cpu_ms_per_call_second
    outcomes = outcomes_of(rows)
    return {
        "cpu_ms_per_call_second": cost,
        "load_cpu_ms_per_call_second": steady.load_cpu_ms_per_call_second,
        "setup_cpu_ms_per_call": round((cpu_joined - cpu_idle - cost * overlap_s) / placed.count, 2),
        "packets_sent": packets.sent,
        "packets_lost": packets.lost,
        "packets_damaged": packets.damaged + packets.strayed,
        "late_sends": packets.late_sends,
        "delay_ms": dataclasses.asdict(steady.delay_ms) if steady.delay_ms else None,
        "jitter_ms": dataclasses.asdict(steady.jitter_ms) if steady.jitter_ms else None,
        "calls": placed.count,
        "joined_calls": joined,
        "standing_calls": standing,
        "failed_calls": placed.count - min(standing, outcomes.get("recorded", 0)),
        "never_ended": stuck,
        "outcomes": outcomes,
        "noise_as_speech": noise_as_speech(rows),
        "lost_segments": sum(part.get("kind") == "lost" for row in rows for part in row.get("segments", [])),
        "call_thread": health["call_thread"],
        "per_call": _per_call(held_idle, held, max(joined, 1)),
        "seconds": steady.seconds,
    }


def _per_call(idle: Holdings, busy: Holdings, calls: int) -> dict[str, float | None]:
    """What one more call holds."""
    known = busy.descriptors is not None and idle.descriptors is not None
    return {
        "resident_kb": round((busy.resident_kb - idle.resident_kb) / calls, 1),
        "locked_kb": round((busy.locked_kb - idle.locked_kb) / calls, 1),
        "descriptors": round(((busy.descriptors or 0) - (idle.descriptors or 0)) / calls, 2) if known else None,
    }


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{line:60}", end="", file=sys.stderr, flush=True)


def with_bare(document: dict[str, Any], *, calls: int, seconds: float) -> dict[str, Any]:
    """Run the bare loop under the same load, gathering as the core does, and add it and the ratio to the document."""
    tell("\nthe bare loop in the same conditions")
    with MediaPath(bare_command(GATHER_US), calls) as path:
        bare = summary([path.run(seconds=seconds)])
    return {**document, "bare": bare, "ratio": ratio_to(bare, document)}


def _print(document: dict[str, Any]) -> None:
    paths = {"daemon": document}
    if "bare" in document:
        paths["bare"] = document["bare"]
    print_table(paths)
    print(f"set-up: {document['setup_cpu_ms_per_call']} CPU ms per call")
    print(
        "per call: {resident_kb} kB resident, {locked_kb} kB locked, {descriptors} descriptors".format_map(
            document["per_call"]
        )
    )
    print("the call thread was blocked for {longest_stall_ms} ms at worst".format_map(document["call_thread"]))
    print("calls: {calls}, standing at the end: {standing_calls}, failed: {failed_calls}".format_map(document))
    print(f"outcomes: {document['outcomes']}, lost segments: {document['lost_segments']}")
    if "ratio" in document:
        print(f"the daemon costs {document['ratio']} times the bare loop")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 1 failed with a reason or a call failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calls", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=200, help="calls at the same time")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the steady state that is measured")
    parser.add_argument("--rate", type=float, default=20.0, help="calls placed a second")
    parser.add_argument("--notice-s", type=float, default=1.0, help="length of the notice that every caller hears")
    parser.add_argument("--in-kernel", action="store_true", help="have the kernel relay what comes by loopback")
    parser.add_argument("--bare", action="store_true", help="run the bare loop beside it, and give the ratio")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    if options.calls < 1 or options.seconds <= 0 or options.rate <= 0 or options.notice_s < 0.1:
        parser.error("calls, seconds and rate must be above 0, the notice 0.1 s or longer")
    try:
        need_descriptors_for(options.calls)
        document = measure(
            calls=options.calls,
            seconds=options.seconds,
            rate=options.rate,
            notice_s=options.notice_s,
            in_kernel=options.in_kernel,
        )
        if options.bare:
            document = with_bare(document, calls=options.calls, seconds=options.seconds)
    except (DescriptorsError, HomeError, PathError, PortsError) as error:
        print(error, file=sys.stderr)
        return 1
    document = {**document, **measured_here()}
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        _print(document)
    return 0 if document["failed_calls"] == document["never_ended"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
