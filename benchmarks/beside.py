"""What do other things that the recorder does add to the delay of calls that stand?

Metric: the delay of packets, p99.9, while N calls stand and in turn nothing else happens (``nothing``), Python's
collector looks through the whole daemon each second (``collection``), pages are searched one after another in an index
of so many rows (``search``), and an hour-long call is exported (``export``); what each adds to ``nothing`` (goal: at
most 5 ms). Search and export run in processes of their own, as the console does, on the same cores, with its priority.
Command: ``python -m benchmarks.beside --calls 500 --rows 5000000 --index FILE --seconds 10 --rounds 3 [--json]``. The
index is filled if there is none and stays; 5,000,000 rows take 15 GB and 13 minutes. Without ``--index`` it is made
in the folder for temporary files and removed.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.home import HomeError
from benchmarks.index import fill
from benchmarks.loaded_recorder import NOTICE_S, need_descriptors_for
from benchmarks.machine import measured_here
from benchmarks.media import print_table, summary, tell
from benchmarks.paths import PathResult
from benchmarks.ports import PortsError, media_ports
from benchmarks.standing import StandingCalls
from benchmarks.streams import DescriptorsError
from storage.database import sqlite_url
from storage.encoding import CopyFormat
from storage.errors import StorageError
from storage.index import Index
from storage.types import Search

PHASES = ("nothing", "collection", "search", "export")
GOAL_MS = 5.0
BYTES_PER_ROW = 4000
_DAEMON = (sys.executable, "-m", "benchmarks.collecting")
_COLLECTED = re.compile(r"^collected: ([\d.]+) ms$", re.MULTILINE)
_COLLECT_EVERY_S, _WORK_ENDS_S = 1.0, 60.0

Done = list[dict[str, Any]]


class NoRoomError(Exception):
    """The disk has no room for the index."""


@contextmanager
def _collecting(calls: StandingCalls, done: Done) -> Iterator[None]:
    """Have the daemon look through everything each second."""
    is_over, before = threading.Event(), len(_COLLECTED.findall(calls.home.said))

    def ask() -> None:
        while not is_over.wait(_COLLECT_EVERY_S):
            calls.home.tell(b"collect")

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield
    finally:
        is_over.set()
        asking.join()
    took_ms = [float(found) for found in _COLLECTED.findall(calls.home.said)[before:]]
    done.append({"done": len(took_ms), "longest_step_ms": max(took_ms, default=None)})


@contextmanager
def _working(words: Sequence[str], done: Done) -> Iterator[None]:
    """Have another process work; see `benchmarks.beside_work`."""
    command = [sys.executable, "-m", "benchmarks.beside_work", *words]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise HomeError(f"`{' '.join(words)}` could not be begun; its words are on stderr")
        try:
            yield
        finally:
            process.stdin.close()
        said = process.stdout.read()
        if process.wait(_WORK_ENDS_S) != 0:
            raise HomeError(f"`{' '.join(words)}` failed; its words are on stderr")
        done.append(json.loads(said))


@contextmanager
def _nothing(done: Done) -> Iterator[None]:
    yield
    done.append({"done": 0, "longest_step_ms": None})


@contextmanager
def index_of(rows: int, path: Path | None) -> Iterator[str]:
    """Give the URL of an index of so many rows; one without a path is removed at the end.

    Raises:
        NoRoomError: It would not fit.
    """
    folder = Path(tempfile.mkdtemp(prefix="recorder-beside-")) if path is None else None
    file = path or (folder or Path()) / "index.sqlite"
    try:
        with closing(Index(sqlite_url(file))) as index:
            is_empty = index.count(Search(), at_most=1) == 0
        if is_empty:
            if shutil.disk_usage(file.parent).free < BYTES_PER_ROW * rows:
                raise NoRoomError(f"{file.parent} has no room for {rows} rows; name another file by --index")
            tell(f"an index of {rows:,} rows is filled")
            fill(sqlite_url(file), rows, lambda _line: None)
        yield sqlite_url(file)
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def measure(
    *, calls: int, seconds: float, rounds: int, rate: float, rows: int, url: str, export_s: int, form: CopyFormat
) -> dict[str, Any]:
    """Run the phases in turn while the calls stand, and return the document.

    Raises:
        HomeError: The recorder or what runs beside it failed.
    """
    results: dict[str, list[PathResult]] = {phase: [] for phase in PHASES}
    works: dict[str, Done] = {phase: [] for phase in PHASES}
    tell(f"{calls} calls are set up")
    with StandingCalls(calls, rate=rate, media_ports=media_ports(calls), daemon=_DAEMON) as standing:
        begin: dict[str, Callable[[], AbstractContextManager[None]]] = {
            "nothing": lambda: _nothing(works["nothing"]),
            "collection": lambda: _collecting(standing, works["collection"]),
            "search": lambda: _working(["search", url, str(rows)], works["search"]),
            "export": lambda: _working(["export", str(export_s), str(form)], works["export"]),
        }
        for turn in range(rounds):
            for phase in PHASES:
                tell(f"round {turn + 1} of {rounds}: {phase}")
                with begin[phase]():
                    results[phase].append(standing.run(seconds=seconds))
    phases = {phase: {**summary(of_phase), "work": works[phase]} for phase, of_phase in results.items()}
    about = {"calls": calls, "seconds": seconds, "rounds": rounds, "rows": rows, "export_s": export_s}
    return {"phases": phases, "added": added(phases), **about, "format": str(form), "notice_s": NOTICE_S}


def added(phases: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return what each phase adds to the p99.9 of ``nothing``, ms, and whether that is within the goal."""
    least = phases["nothing"]["delay_ms"]["p99_9"]
    found = {name: round(phase["delay_ms"]["p99_9"] - least, 2) for name, phase in phases.items() if name != "nothing"}
    return {name: {"p99_9_ms": ms, "at_most": GOAL_MS, "is_held": ms <= GOAL_MS} for name, ms in found.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 measured and no packet lost or damaged, 1 otherwise, with a reason."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beside", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--calls", type=int, default=500, help="calls at the same time")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of each phase that is measured")
    parser.add_argument("--rounds", type=int, default=3, help="the figures are the median of this many runs")
    parser.add_argument("--rate", type=float, default=40.0, help="calls placed a second")
    parser.add_argument("--rows", type=int, default=100_000, help="calls in the index that is searched")
    parser.add_argument("--index", type=Path, help="SQLite file with so many rows; filled if there is none, and stays")
    parser.add_argument("--export-s", type=int, default=3600, help="length of the call that is exported")
    parser.add_argument(
        "--format", type=CopyFormat, default=CopyFormat.OPUS, choices=list(CopyFormat), help="of the copy"
    )
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    if min(options.calls, options.rounds, options.export_s) < 1 or min(options.seconds, options.rate) <= 0:
        parser.error("calls, seconds, rounds, rate and export-s must be above 0")
    if options.rows < 1000:
        parser.error("rows must be at least 1000")
    try:
        need_descriptors_for(options.calls, per_call=10)
        with index_of(options.rows, options.index) as url:
            document = measure(
                calls=options.calls,
                seconds=options.seconds,
                rounds=options.rounds,
                rate=options.rate,
                rows=options.rows,
                url=url,
                export_s=options.export_s,
                form=options.format,
            )
    except (DescriptorsError, HomeError, NoRoomError, PortsError, StorageError) as error:
        print(error, file=sys.stderr)
        return 1
    document = {**document, **measured_here()}
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        print_table(document["phases"])
        for name, one in document["added"].items():
            print(f"{name} adds {one['p99_9_ms']} ms to p99.9; goal: at most {one['at_most']}")
    phases = document["phases"].values()
    return 0 if all(phase["packets_lost"] == phase["packets_damaged"] == 0 for phase in phases) else 1


if __name__ == "__main__":
    sys.exit(main())
