"""What a run of the leak suite came to, as a table and as one JSON document."""

import json
from collections import defaultdict
from typing import Any

from tests.leak.judge import (
    BUSY,
    BY_ARRIVAL,
    DOUBT_S,
    EDGE_S,
    GUARD_S,
    LONG_PACKETS,
    NEW_CLOCK,
    STAMP_S,
    UNHEARD,
    percentiles,
)
from tests.leak.plan import IMPOSSIBLE, MOMENTS, TRIGGERS
from tests.leak.result import Result

_SHORT = {
    "plain": "plain", "late": "late", "too_late": ">4s",
    "step_forward": "step+", "step_backward": "step-", "step_before": "step0",
    "new_source": "ssrc",
    "out_of_order": "order", "duplicated": "dup", "loss": "loss", "ptime_10": "10ms", "ptime_30": "30ms", "gap": "gap",
    "re_invite": "reinv", "held": "held", "early": "early", "hang_up": "bye", "stalled": "stall", "frozen": "froz",
    "killed": "kill", "transferred": "refer", "passed_twice": "twice", "stray": "stray", "stale": "stale",
}  # fmt: skip


TOO_LATE_S = 0.5
"""When the suite's own voices are sent so much later than they are due, calls fail for that alone."""
LATE_S = 0.6
"""What a late arrival may take along: the moments delay by up to half a second (`tests.leak.moments`)."""


def edges_of(result: Result) -> dict[str, list[float]]:
    """Return the distances of all edges, seconds, by kind."""
    edges: dict[str, list[float]] = defaultdict(list)
    for verdict in result.verdicts:
        for kind, distance_s in verdict.edges:
            edges[kind].append(distance_s)
    return dict(edges)


def edge_limit_s(kind: str) -> float:
    """Return how far an edge of a kind may lie from where it is due."""
    longer_s = {LONG_PACKETS: 0.010, NEW_CLOCK: GUARD_S, BY_ARRIVAL: LATE_S, UNHEARD: DOUBT_S}
    if kind.endswith(BUSY):
        return float("inf")
    return EDGE_S + STAMP_S + sum(s for manner, s in longer_s.items() if kind.endswith(manner))


def as_json(result: Result) -> dict[str, Any]:
    """Return the result as JSON-able values."""
    return {
        "seed": result.seed,
        "calls": sum(result.cells.values()),
        "cells": [{"trigger": t, "moment": m, "calls": n} for (t, m), n in sorted(result.cells.items())],
        "least_in_a_cell": min(result.cells.values(), default=0),
        "secret_samples": round(sum(v.owed_s for v in result.verdicts) * 8000),
        "ordinary_samples_kept": round(sum(v.kept_s for v in result.verdicts) * 8000),
        "excused_samples": round(sum(v.excused_s for v in result.verdicts) * 8000),
        "edges_ms": {
            kind: {"count": len(v), **_in_ms(v)} for kind, v in edges_of(result).items()
        },
        "edges_busy": _busy(result),
        "sinks": {
            name: {"pieces": s.pieces, "bytes": s.bytes, "is_proven": s.is_proven}
            for name, s in result.searched.items()
        },
        "watched_by": result.how_watched,
        "files_written": result.written,
        "latest_ms": round(result.latest_s * 1000, 1),
        "acts_unconfirmed": result.unconfirmed,
        "leaks": [
            {"call": name, "sink": k.sink, "what": k.what, "offset": k.offset, "length": k.length}
            for name, k in result.all_leaks
        ],
        "faults": result.all_faults,
        "took_s": round(result.took_s, 1),
    }  # fmt: skip


def _busy(result: Result) -> int:
    """Return how many edges had more taken on a busy machine, and are not held to their limit."""
    return sum(len(v) for kind, v in edges_of(result).items() if kind.endswith(BUSY))


def _in_ms(values_s: list[float]) -> dict[str, float]:
    return dict(zip(("p50", "p99", "max"), (round(1000 * value, 1) for value in percentiles(values_s)), strict=True))


def table(result: Result) -> str:
    """Return the result for a person."""
    lines = ["", f"{'calls':18}" + "".join(f"{_SHORT[m]:>6}" for m in MOMENTS)]
    for trigger in TRIGGERS:
        cells = ["-" if (trigger, m) in IMPOSSIBLE else str(result.cells[trigger, m]) for m in MOMENTS]
        lines.append(f"{trigger:18}" + "".join(f"{cell:>6}" for cell in cells))
    lines += ["", f"{'sink':48}{'pieces':>8}{'bytes':>16}  proven"]
    for name, searched in result.searched.items():
        proven = {True: "yes", False: "NO", None: "-"}[searched.is_proven]
        lines.append(f"{name:48}{searched.pieces:>8}{searched.bytes:>16,}  {proven}")
    lines += ["", f"{'edge, ms':44}{'count':>8}{'p50':>8}{'p99':>8}{'max':>8}{'limit':>8}"]
    for kind, values in sorted(edges_of(result).items()):
        p50, p99, most = (1000 * value for value in percentiles(values))
        lines.append(f"{kind:44}{len(values):>8}{p50:>8.1f}{p99:>8.1f}{most:>8.1f}{1000 * edge_limit_s(kind):>8.0f}")
    said = as_json(result)
    lines += [
        "",
        f"{said['calls']} calls, seed {result.seed}, {result.took_s:.0f} s; writes seen by {result.how_watched}: "
        f"{result.written} files; voices at most {said['latest_ms']:.0f} ms late",
        f"{said['secret_samples']:,} secret samples sent, {said['ordinary_samples_kept']:,} ordinary ones found, "
        f"{said['excused_samples']:,} said between an act and its acknowledgement",
        f"{said['edges_busy']} of {sum(len(v) for v in edges_of(result).values())} edges had more taken near a stall "
        "of the suite's own voices: not held to their limit",
        f"{result.unconfirmed} acts were not confirmed in time, as the recorder got no CPU: nothing is judged between "
        "such an act and its effect",
        f"leaks: {len(result.all_leaks)}   faults: {len(result.all_faults)}",
    ]
    if result.latest_s > TOO_LATE_S:
        lines.append("The machine was too busy for this run: what failed in it is to be tried again by itself.")
    lines += [
        f"LEAK  {name}\n      {k.sink} at {k.offset}: {k.what}, {k.length} in a row"
        for name, k in result.all_leaks[:40]
    ]
    lines += [f"FAULT {fault}" for fault in result.all_faults[:40]]
    return "\n".join(lines)


def document(result: Result) -> str:
    """Return the result as one JSON document."""
    return json.dumps(as_json(result), indent=1)
