"""The suite as a program: a full run, its mutations, and what is printed."""

import argparse
import json
import sys
import time
from pathlib import Path

from benchmarks.packet_path import PacketPath
from tests.helpers import recorder_home
from tests.leak import report
from tests.leak.plan import matrix, two_matrices, without_console
from tests.leak.result import Result
from tests.leak.run import Run
from tests.leak.server_sinks import SERVER_SINKS


def say(text: str) -> None:
    """Print a line of progress."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stderr.flush()


def run_calls(
    seed: int,
    calls: int,
    *,
    slots: int,
    only: list[int] | None = None,
    is_short: bool = False,
    media: PacketPath = PacketPath.EPOLL,
    also_in_kernel: bool = False,
    has_database_server: bool = False,
    has_object_store: bool = False,
    has_front: bool = False,
) -> Result:
    """Make the calls of a run, or some of them, and search everything; see `Run` for the parts.

    With ``also_in_kernel``, for short runs, as many calls again are made while the kernel relays what it may: those of
    the next seed.
    """
    began_s = time.monotonic()
    plans, later = two_matrices(seed, calls) if also_in_kernel else (matrix(seed, calls, is_short=is_short), [])
    if only:
        plans = [plan for plan in plans if plan.number in only]
    with Run(
        plans, later=later, seed=seed, slots=min(slots, len(plans)), say=say, media=media,
        has_database_server=has_database_server, has_object_store=has_object_store, has_front=has_front,
    ) as run:  # fmt: skip
        run.start()
        say(f"the recorder is up; {len(run.plans)} calls, seed {seed}, {run.slots} at a time")
        run.make_calls()
        run.judge_calls()
        run.take_away()
        run.pages()
        run.sinks.search()
        run.sinks.check_places()
        run.check_exports(2 if is_short else 16)
        run.sinks.prove()
        run.sinks.prove_exports()
        run.result.faults += edges_beyond(run.result)
    run.result.took_s = time.monotonic() - began_s
    return run.result


def run_with_server(seed: int, cluster: Path, *, slots: int) -> Result:
    """Make a call of every trigger that needs no console, with the index in PostgreSQL, and search what that keeps.

    The server is a copy of a cluster.
    """
    plans = without_console(seed)
    names = tuple(sink.name for sink in SERVER_SINKS)
    with Run(
        plans, seed=seed, slots=min(slots, len(plans)), say=say, has_receivers=False, has_database_server=True,
        cluster=cluster,
    ) as run:  # fmt: skip
        run.start(has_console=False)
        run.make_calls()
        run.judge_calls()
        run.sinks.search(*names)
        run.sinks.check_places()
        run.sinks.prove(*names)
        run.result.faults += edges_beyond(run.result)
    return run.result


def edges_beyond(result: Result) -> list[str]:
    """Return a fault for each edge that lies too far from where it is due."""
    return [
        f"{verdict.name}: an edge ({kind}) lies {1000 * distance_s:+.1f} ms from where it is due"
        for verdict in result.verdicts
        for kind, distance_s in verdict.edges
        if abs(distance_s) > report.edge_limit_s(kind)
    ]


def main(options: argparse.Namespace, seed: int) -> int:
    """Run what was asked for; returns the exit status."""
    recorder_home.ROOT = options.source
    is_good = True
    if options.mutations != "only" and not options.mutation:
        result = run_calls(
            seed, options.calls, slots=options.slots, only=options.only, media=options.media,
            has_database_server=options.servers, has_object_store=options.servers, has_front=options.servers,
        )  # fmt: skip
        print(report.table(result))  # noqa: T201 - the result of the program
        if options.json:
            options.json.write_text(report.document(result))
        is_good = result.is_clean
    if (options.mutations != "none" and not options.only) or options.mutation:
        from tests.leak import mutations  # noqa: PLC0415

        found = mutations.run_all(options.source, names=options.mutation or (), say=say)
        print(mutations.table(found))  # noqa: T201
        if options.json:
            said = json.loads(options.json.read_text()) if options.json.exists() else {}
            options.json.write_text(json.dumps({**said, "mutations": found}, indent=1))
        is_good = is_good and all(one["is_found"] for one in found)
    return 0 if is_good else 1
