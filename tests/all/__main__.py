"""`make test-all`: everything that is tested, with the long runs, and a summary as JSON.

Takes up to an hour on two cores. `make test` is the short form: what a change can break, in minutes.
"""

import argparse
import json
import sys
import tempfile
import types
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[0] = str(ROOT)
tests = types.ModuleType("tests")  # another distribution installs a package of that name
tests.__path__ = [str(ROOT / "tests")]
sys.modules["tests"] = tests

from tests.helpers.steps import Step, run, summary  # noqa: E402

FULL = {"RECORDER_TESTS": "all"}
TOGETHER = ("-q", "--workers", "auto")


def steps(folder: Path, *, calls: int, kills: int, rows: int, fuzz_s: float) -> list[Step]:
    """Return the steps, in order."""
    leaks, killed = folder / "leaks.json", folder / "kills.json"
    leak = ("tests/leak", "--calls", str(calls))
    return [
        Step(name="tests", command=("-m", "pytest", *TOGETHER, "-m", "not installed"), environment=FULL),
        Step(name="the package installed", command=("-m", "pytest", "-q", "-m", "installed", "tests/installed")),
        Step(
            name=f"{calls} calls with secrets, and the mutations",
            command=(*leak, "--seed", "1", "--json", str(leaks)),
            document=leaks,
        ),
        *(
            Step(
                name=f"{calls} calls with secrets, by {media}",
                command=(*leak, "--seed", str(seed), "--media", media, "--mutations", "none"),
            )
            for seed, media in ((3, "io_uring"), (4, "kernel"))
        ),
        Step(
            name=f"{calls // 5} calls with secrets, with PostgreSQL and an object store",
            command=("tests/leak", "--calls", str(calls // 5), "--seed", "2", "--mutations", "none", "--servers"),
        ),
        Step(
            name=f"{kills} kills",
            command=("tests/crash/kills.py", "--kills", str(kills), "--seed", "1", "--json", str(killed)),
            document=killed,
        ),
        Step(
            name=f"parsers, {fuzz_s:g} s each",
            command=("tests/fuzz", "--seconds-each", str(fuzz_s), "--seed", "1"),
        ),
        Step(
            name=f"an index of {rows} rows",
            command=("-m", "benchmarks.index", "--rows", str(rows), "--engine", "sqlite"),
        ),
    ]


def main() -> int:
    """Parse the command line, run every step whatever became of those before, and write the summary."""
    parser = argparse.ArgumentParser(prog="make test-all", description=__doc__)
    parser.add_argument("--calls", type=int, default=500, help="of the leak suite")
    parser.add_argument("--kills", type=int, default=1000, help="of the crash suite")
    parser.add_argument("--rows", type=int, default=5_000_000, help="of the index that is searched")
    parser.add_argument("--fuzz-seconds", type=float, default=15.0, help="for each parser")
    parser.add_argument("--only", action="append", help="a word of the name of a step; repeat")
    parser.add_argument("--json", type=Path, default=ROOT / "tests/all/summary.json", help="write the summary there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="recorder-test-all-") as folder:
        wanted = [
            step
            for step in steps(
                Path(folder),
                calls=options.calls,
                kills=options.kills,
                rows=options.rows,
                fuzz_s=options.fuzz_seconds,
            )
            if not options.only or any(word in step.name for word in options.only)
        ]
        outcomes = [run(step) for step in wanted]
    document = summary(outcomes)
    options.json.write_text(json.dumps(document, indent=2) + "\n")
    for outcome in outcomes:
        word = "passed" if outcome.exit_code == 0 else f"FAILED with exit code {outcome.exit_code}"
        print(f"{outcome.seconds:8.1f} s  {word:8}  {outcome.name}")
    print(f"{document['seconds']:8.1f} s  in all; the summary is in {options.json}")
    return 0 if document["passed"] else 1


sys.exit(main())
