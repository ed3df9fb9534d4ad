"""How fast does the retention sweep delete recordings, and does its memory stay flat?

Metric: recordings deleted a second, the whole sweep counted - catching up, planning, tombstones, keys, containers,
rows, all of it durable; resident memory of the sweeping process at 10 % and at the end.
Command: ``python -m benchmarks.sweep --recordings 100000 --json [--postgres]``; needs about 12 kB of disk a recording,
and for PostgreSQL Debian's package (a server of its own is started).

The home is one of a council of 20,000 recordings a day by 200 operators: real containers of a tenth of a second, each
with its sealed key and its row. As many as ``--kept`` says are not due and must stay.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.machine import holdings, measured_here
from benchmarks.postgres import DURABLE, PostgresServer
from benchmarks.sweep_recordings import A_DAY, OPERATORS, make, prepare
from recorder.common.home import Home
from recorder.config.settings import Config, Storage
from recorder.retention.sweep import Sweeper
from recorder.retention.sweep_consent import Consent
from recorder.retention.sweep_process import opened_sweeper
from recorder.retention.sweep_safeguards import Stop
from storage.database import POSTGRESQL, SQLITE, sqlite_url
from storage.tombstones import Deletions

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)
GOAL_PER_S = 2000
_BYTES = 12_000
_SAMPLES = 100
Say = Callable[[str], None]


class Memory:
    """Samples of our own resident memory while a sweep goes on."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.samples_kb: dict[int, int] = {}

    def __call__(self, done: float, total: float) -> None:
        """Take a sample at each percent."""
        percent = int(_SAMPLES * done / max(total, 1))
        if percent not in self.samples_kb:
            self.samples_kb[percent] = _resident_kb()
            self._say(f"{percent} % swept")

    def at(self, percent: int) -> int:
        """Return the first sample at a share or above it, kB."""
        return next((kb for at, kb in sorted(self.samples_kb.items()) if at >= percent), 0)


def _resident_kb() -> int:
    return holdings(os.getpid()).resident_kb


class _Agreed:
    """Two people who let everything go that is due."""

    def take(self, what: Stop, *, due: int, now: datetime) -> Consent | None:
        return Consent(id="00000000", what=what, due=due, first_by="lena", first_at=now, second_by="dora")


def measure(home: Home, url: str, due: int, kept: int, say: Say) -> dict[str, Any]:
    """Make recordings in a home and sweep it."""
    made_s = _timed(lambda: fill(home, url, due, kept, say))
    return {"made_s": round(made_s, 1), **sweep(home, url, due, kept, say)}


def fill(home: Home, url: str, due: int, kept: int, say: Say) -> None:
    """Make recordings in a home, with keys and rows."""
    count = due + kept
    newest = NOW - timedelta(days=Config().retention.retention_days) + kept * timedelta(days=1) / A_DAY
    prepare(home.root, newest - count * timedelta(days=1) / A_DAY, newest)
    for done in make(home.root, url, newest, count):
        say(f"{done:,} of {count:,} recordings are made")


def sweep(home: Home, url: str, due: int, kept: int, say: Say) -> dict[str, Any]:
    """Sweep a home that was filled."""
    with opened_sweeper(home, Config(storage=Storage(index_url=url)), now=lambda: NOW) as sweeper:
        planned_s = _timed(sweeper.plan)
        before_kb, memory = _resident_kb(), Memory(say)
        swept_s = _timed(lambda: replace(sweeper, consents=_Agreed()).run(progress=memory))
        counts = dict(sweeper.file.load().counts)
        left = _left(home, sweeper)
        again_s = _timed(sweeper.run)
    return {
        "dry_run_s": round(planned_s, 2), "swept_s": round(swept_s, 2),
        "per_second": round(due / swept_s), "again_s": round(again_s, 2), "counts": counts, "left": left,
        "is_as_it_should_be": counts["recordings"] == due and left == dict.fromkeys(left, kept) | {"tombstones": due},
        "resident_kb": {
            "before": before_kb, "at_10_percent": memory.at(10), "at_50_percent": memory.at(50),
            "at_the_end": memory.at(_SAMPLES), "most": max(memory.samples_kb.values()),
        },
    }  # fmt: skip


def _left(home: Home, sweeper: Sweeper) -> dict[str, int]:
    deletions: Deletions = sweeper.shredder.deletions
    return {
        "containers": sum(1 for _ in home.recordings.glob("*/*/*/*/*")),
        "keys": sum(1 for _ in home.root.glob("keys/sealed/*/*")),
        "rows": sweeper.calls.count_recorded(),
        "tombstones": deletions.count_before(NOW + timedelta(days=1)),
    }


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@contextmanager
def _database(engine: str, folder: Path) -> Iterator[str]:
    if engine == SQLITE:
        yield sqlite_url(folder / "home" / "index.sqlite")
        return
    server = PostgresServer(folder=folder, settings=DURABLE)
    try:
        yield server.new_database()
    finally:
        server.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 1 no room or something is not as it should be, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sweep", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--recordings", type=int, default=10_000, help="that are due")
    parser.add_argument("--kept", type=int, help="that are not; default a tenth as many")
    parser.add_argument("--postgres", action="store_true", help="the index is in PostgreSQL, not in SQLite")
    parser.add_argument("--folder", type=Path, help="where there is room; default the folder for temporary files")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    kept = options.recordings // 10 if options.kept is None else options.kept
    if options.recordings < 1 or kept < 0:
        parser.error("there must be at least one recording that is due, and none less than none that is kept")
    is_shown = sys.stderr.isatty()

    def say(what: str) -> None:
        if is_shown:
            print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)

    engine = POSTGRESQL if options.postgres else SQLITE
    folder = Path(tempfile.mkdtemp(prefix="recorder-sweep-", dir=options.folder))
    try:
        if shutil.disk_usage(folder).free < _BYTES * (options.recordings + kept):
            print(f"{folder} has no room for them; name another one by --folder", file=sys.stderr)
            return 1
        home = Home(folder / "home")
        home.root.mkdir(mode=0o700)
        with _database(engine, folder) as url:
            found = measure(home, url, options.recordings, kept, say)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    say("")
    document = {
        "engine": engine, "recordings": options.recordings, "kept": kept, "operators": OPERATORS, "a_day": A_DAY,
        **found, "goal_per_second": GOAL_PER_S, **measured_here(),
    }  # fmt: skip
    if options.json:
        print(json.dumps(document, indent=2))
    else:
        _print(document)
    return 0 if found["is_as_it_should_be"] else 1


def _print(document: dict[str, Any]) -> None:
    kb = document["resident_kb"]
    print(
        f"{document['engine']}: {document['recordings']:,} recordings in {document['swept_s']:.1f} s, "
        f"{document['per_second']:,} a second; {document['kept']:,} stay"
    )
    print(f"  dry run {document['dry_run_s']:.1f} s, a sweep with nothing due {document['again_s']:.1f} s")
    print(f"  memory {kb['at_10_percent'] / 1e3:.1f} MB at 10 %, {kb['at_the_end'] / 1e3:.1f} MB at the end")
    if not document["is_as_it_should_be"]:
        print(f"  not as it should be: {document['counts']}, left {document['left']}")


if __name__ == "__main__":
    sys.exit(main())
