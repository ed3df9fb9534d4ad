"""What does the media core cost per call, beside a loop that only receives, copies and sends, and beside rtpengine?

Metric: CPU ms per call-second of the process in the steady state, from the scheduler; its ratio to the bare loop's;
packets lost and one-way delay. Paths: ``bare`` wakes up for every packet, ``bare_gathering`` for what has gathered in
2 ms, as the core does under load; ``bare_ring_gathering`` is that by io_uring, where it is allowed. Of the core each
step is a path: ``core_forward`` only relays, ``core_no_tones`` taps and drains too, ``core`` looks for tones,
``core_written`` has the daemon's writer seal and write what is drained. ``core_voices`` puts voices into what is
drained; in ``core_voices_unjudged`` and ``core_written_unjudged`` the writer does not look for speech; ``core_epoll``
is ``core`` without io_uring, ``core_2_threads`` and ``core_4_threads`` share the calls among so many media threads.
These six are run only when named.
``core_twice`` leads each call through the core twice, and ``core_twice_srtp`` encrypts it between: their difference is
what SRTP on both sides of a call costs. ``rtpengine`` records each call into a capture file, ``rtpengine_relay`` does
not; without its package the others are measured. All run in turn under the same load; each figure is the median of the
rounds. Ratios are to ``bare_gathering``, and ``srtp_share`` is that difference in proportion to ``core``.
Command: ``python -m benchmarks.media --calls 200 --seconds 10 [--rounds 3] [--only PATH ...] [--plot FILE.png]
[--json]``.
"""

import argparse
import dataclasses
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import rtpengine
from benchmarks.build import ensure_bare
from benchmarks.machine import has_io_uring, measured_here
from benchmarks.paths import MediaPath, PathError, PathResult
from benchmarks.plots import draw_bars
from benchmarks.streams import Delays, DescriptorsError, Jitter, need_descriptors

GATHER_US = 2000
"""How long the core lets packets gather (`audio.types.RelayOptions.gather_ms`)."""
_DESCRIPTORS_PER_CALL, _DESCRIPTORS = 8, 64
_FLOOR, _RING = "bare_gathering", "bare_ring_gathering"
_NAMED_ONLY = (
    "core_epoll", "core_2_threads", "core_4_threads", "core_written_unjudged", "core_voices", "core_voices_unjudged"
)  # fmt: skip


def bare_command(gather_us: int = 0, program: str = "bare_loop") -> list[str]:
    """Return the command of a bare loop, compiled when needed."""
    return [str(ensure_bare(program)), str(gather_us)]


def core_command(mode: str = "tones", io: str = "auto", threads: int = 1) -> list[str]:
    """Return the command of the media core as a path; see `benchmarks.media_host` for the modes."""
    return [sys.executable, "-m", "benchmarks.media_host", mode, io, str(threads)]


def rtpengine_command(mode: str = "pcap") -> list[str]:
    """Return the command of rtpengine as a path; see `benchmarks.rtpengine_host` for the modes."""
    return [sys.executable, "-m", "benchmarks.rtpengine_host", mode]


PATHS: dict[str, Callable[[], list[str]]] = {
    "bare": bare_command,
    _FLOOR: lambda: bare_command(GATHER_US),
    _RING: lambda: bare_command(GATHER_US, "bare_ring"),
    "core_forward": lambda: core_command("forward"),
    "core_no_tones": lambda: core_command("no-tones"),
    "core": core_command,
    "core_epoll": lambda: core_command(io="epoll"),
    "core_2_threads": lambda: core_command(threads=2),
    "core_4_threads": lambda: core_command(threads=4),
    "core_written": lambda: core_command("written"),
    "core_written_unjudged": lambda: core_command("written-unjudged"),
    "core_voices": lambda: core_command("voices"),
    "core_voices_unjudged": lambda: core_command("voices-unjudged"),
    "core_twice": lambda: core_command("twice"),
    "core_twice_srtp": lambda: core_command("twice-srtp"),
    "rtpengine_relay": lambda: rtpengine_command("relay"),
    "rtpengine": rtpengine_command,
}
"""What makes each path's command; what has to be compiled for it is compiled then."""


def summary(results: Sequence[PathResult]) -> dict[str, Any]:
    """Return one path's figures: CPU and delays as medians of the rounds, packets added up."""
    return {
        "cpu_ms_per_call_second": statistics.median(result.steady.cpu_ms_per_call_second for result in results),
        "load_cpu_ms_per_call_second": statistics.median(
            result.steady.load_cpu_ms_per_call_second for result in results
        ),
        "packets_sent": sum(result.packets.sent for result in results),
        "packets_lost": sum(result.packets.lost for result in results),
        "packets_damaged": sum(result.packets.damaged + result.packets.strayed for result in results),
        "late_sends": sum(result.packets.late_sends for result in results),
        "delay_ms": _medians([result.steady.delay_ms for result in results]),
        "jitter_ms": _medians([result.steady.jitter_ms for result in results]),
    }


def _medians(of_rounds: Sequence[Delays | None] | Sequence[Jitter | None]) -> dict[str, float] | None:
    heard = [dataclasses.asdict(of_round) for of_round in of_rounds if of_round is not None]
    return {name: statistics.median(one[name] for one in heard) for name in heard[0]} if heard else None


def ratio_to(floor: dict[str, Any], path: dict[str, Any]) -> float | None:
    """Return how many times the floor's CPU a path takes; None when the floor took none."""
    least = floor["cpu_ms_per_call_second"]
    return round(path["cpu_ms_per_call_second"] / least, 2) if least else None


def measurable() -> list[str]:
    """Return the names of the paths that can be measured here: rtpengine where it is installed, the ring if allowed."""
    needs = {"rtpengine": rtpengine.program() is not None, _RING: has_io_uring()}
    names = [name for name in PATHS if name not in _NAMED_ONLY]
    return [name for name in names if all(has for kind, has in needs.items() if name.startswith(kind))]


def srtp_share(document: dict[str, Any]) -> float | None:
    """Return what SRTP on both sides adds to a call, as a share of what the call costs without."""
    once, plain, secure = (
        float(document[name]["cpu_ms_per_call_second"]) for name in ("core", "core_twice", "core_twice_srtp")
    )
    return round((secure - plain) / once, 2) if once else None


def measure(*, calls: int, seconds: float, rounds: int, only: Sequence[str] = ()) -> dict[str, Any]:
    """Run the paths in turn, ``rounds`` times, and return the document that ``--json`` prints."""
    chosen = {name: command() for name, command in PATHS.items() if name in (only or measurable())}
    results: dict[str, list[PathResult]] = {name: [] for name in chosen}
    for turn in range(rounds):
        for name, command in chosen.items():
            tell(f"round {turn + 1} of {rounds}: {name}, {calls} calls")
            with MediaPath(command, calls) as path:
                results[name].append(path.run(seconds=seconds, is_recording=name.startswith("core")))
    document: dict[str, Any] = {name: summary(of_path) for name, of_path in results.items()}
    if _FLOOR in document:
        document["ratios"] = {name: ratio_to(document[_FLOOR], document[name]) for name in chosen if name != _FLOOR}
    if {"core", "core_twice", "core_twice_srtp"} <= set(document):
        document["srtp_share"] = srtp_share(document)
    about = {"calls": calls, "seconds": seconds, "rounds": rounds}
    return {**document, **about, **measured_here()}


def tell(line: str) -> None:
    """Show progress, to a person only."""
    if sys.stderr.isatty():
        print(line, file=sys.stderr)


def print_table(paths: dict[str, dict[str, Any]]) -> None:
    """Print one row per path."""
    heads = f"{'lost':>8} {'of':>10} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8} {'jitter':>8}"
    print(f"{'path':22} {'CPU ms/call-s':>14} {'with load':>10} {heads}")
    for name, figures in paths.items():
        delay = figures["delay_ms"] or {"p50": float("nan"), "p99": float("nan"), "max": float("nan")}
        added = figures["jitter_ms"] or {"mean": float("nan")}
        print(
            f"{name:22} {figures['cpu_ms_per_call_second']:14.3f}"
            f" {figures['cpu_ms_per_call_second'] + figures['load_cpu_ms_per_call_second']:10.3f}"
            f" {figures['packets_lost']:8}"
            f" {figures['packets_sent']:10} {delay['p50']:8.2f} {delay['p99']:8.2f} {delay['max']:8.2f}"
            f" {added['mean']:8.3f}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 1 failed with a reason."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.media", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=200, help="bridged pairs at the same time")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the steady state that is measured")
    parser.add_argument("--rounds", type=int, default=3, help="the figures are the median of this many runs")
    parser.add_argument("--only", nargs="+", choices=list(PATHS), default=[], help="these paths alone")
    parser.add_argument("--plot", type=Path, help="draw it, as PNG")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    if options.calls < 1 or options.seconds <= 0 or options.rounds < 1:
        parser.error("calls, seconds and rounds must be above 0")
    if not options.only and rtpengine.program() is None:
        print(rtpengine.INSTALL, file=sys.stderr)
    try:
        need_descriptors(_DESCRIPTORS_PER_CALL * options.calls + _DESCRIPTORS)
        document = measure(calls=options.calls, seconds=options.seconds, rounds=options.rounds, only=options.only)
    except (DescriptorsError, PathError) as error:
        print(error, file=sys.stderr)
        return 1
    paths = {name: document[name] for name in PATHS if name in document}
    if options.plot is not None:
        unit = f"CPU, ms for a call-second, {options.calls} calls"
        draw_bars({name: path["cpu_ms_per_call_second"] for name, path in paths.items()}, options.plot, unit=unit)
    if options.json:
        print(json.dumps(document, indent=2))
        return 0
    print_table(paths)
    for name, ratio in document.get("ratios", {}).items():
        print(f"{name} costs {ratio} times the bare loop that gathers")
    if document.get("srtp_share") is not None:
        print(f"SRTP on both sides adds {document['srtp_share']:.0%} to what a call costs in the core")
    return 0


if __name__ == "__main__":
    sys.exit(main())
