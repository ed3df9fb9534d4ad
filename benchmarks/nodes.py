"""What does a site of two recorders with one PostgreSQL cost, and is each node as dear as one that is alone?

Metric: CPU ms per call-second of each daemon in the steady state; CPU ms per call of set-up and end, of the daemons and
of PostgreSQL apart; bytes of a recording for each call-second; bytes of the database for each call; calls that failed.
First a recorder alone with half of the calls, on SQLite; then two at once, each with a home of its own and half of the
calls, with one database of a server of its own. So both are measured in the same conditions.
Command: ``python -m benchmarks.nodes --calls 200 --seconds 20 [--rate 20] [--json]``; needs Debian's postgresql.
`benchmarks.scale` compares its document with the arithmetic.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.home import HomeError
from benchmarks.loaded_recorder import JOINED_S, LoadedRecorder, loaded_recorder, need_descriptors_for
from benchmarks.machine import cpu_ms, cpu_of_server_ms, measured_here
from benchmarks.outcomes import outcomes_of
from benchmarks.paths import await_steady
from benchmarks.placed import PlacedCalls
from benchmarks.ports import PortsError
from benchmarks.postgres import DURABLE, PostgresServer
from benchmarks.streams import DescriptorsError

_NODES = 2
_SEALED_S = 60.0
_FAULTS = ("failed_calls", "never_ended")


def measure(*, calls: int, seconds: float, rate: float) -> dict[str, Any]:
    """Run the calls, half of them through each node, and return the document.

    Args:
        calls: At the same time, on both nodes together.
        seconds: Length of the steady state.
        rate: Calls placed a second.

    Raises:
        HomeError: A recorder could not be run.
    """
    return {
        "nodes": _NODES,
        "calls": calls,
        "rate": rate,
        "seconds": seconds,
        "alone": _alone(calls // _NODES, seconds=seconds, rate=rate),
        **_together(calls // _NODES, seconds=seconds, rate=rate),
    }


def _alone(calls: int, *, seconds: float, rate: float) -> dict[str, Any]:
    with ExitStack() as stack:
        return _Run([stack.enter_context(loaded_recorder(PlacedCalls(calls)))]).through(seconds=seconds, rate=rate)


def _together(calls: int, *, seconds: float, rate: float) -> dict[str, Any]:
    with ExitStack() as stack:
        server = PostgresServer(settings=DURABLE)
        stack.callback(server.close)
        url = server.new_database()
        edits = [('index_url = "off"', f'index_url = "{url}"')]
        run = _Run([stack.enter_context(loaded_recorder(PlacedCalls(calls), edits=edits)) for _ in range(_NODES)])
        size, database_ms = _size(url), cpu_of_server_ms(server.pid)
        found = run.through(seconds=seconds, rate=rate)
        return {
            **found,
            "database_cpu_ms_per_call": round((cpu_of_server_ms(server.pid) - database_ms) / run.calls, 2),
            "database_bytes_per_call": round((_size(url) - size) / run.calls),
        }


class _Run:
    """Calls through some nodes at once.

    Args:
        nodes: They run, and no call has begun.
    """

    def __init__(self, nodes: Sequence[LoadedRecorder]) -> None:
        self._nodes = nodes
        self.calls = sum(node.placed.count for node in nodes)

    def through(self, *, seconds: float, rate: float) -> dict[str, Any]:
        """Place all calls, measure while they stand, end them, and return what was found."""
        idle_ms = self._cpu()
        for node in self._nodes:
            node.placed.place(node.sip, rate=rate)
        joined = [node.placed.wait_joined(JOINED_S) for node in self._nodes]
        joined_ms, joined_at_s = self._cpu(), time.monotonic()
        await_steady()
        cost = self._steady(joined, seconds)
        overlap_s = [sum(joined_at_s - at for at in node.placed.joined_at_s.values()) for node in self._nodes]
        set_up = [
            (after - before - each * overlap) / node.placed.count
            for before, after, each, overlap, node in zip(idle_ms, joined_ms, cost, overlap_s, self._nodes, strict=True)
        ]
        return {
            "cpu_ms_per_call_second": [round(one, 4) for one in cost],
            "setup_cpu_ms_per_call": [round(one, 2) for one in set_up],
            **self._ended(),
        }

    def _steady(self, joined: Sequence[int], seconds: float) -> list[float]:
        """Return what each node uses for a call-second, ms of CPU."""
        before, began_s = self._cpu(), time.monotonic()
        time.sleep(seconds)
        after, took_s = self._cpu(), time.monotonic() - began_s
        return [
            (later - earlier) / took_s / max(count, 1)
            for earlier, later, count in zip(before, after, joined, strict=True)
        ]

    def _ended(self) -> dict[str, Any]:
        standing = sum(node.placed.standing() for node in self._nodes)
        for node in self._nodes:
            node.placed.cease()
        stuck = sum(node.placed.hang_up() for node in self._nodes)
        rows = self._nodes[0].home.wait_outcomes(self.calls, _SEALED_S)
        outcomes = outcomes_of(rows)
        recorded_s = sum(float(row["recorded_s"]) for row in rows)
        stored = sum(_stored(node.home.root / "recordings") for node in self._nodes)
        return {
            "stored_bytes_per_call_second": round(stored / max(recorded_s, 1.0)),
            "failed_calls": self.calls - min(standing, outcomes.get("recorded", 0)),
            "never_ended": stuck,
            "outcomes": outcomes,
        }

    def _cpu(self) -> list[float]:
        return [cpu_ms(node.home.pid) for node in self._nodes]


def _size(url: str) -> int:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert found is not None
    return int(found[0])


def _stored(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.rec"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 measured, 1 a call failed or a sentence says why it could not be run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nodes", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=200, help="calls at the same time, on both nodes together")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of the steady state that is measured")
    parser.add_argument("--rate", type=float, default=20.0, help="calls placed a second")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    if options.calls < _NODES or options.seconds <= 0 or options.rate <= 0:
        parser.error(f"calls must be at least {_NODES}, seconds and rate above 0")
    try:
        need_descriptors_for(options.calls)
        document = measure(calls=options.calls, seconds=options.seconds, rate=options.rate) | measured_here()
    except (DescriptorsError, HomeError, PortsError) as error:
        print(error, file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        for name, value in document.items():
            print(f"{name}: {value}")
    return 0 if all(not part[name] for part in (document, document["alone"]) for name in _FAULTS) else 1


if __name__ == "__main__":
    sys.exit(main())
