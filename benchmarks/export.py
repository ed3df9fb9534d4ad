"""What does a copy of a long call cost? `python -m benchmarks.export --seconds 3600 --json`.

For each format, in a process of its own: the processor's seconds, and how much more memory than a copy of ten seconds
took. The recording is made as it is read, so that nothing but the export is measured. Memory must not grow with the
call; `--most-kib` makes the program fail if it does.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.machine import measured_here, peak_kib
from storage.encoding import CopyFormat
from storage.export import Copy, prepare
from storage.runs import ANCHOR, AUDIO, PCMA, TICKS_PER_S, pack
from storage.types import Channels, Redaction

WARM_S = 10
DRIFT_TICKS = 3
"""A second: the officer's clock runs 375 ppm fast."""


class LongCall:
    """A call of two voices of noise, a block a second; a `storage.sides.Blocks`."""

    def __init__(self, seconds: int) -> None:
        self._seconds = seconds
        noise = np.random.default_rng(1).integers(0, 256, (2, TICKS_PER_S + DRIFT_TICKS), dtype=np.uint8)
        self._voices = noise[0, :TICKS_PER_S].tobytes(), noise[1].tobytes()

    def blocks(self) -> Iterator[bytes]:
        """Yield its blocks."""
        for second in range(self._seconds):
            block = b""
            for channel, voice in enumerate(self._voices):
                start = second * len(voice)
                block += pack(AUDIO, channel, PCMA, start, payload=voice)
                block += pack(ANCHOR, channel, PCMA, start, aux=second * 1_000_000_000)
            yield block


def _copy(seconds: int, form: CopyFormat) -> Copy:
    silent = Redaction(start_s=1.0, end_s=seconds / 2, channels=Channels.LEFT, reason="half of it")
    return prepare(LongCall(seconds), form, redactions=[silent], duration_s=float(seconds))


def measure(form: CopyFormat, seconds: int) -> dict[str, Any]:
    """Return what one copy costs, in this process."""
    for _ in _copy(WARM_S, form).chunks():
        pass
    before = peak_kib()
    began, size, largest = time.process_time(), 0, 0
    for chunk in _copy(seconds, form).chunks():
        size += len(chunk)
        largest = max(largest, len(chunk))
    cpu_s = time.process_time() - began
    grown_kib = peak_kib() - before
    return {
        "format": str(form), "bytes": size, "largest_chunk_bytes": largest, "cpu_s": round(cpu_s, 3),
        "call_seconds_per_cpu_second": round(seconds / cpu_s, 1), "memory_grown_kib": grown_kib,
    }  # fmt: skip


def _measured_apart(form: CopyFormat, seconds: int) -> dict[str, Any]:
    words = [sys.executable, "-m", "benchmarks.export", "--one", str(form), "--seconds", str(seconds)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and run; 1 if memory grew more than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3600, help="length of the call")
    parser.add_argument("--formats", type=CopyFormat, nargs="+", default=list(CopyFormat), metavar="FORMAT")
    parser.add_argument("--most-kib", type=int, default=16_384, help="how much memory may grow")
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--one", type=CopyFormat, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one is not None:
        print(json.dumps(measure(options.one, options.seconds)))
        return 0
    found = [_measured_apart(form, options.seconds) for form in options.formats]
    if options.json:
        print(
            json.dumps(
                {
                    **measured_here(),
                    "seconds": options.seconds,
                    "formats": found,
                },
                indent=2,
            )
        )
    else:
        for one in found:
            print("  ".join(f"{key} {value}" for key, value in one.items()))
    return 1 if max(one["memory_grown_kib"] for one in found) > options.most_kib else 0


if __name__ == "__main__":
    sys.exit(main())
