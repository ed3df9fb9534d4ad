"""What does it cost here to make a line durable: an append of 256 bytes and one fdatasync?

Metric: milliseconds, p50 p99 max, of appends at a steady rate. It is the floor of everything that is acknowledged only
when it is on disk.
Command: ``python -m benchmarks.disk FOLDER [--seconds 10] [--rate 20]``; one JSON document on standard output.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_LINE = b"x" * 255 + b"\n"


def quantiles(times_ms: Sequence[float]) -> dict[str, float] | None:
    """Return p50, p99 and max of times in ms, or None when there are none."""
    if not times_ms:
        return None
    ordered = sorted(times_ms)
    p50, p99 = (ordered[-(-len(ordered) * percent // 100) - 1] for percent in (50, 99))
    return {"p50": round(p50, 2), "p99": round(p99, 2), "max": round(ordered[-1], 2)}


def measure(folder: Path, *, seconds: float, rate: float) -> list[float]:
    """Append at a rate for so long, to a file in a folder that is deleted again; return each time in ms."""
    path = folder / f".disk-{os.getpid()}"
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
    times_ms: list[float] = []
    began = time.monotonic()
    try:
        while (due := began + len(times_ms) / rate) < began + seconds:
            time.sleep(max(0.0, due - time.monotonic()))
            before = time.perf_counter_ns()
            os.write(descriptor, _LINE)
            os.fdatasync(descriptor)
            times_ms.append((time.perf_counter_ns() - before) / 1e6)
    finally:
        os.close(descriptor)
        path.unlink()
    return times_ms


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 done, 1 the folder cannot be written."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.disk", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to go on")
    parser.add_argument("--rate", type=float, default=20.0, help="appends a second")
    options = parser.parse_args(arguments)
    if options.seconds <= 0 or options.rate <= 0:
        parser.error("seconds and rate must be above 0")
    try:
        times_ms = measure(options.folder, seconds=options.seconds, rate=options.rate)
    except OSError as error:
        print(f"{options.folder} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    print(json.dumps({"fdatasync_ms": quantiles(times_ms), "appends": len(times_ms)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
