"""How fast is an audit log verified, and how fast does it grow?

Metric: entries a second of `AuditLog.verify` over a log of so many entries, every fifth with a free text; memory of
this process before and after; bytes an entry; entries a second that are appended, each on the disk before the next.
Command: ``python -m benchmarks.audit --entries 1000000 [--json]``; needs about 500 bytes of disk for an entry.
"""

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from benchmarks.machine import measured_here, peak_kib
from recorder.audit.reading import AuditQuery, entries_found
from storage.audit import AuditLog
from storage.audit_entry import GENESIS, line_of, parse_line
from storage.audit_texts import salted

TEXT_EVERY = 5
APPENDED = 500
"""Each waits for the disk."""
_DETAILS = {"call": "20261125T090000Z-2001-aaaaaa", "state": "paused", "reasons": ["agent"], "position_s": 12.5}


def fill(folder: Path, entries: int) -> AuditLog:
    """Write a log of so many entries without a sync for each."""
    log = AuditLog(folder)
    folder.mkdir()
    previous = GENESIS
    with (
        log.path.open("wb") as file,
        closing(sqlite3.connect(folder / "texts.sqlite")) as database,
        database,
    ):
        database.execute("CREATE TABLE texts (hash TEXT PRIMARY KEY, salt BLOB, text TEXT)")
        for number in range(1, entries + 1):
            text = salted(f"why {number}") if number % TEXT_EVERY == 0 else None
            if text is not None:
                database.execute("INSERT INTO texts VALUES (?, ?, ?)", (text.commitment, text.salt, text.text))
            line = line_of({
                "n": number, "at": "2026-11-25T09:30:00.123456Z", "act": "call.pause", "actor": f"officer{number % 97}",
                "subject": f"20261125T090000Z-2001-{number:06x}", "details": _DETAILS,
                "text": text.commitment if text else None, "prev": previous,
            })  # fmt: skip
            previous = parse_line(line).hash
            file.write(line)
    return log


def measure(folder: Path, entries: int) -> dict[str, Any]:
    """Return what was measured."""
    log = fill(folder / "audit", entries)
    before_kb = peak_kib()
    began = time.perf_counter()
    state = log.verify()
    verified_s = time.perf_counter() - began
    after_kb = peak_kib()
    if state.problems or state.entries != entries:
        raise SystemExit(f"the log is not what was written: {state.problems}")
    began = time.perf_counter()
    found = sum(1 for _ in entries_found(log, AuditQuery(actor="officer1")))
    searched_s = time.perf_counter() - began
    began = time.perf_counter()
    for number in range(APPENDED):
        log.append("call.pause", "officer", f"call-{number}", _DETAILS)
    appended_s = time.perf_counter() - began
    return {
        "entries": entries,
        "bytes_per_entry": round(state.bytes / entries, 1),
        "texts": state.texts,
        "verified_s": round(verified_s, 2),
        "verified_per_s": round(entries / verified_s),
        "memory_before_kb": before_kb,
        "memory_after_kb": after_kb,
        "searched_per_s": round(entries / searched_s),
        "found": found,
        "appended_per_s": round(APPENDED / appended_s),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(Path(folder), options.entries)
    if options.json:
        json.dump({**measured, **measured_here()}, sys.stdout, indent=1)
        print()
    else:
        for name, value in measured.items():
            print(f"{name:18} {value}")


if __name__ == "__main__":
    main()
