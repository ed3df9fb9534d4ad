"""How fast are `reindex`, `fsck` and `fsck --quick`, and does their memory stay flat?

Metric: recordings a second of each, everything counted; resident memory of the process, which must not grow with the
number of recordings but with the busiest day only (20,000 recordings here).
Command: ``python -m benchmarks.rebuild --recordings 100000 --json``; needs about 12 kB of disk a recording.

The home is `benchmarks.sweep`'s: containers of a tenth of a second, so what is measured is the work for each recording.
Longer ones take as long as reading and hashing them.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.machine import holdings, measured_here
from benchmarks.sweep_recordings import A_DAY, OPERATORS, make, prepare
from recorder.common.home import Home
from recorder.config.settings import Config, Storage
from recorder.recordings.fsck import Checker
from recorder.recordings.reindex import Reindexer
from storage.audit import AuditLog
from storage.database import Database, sqlite_url
from storage.keys import NodeKeys
from storage.vault import Vault

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)


class Bench:
    """One home, and what is done to it."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        self.config = Config(storage=Storage(index_url=sqlite_url(self.home.index)))
        self.now = datetime.now(UTC) + timedelta(days=2)  # what was made just now is no longer young

    def fill(self, count: int) -> None:
        """Make recordings, their keys and rows."""
        prepare(self.home.root, NOW - count * timedelta(days=1) / A_DAY, NOW)
        for _ in make(self.home.root, str(self.config.storage.index_url), NOW, count):
            pass

    def reindex(self) -> int:
        """Rebuild the index that was lost; returns how many rows it has then."""
        for path in self.home.root.glob("index.sqlite*"):
            path.unlink()
        vault, audit = Vault(self.home.root, NodeKeys.load(self.home.root)), AuditLog(self.home.audit)
        reindexer = Reindexer(home=self.home, config=self.config, vault=vault, audit=audit, now=lambda: self.now)
        return reindexer.run("benchmark").added

    def check(self, *, is_quick: bool) -> int:
        """Compare everything; returns how many containers were compared, and fails if one does not fit."""
        database = Database(str(self.config.storage.index_url))
        checker = Checker(
            home=self.home, vault=Vault(self.home.root, NodeKeys.load(self.home.root)), database=database,
            audit=AuditLog(self.home.audit), now=lambda: self.now, is_live=False, is_quick=is_quick,
        )  # fmt: skip
        found = list(checker.findings())
        database.close()
        assert not found, found[:3]
        return checker.counts["containers"]


def measure(bench: Bench, count: int) -> dict[str, Any]:
    """Make the home, then do each thing once, the cheapest first: resident memory only grows."""
    bench.fill(count)
    before_kb = holdings(os.getpid()).resident_kb
    steps: dict[str, Callable[[], int]] = {
        "fsck_quick": lambda: bench.check(is_quick=True),
        "fsck": lambda: bench.check(is_quick=False),
        "reindex": bench.reindex,
    }
    results: dict[str, Any] = {"recordings": count, "resident_before_kb": before_kb}
    for name, step in steps.items():
        began = time.perf_counter()
        done = step()
        took_s = time.perf_counter() - began
        assert done == count, f"{name}: {done} of {count}"
        resident_kb = holdings(os.getpid()).resident_kb
        results[name] = {"took_s": round(took_s, 2), "per_s": round(count / took_s), "resident_kb": resident_kb}
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, help="where the home is made; by default a temporary one")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    given = parser.parse_args(arguments)
    root = Path(tempfile.mkdtemp(prefix="recorder-rebuild-", dir=given.folder))
    try:
        results = measure(Bench(root / "home"), given.recordings)
    finally:
        shutil.rmtree(root)
    document = {**measured_here(), "operators": OPERATORS, **results}
    if given.json:
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
    else:
        for name in ("fsck_quick", "fsck", "reindex"):
            one = results[name]
            sys.stdout.write(f"{name}: {one['per_s']} a second, {one['resident_kb'] // 1024} MiB resident\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
