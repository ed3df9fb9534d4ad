"""How long does `recorder database move` take, there and back, and how much memory?

Metric: seconds from the command to its end, rows a second, megabytes of memory by which this process grew; the index of
`benchmarks.index` on SQLite, moved to a PostgreSQL server of its own and back. Every row is compared by the command.
Command: ``python -m benchmarks.migrate --rows 100000 [--json]``; needs about 10 kB of disk for a row.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.index import fill
from benchmarks.machine import measured_here, peak_kib
from benchmarks.postgres import DURABLE, PASSWORD, QUOTED, PostgresServer
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.recordings.index_move import IndexMove
from recorder.recordings.move_plan import HOME, MovePlanner
from storage.audit import AuditLog
from storage.database import sqlite_url
from storage.keys import NodeKeys


def move(home: Home, target: str) -> dict[str, Any]:
    """Move the index of a home, and write its new place into the configuration."""
    before_kib = peak_kib()
    planner = MovePlanner(home=home, config=read_config(home.config), target=target)
    done = IndexMove(home=home, planner=planner, now=lambda: datetime.now(UTC)).run("os:benchmark")
    home.config.write_text(f'[storage]\nindex_url = "{done.plan.setting}"\n')
    rows = sum(one.rows for one in done.tables.values())
    return {
        "rows": rows, "seconds": round(done.seconds, 1), "rows_per_second": round(rows / done.seconds),
        "memory_grown_mb": round((peak_kib() - before_kib) / 1024, 1), "bytes": done.plan.bytes,
    }  # fmt: skip


def run(folder: Path, rows: int) -> dict[str, Any]:
    """Fill an index, and move it there and back."""
    home = Home(folder / "home")
    NodeKeys.create(home.root)
    home.config.write_text("")
    AuditLog(home.audit).append("daemon.started", "recorder", "")
    fill(sqlite_url(home.index), rows, lambda _what: None)
    server = PostgresServer(folder=folder, settings=DURABLE)
    try:
        password = folder / "pgpass"
        password.touch(mode=0o600)
        password.write_text(f"127.0.0.1:{server.port}:*:recorder:{PASSWORD}\n")
        target = f"{server.new_database().replace(f':{QUOTED}@', '@')}?passfile={password}"
        return {"there": move(home, target), "back": move(home, HOME)}
    finally:
        server.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 2 wrong usage."""
    about = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.migrate", description=about)
    parser.add_argument("--rows", type=int, default=100_000, help="calls in the index")
    parser.add_argument("--folder", type=Path, help="where there is room; default the folder for temporary files")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args(arguments)
    if options.rows < 1000:
        parser.error("rows must be at least 1000")
    with tempfile.TemporaryDirectory(prefix="recorder-migrate-", dir=options.folder) as folder:
        found = {"calls": options.rows, **run(Path(folder), options.rows), **measured_here()}
    if options.json:
        print(json.dumps(found))
        return 0
    for way in ("there", "back"):
        one = found[way]
        print(
            f"{way}: {one['rows']:,} rows in {one['seconds']} s ({one['rows_per_second']:,} a second), "
            f"{one['memory_grown_mb']} MB more memory"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
