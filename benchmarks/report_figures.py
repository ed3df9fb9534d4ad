"""The figures of docs/capacity.md: which documents of benchmarks they are from, and what is calculated from code. Pure.

A figure has its unit, its range where there were several rounds or steps, and its source: a run of
`benchmarks.report_runs`, or a module of the product. What no document has is listed as not traced.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from audio.taps import ring_ticks
from audio.types import TapOptions
from audio.writer import WriterOptions
from benchmarks.scale import PACKET_BYTES, PACKETS_PER_S
from recorder.common.process_hardening import DESCRIPTORS_BESIDE, DESCRIPTORS_PER_CALL, locked_bytes

CODE = "code: "
"""Begins the source of a figure that is calculated."""
_TICKS_PER_S, _SIDES = 8000, 2
_CALL = "ms a call-second"

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A value and where it is from.

    Attributes:
        value: The median of what it was taken from.
        unit: Of the value.
        source: Name of a run, or `CODE` and a module.
        low: Least of the rounds or steps; None for one value.
        high: The most of them.
        of: What the range is of, such as ``5 rounds``; empty for one value.
    """

    value: float
    unit: str
    source: str
    low: float | None = None
    high: float | None = None
    of: str = ""


Read = Iterator[tuple[str, "Reading"]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a document says of a figure: its values, their unit, what several of them are of, and their median."""

    values: Sequence[float]
    unit: str
    of: str = ""
    median: float | None = None


def _one(value: float, unit: str) -> Reading:
    return Reading((value,), unit)


def _cost(name: str, path: Document) -> Read:
    """What a standing call costs, and how many fill a core."""
    rounds = path.get("rounds", [path["cpu_ms_per_call_second"]])
    yield f"{name}_ms", Reading(rounds, _CALL, "rounds")
    yield f"{name}_calls_a_core", _one(1000 / path["cpu_ms_per_call_second"], "calls")


def _growth(name: str, document: Document) -> Read:
    """How cost grows with calls; a short run has no line."""
    steps, line = document["steps"], document["lines"]["daemon"]
    if line is not None:
        yield f"{name}_more_ms", _one(line["per_call_ms"], _CALL)
        yield f"{name}_fixed_ms", _one(line["fixed_ms"], "ms a second")
        yield f"{name}_r_squared", _one(line["r_squared"], "R squared")
    yield f"{name}_least_calls", _one(steps[0]["calls"], "calls")
    yield f"{name}_most_calls", _one(steps[-1]["calls"], "calls")
    yield f"{name}_most_lost", _one(steps[-1]["packets_lost"], "packets")
    yield f"{name}_most_p99_ms", _one(steps[-1]["delay_ms"]["p99"], "ms")
    yield f"{name}_set_up_ms", Reading([step["setup_cpu_ms_per_call"] for step in steps], "ms a call", "steps")
    yield f"{name}_kb", Reading([step["per_call"]["resident_kb"] for step in steps], "kB a call", "steps")
    if (descriptors := steps[-1]["per_call"]["descriptors"]) is not None:
        yield f"{name}_descriptors", _one(descriptors, "a call")


def _kernel(document: Document) -> Read:
    yield from _growth("kernel", document)
    yield "stall_ms", _one(document["steps"][-1]["call_thread"]["longest_stall_ms"], "ms")


def _peers(document: Document) -> Read:
    yield "peers_calls", _one(document["calls"], "calls")
    yield from _cost("daemon", document["daemon"])
    yield from _cost("daemon_kernel", document["daemon_kernel"])
    for daemon in ("daemon", "daemon_kernel"):
        for peer in ("bare_gathering", "rtpengine"):
            in_rounds = _ratios(document, daemon, peer)
            yield f"{daemon}_to_{peer}", Reading(in_rounds, "times", "rounds", _ratio(document, daemon, peer))


def _ratio(document: Document, path: str, peer: str) -> float:
    """Ratio of the medians of two paths."""
    return float(document[path]["cpu_ms_per_call_second"] / document[peer]["cpu_ms_per_call_second"])


def _ratios(document: Document, path: str, peer: str) -> list[float]:
    """Ratios of two paths in each round, which they ran in turn."""
    pairs = zip(document[path]["rounds"], document[peer]["rounds"], strict=True)
    return [round(ours / theirs, 4) for ours, theirs in pairs]


def _srtp(document: Document) -> Read:
    plain, secure = (document[name]["cpu_ms_per_call_second"] for name in ("core_twice", "core_twice_srtp"))
    yield "srtp_ms", _one(secure - plain, _CALL)
    yield "srtp_share", _one(100 * document["srtp_share"], "% of the core's cost")


def _set_ups(document: Document) -> Read:
    steps = document["steps"]
    yield "set_up_ms", Reading([step["cpu_ms_per_call"] for step in steps], "ms a call", "rates")
    yield "set_up_rate", _one(document["highest_without_failure"] or 0, "calls a second")
    first = steps[0]
    cores = first["rate"] * (first["cpu_s"] + first["peers_cpu_s"]) / first["calls"]
    yield "set_up_first_rate", _one(first["rate"], "calls a second")
    yield "set_up_cores", _one(cores, "cores, load included")


def _set_ups_end(document: Document) -> Read:
    if document["first_failure"] is not None:
        last = document["steps"][-1]
        yield "failing_rate", _one(document["first_failure"], "calls a second")
        yield "failing_calls", _one(last["failed_calls"], "calls")
        yield "failing_of", _one(last["calls"], "calls")


def _stalls(document: Document) -> Read:
    yield "stalls_calls", _one(document["calls"], "calls")
    yield "hung_up_calls", _one(document["hung_up"], "calls")
    for name, phase in document["phases"].items():
        yield f"iteration_{name}_ms", _one(phase["longest_iteration_ms"], "ms of CPU")
        yield f"health_{name}_ms", _one(phase["slowest_health_ms"], "ms")
    phases = document["phases"].values()
    passes = [max(phase["longest_full_ms"], phase["longest_short_ms"]) for phase in phases]
    yield "pass_ms", _one(max(passes), "ms of CPU")


_THREADS = {"core": 1, "core_2_threads": 2, "core_4_threads": 4}


def _threads(document: Document) -> Read:
    yield "threads_calls", _one(document["calls"], "calls")
    for path, count in _THREADS.items():
        yield f"threads_{count}_ms", _one(document[path]["cpu_ms_per_call_second"], _CALL)
        yield f"threads_{count}_p99_ms", _one(document[path]["delay_ms"]["p99"], "ms")


def _beside(document: Document) -> Read:
    for work, added in document["added"].items():
        yield f"{work}_added_ms", _one(added["p99_9_ms"], "ms")


def _nodes(document: Document) -> Read:
    yield "stored_kb", _one(document["stored_bytes_per_call_second"] / 1000, "kB a call-second")
    yield "stored_mb_an_hour", _one(document["stored_bytes_per_call_second"] * 3600 / 1e6, "MB a call-hour")


def _hour(document: Document) -> Read:
    if document["seconds"] >= 3600:
        yield "hour_kb", _one(document["grown_kb_per_call_hour"], "kB a call-hour")


_READERS: dict[str, Callable[[Document], Read]] = {
    "sockets": lambda document: _growth("sockets", document),
    "kernel": _kernel,
    "peers": _peers,
    "srtp": _srtp,
    "set-ups": _set_ups,
    "set-ups-end": _set_ups_end,
    "stalls": _stalls,
    "threads": _threads,
    "beside": _beside,
    "nodes": _nodes,
    "hour": _hour,
}


def measured(run: str, document: Document) -> dict[str, Figure]:
    """Return the figures of a run's document by name.

    Raises:
        KeyError, TypeError: The document is not one of that benchmark.
    """
    return {name: _figure(run, reading) for name, reading in _READERS[run](document)}


def _figure(run: str, reading: Reading) -> Figure:
    values = [float(value) for value in reading.values]
    median = statistics.median(values) if reading.median is None else reading.median
    one = Figure(value=round(median, 4), unit=reading.unit, source=run)
    return (
        one if len(values) == 1 else replace(one, low=min(values), high=max(values), of=f"{len(values)} {reading.of}")
    )


def calculated() -> dict[str, Figure]:
    """Return the figures that follow from the product's code, by name."""
    look_back_s = TapOptions().look_back_s
    ring = _SIDES * ring_ticks(round(look_back_s * _TICKS_PER_S))
    limits, none = "recorder.common.process_hardening", locked_bytes(0, look_back_s, threads=1)
    found = {
        "descriptors": (DESCRIPTORS_PER_CALL, "a call", limits),
        "descriptors_beside": (DESCRIPTORS_BESIDE, "", limits),
        "locked_kb": ((locked_bytes(1, look_back_s, threads=1) - none) / 1000, "kB a call", limits),
        "locked_beside_mb": (none / 1e6, "MB", limits),
        "look_back_s": (look_back_s, "s", "audio.types"),
        "look_back_kb": (_SIDES * _TICKS_PER_S / 1000, "kB for each second", "audio.taps"),
        "ring_kb": (ring / 1000, "kB a call", "audio.taps"),
        "packets": (PACKETS_PER_S, "packets a second", "benchmarks.scale"),
        "network_kb": (PACKETS_PER_S * PACKET_BYTES / 1000, "kB a second", "benchmarks.scale"),
        "sync_every_s": (WriterOptions().sync_every_s, "s", "audio.writer"),
        "syncs": (500 / WriterOptions().sync_every_s, "a second for 500 calls", "audio.writer"),
    }
    return {
        name: Figure(value=round(float(value), 4), unit=unit, source=CODE + module)
        for name, (value, unit, module) in found.items()
    }


def steps(document: Document) -> list[dict[str, Any]]:
    """Return the series of a run by number of calls: a row of its table and a point of its plots each."""
    return [
        {
            "calls": step["calls"],
            "cpu_ms": step["cpu_ms_per_call_second"],
            "bare_cpu_ms": step["bare"]["cpu_ms_per_call_second"],
            "ratio": step["ratio"],
            "lost": step["packets_lost"],
            "sent": step["packets_sent"],
            "delay_ms": step["delay_ms"],
            "bare_delay_ms": step["bare"]["delay_ms"],
            "stall_ms": step.get("call_thread", {}).get("longest_stall_ms"),
            "kb": step["per_call"]["resident_kb"],
        }
        for step in sorted(document["steps"], key=lambda step: int(step["calls"]))
    ]


def paths(document: Document) -> list[dict[str, Any]]:
    """Return what a call costs in each path of the run with peers: a row of its table and a bar each."""
    names = [name for name in ("bare_gathering", "daemon", "daemon_kernel", "rtpengine") if name in document]
    return [
        {
            "path": name,
            "cpu_ms": document[name]["cpu_ms_per_call_second"],
            "rounds": document[name]["rounds"],
            "ratios": {peer: round(_ratio(document, name, peer), 4) for peer in ("bare_gathering", "rtpengine")},
            "lost": document[name]["packets_lost"],
            "sent": document[name]["packets_sent"],
            "delay_ms": document[name]["delay_ms"],
        }
        for name in names
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Untraced:
    """A figure that was written down once and that no document has.

    Attributes:
        says: The figure, as it was written.
        origin: Where it was first written down.
    """

    says: str
    origin: str


UNTRACED = (
    Untraced(
        says="With `LimitNICE=-10` and two busy neighbours on two cores p99 of the delay fell from 25 to 8 ms.",
        origin="[ADR 9](adr/0009-what-did-not-help.md), commit `e243a12b`",
    ),
)


def as_json(figures: Mapping[str, Figure]) -> dict[str, dict[str, Any]]:
    """Return figures as the report has them: without what is empty."""
    return {
        name: {key: value for key, value in asdict(figure).items() if value not in (None, "")}
        for name, figure in figures.items()
    }
