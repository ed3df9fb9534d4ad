"""`make kills KILLS=1000`: processes that record, close, sweep, erase, re-seal and recover are killed at any step.

After each kill the recorder starts again, and then everything must be there that was finished, nothing that was
deleted or erased, and `verify --all` and `audit verify` must agree. See docs/durability.md.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[0] = str(ROOT)
tests = types.ModuleType("tests")  # another distribution installs a package of that name
tests.__path__ = [str(ROOT / "tests")]
sys.modules["tests"] = tests

from tests.crash.shim import preload  # noqa: E402

if __name__ == "__main__":
    preload()  # it starts this program anew: before everything is loaded

from recorder.cli.output import progress_bar  # noqa: E402
from tests.crash.forgetful import SimulatedPower  # noqa: E402
from tests.crash.mutations import MUTATIONS  # noqa: E402
from tests.crash.power import KINDS, RealPower, own_mounts  # noqa: E402
from tests.crash.vault_acts import ACTS  # noqa: E402
from tests.crash.vault_run import Power, run_homes  # noqa: E402
from tests.helpers.compiled_once import compile_once  # noqa: E402

IN_MEMORY = Path("/dev/shm")
"""The disk plays no part: who dies leaves the system alive, and who loses power has a disk of their own."""


def power_of(name: str | None) -> Callable[[Path], Power] | None:
    """Return what makes the power supply of a home."""
    if name is None:
        return None
    if name == "simulated":
        return SimulatedPower
    own_mounts()
    return lambda folder: RealPower(folder, name)


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="make kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--per-home", type=int, default=100, help="kills before a new home is made")
    parser.add_argument(
        "--power", choices=("simulated", *KINDS), help="cut the power as well: simulated, or a real file system (root)"
    )
    parser.add_argument("--only", choices=tuple(ACTS), help="the only act that is killed")
    parser.add_argument("--mutation", choices=tuple(MUTATIONS), help="break the recorder first; that must be found")
    parser.add_argument("--json", type=Path, help="write the result there")
    options = parser.parse_args()
    compile_once()  # what the look after a round compiled, a process that is forked later need not
    logging.disable()  # that something is recovered or destroyed again is what we are here for
    if options.mutation:
        MUTATIONS[options.mutation]()
    with tempfile.TemporaryDirectory(prefix="kills-", dir=IN_MEMORY if IN_MEMORY.is_dir() else None) as folder:
        began_s = time.monotonic()
        with progress_bar("killed", options.kills) as progress:
            tally = run_homes(
                Path(folder), options.seed, options.kills, per_home=options.per_home,
                power=power_of(options.power), only=options.only, say=lambda done: progress(done, options.kills),
            )  # fmt: skip
    result = {
        "seed": options.seed,
        "kills": dict(tally.kills),
        "rounds": tally.rounds,
        "said": dict(tally.said),
        "done": dict(tally.done),
        "seconds": round(time.monotonic() - began_s, 1),
        "problems": tally.problems,
    }
    text = json.dumps(result, indent=2)
    if options.json:
        options.json.write_text(text)
    print(text)  # noqa: T201 - the result of the program
    return 1 if tally.problems else 0


def run_each() -> None:
    """Run in a fork for each line of standard input, a JSON list of words, and write its exit status.

    To load the recorder takes a second of CPU, and it cannot be a fork of `tests.helpers.preloaded`: that has no shim.
    """
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            sys.argv[1:] = json.loads(line)
            sys.stdout = sys.stderr
            sys.exit(main())
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    if sys.argv[1:] == ["--each"]:
        run_each()
    else:
        sys.exit(main())
