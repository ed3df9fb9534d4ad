"""The benchmarks whose figures docs/capacity.md has: their commands, how long they take, and how one is run."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ENDS_S, _SLACK_S = 15.0, 600.0
_LATE = 3
"""A run that takes more than so many times what is said, and the slack, is ended."""


class RunError(Exception):
    """A benchmark gave no document; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One benchmark with the settings that the page is made of.

    Attributes:
        name: What the report calls it.
        measures: What is measured, for people.
        document: Name of its document, without the ending.
        words: Behind ``python -m``: module and options.
        quick: The same for a short run, which shows that it works and whose figures mean nothing.
        takes_s: Duration, about.
        quick_s: Duration of the short run, about.
        needs: What the machine must have beside two cores and the build; empty for nothing.
    """

    name: str
    measures: str
    document: str
    words: tuple[str, ...]
    quick: tuple[str, ...]
    takes_s: float
    quick_s: float
    needs: str = ""

    def command(self, *, is_quick: bool) -> list[str]:
        """Return the command as people type it."""
        return ["python", "-m", *(self.quick if is_quick else self.words), "--json"]

    def duration_s(self, *, is_quick: bool) -> float:
        """Return about how long it takes."""
        return self.quick_s if is_quick else self.takes_s


def _words(line: str) -> tuple[str, ...]:
    return tuple(f"benchmarks.{line}".split())


RUNS = (
    Run(
        name="sockets",
        measures="cost of a call by number of calls, relayed by sockets",
        document="capacity-1000",
        words=_words("capacity --calls 100 300 500 1000 --seconds 10 --rate 40"),
        quick=_words("capacity --calls 1 2 3 --seconds 1"),
        takes_s=260,
        quick_s=60,
    ),
    Run(
        name="kernel",
        measures="cost of a call by number of calls, relayed by the kernel",
        document="capacity-2000-kernel",
        words=_words("capacity --calls 100 250 500 1000 2000 --seconds 10 --rate 40 --in-kernel"),
        quick=_words("capacity --calls 1 2 3 --seconds 1 --in-kernel"),
        takes_s=400,
        quick_s=60,
        needs="root",
    ),
    Run(
        name="peers",
        measures="daemon beside the bare loop and a recording rtpengine, in one run",
        document="versus-500-written",
        words=_words(
            "versus --calls 500 --seconds 10 --rounds 5 --rate 50 --only bare_gathering daemon daemon_kernel rtpengine"
        ),
        quick=_words("versus --calls 2 --seconds 1 --rounds 2 --only bare_gathering daemon daemon_kernel rtpengine"),
        takes_s=480,
        quick_s=110,
        needs="root, rtpengine",
    ),
    Run(
        name="srtp",
        measures="cost of SRTP in the media core",
        document="media-srtp-200",
        words=_words("media --calls 200 --seconds 8 --rounds 3 --only bare_gathering core core_twice core_twice_srtp"),
        quick=_words("media --calls 2 --seconds 1 --rounds 1 --only bare_gathering core core_twice core_twice_srtp"),
        takes_s=240,
        quick_s=50,
    ),
    Run(
        name="set-ups",
        measures="calls set up a second, as many as the machine takes",
        document="setups-120",
        words=_words("setup --rates 100 120 --seconds 10"),
        quick=_words("setup --rates 2 --seconds 1"),
        takes_s=60,
        quick_s=15,
    ),
    Run(
        name="set-ups-end",
        measures="calls set up a second until one fails",
        document="setups-first-failure",
        words=_words("setup --rates 60 100 140 180 --seconds 10"),
        quick=_words("setup --rates 2 3 --seconds 1"),
        takes_s=120,
        quick_s=25,
    ),
    Run(
        name="stalls",
        measures="how long the call thread is blocked while calls are set up, are in progress and are hung up together",
        document="stalls-1000",
        words=_words("stalls --calls 1000 --seconds 60 --rate 40"),
        quick=_words("stalls --calls 2 --seconds 1"),
        takes_s=110,
        quick_s=20,
    ),
    Run(
        name="threads",
        measures="cost of several media threads in the media core",
        document="media-threads-300",
        words=_words(
            "media --calls 300 --seconds 5 --rounds 2 --only bare_gathering core core_2_threads core_4_threads"
        ),
        quick=_words("media --calls 4 --seconds 1 --rounds 1 --only bare_gathering core core_2_threads core_4_threads"),
        takes_s=140,
        quick_s=50,
    ),
    Run(
        name="beside",
        measures="what searches, exports and garbage collection add to the delay",
        document="beside-500-5000000",
        words=_words("beside --calls 500 --rows 5000000 --seconds 10 --rounds 3"),
        quick=_words("beside --calls 2 --rows 1000 --seconds 1 --rounds 1 --export-s 10"),
        takes_s=1200,
        quick_s=60,
        needs="20 GB of disk",
    ),
    Run(
        name="nodes",
        measures="bytes that a recording takes",
        document="nodes-2",
        words=_words("nodes --calls 200 --seconds 15"),
        quick=_words("nodes --calls 2 --seconds 1"),
        takes_s=110,
        quick_s=50,
        needs="PostgreSQL",
    ),
    Run(
        name="hour",
        measures="memory of calls that stand for an hour",
        document="drift-500-3600",
        words=_words("drift --calls 500 --seconds 3600 --skew-ppm 200"),
        quick=_words("drift --calls 1 --seconds 2"),
        takes_s=3900,
        quick_s=20,
        needs="30 GB of disk",
    ),
)


def listed(runs: Sequence[Run], *, is_quick: bool) -> list[dict[str, Any]]:
    """Return what would run, as JSON has it."""
    return [
        {
            "name": run.name,
            "measures": run.measures,
            "command": " ".join(run.command(is_quick=is_quick)),
            "takes_s": run.duration_s(is_quick=is_quick),
            "needs": run.needs,
            "document": f"{run.document}.json",
        }
        for run in runs
    ]


def measure(run: Run, folder: Path, *, is_quick: bool) -> dict[str, Any]:
    """Run a benchmark, write its document into a folder, and return it.

    A document that is there already is replaced only by a good one: that of a run in which a call failed is written
    beside it, as ``.failed.json``.

    Raises:
        RunError: It failed, a call failed, or it took too long.
        KeyboardInterrupt: The person at the terminal ended it; so is the benchmark.
    """
    command, began_s = run.command(is_quick=is_quick), time.monotonic()
    said, status = _output(command, most_s=_LATE * run.duration_s(is_quick=is_quick) + _SLACK_S)
    about = {"command": " ".join(command), "took_s": round(time.monotonic() - began_s, 1), "is_quick": is_quick}
    try:
        document: dict[str, Any] = {**json.loads(said), **about}
    except (ValueError, TypeError) as error:
        raise RunError(f"it ended with {status} and without a document; its own words are above") from error
    path = folder / f"{run.document}{'.failed' if status else ''}.json"
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if status:
        raise RunError(f"it ended with {status}: a call failed; its document is {path}")
    return document


def _output(command: Sequence[str], *, most_s: float) -> tuple[str, int]:
    process = subprocess.Popen(
        [sys.executable, *command[1:]], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        said, _ = process.communicate(timeout=most_s)
    except BaseException as error:
        _end(process)
        if isinstance(error, subprocess.TimeoutExpired):
            raise RunError(f"it took more than {most_s:.0f} s and was ended") from error
        raise
    return said, process.returncode


def _end(process: subprocess.Popen[str]) -> None:
    """End a benchmark and what it started: first as Ctrl-C would, so that it can remove its files."""
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.communicate(timeout=_ENDS_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        return
