"""`make leak`: `python tests/leak --calls 500`; `--seed S --only N` makes one call again. See docs/leak-suite.md."""

import argparse
import os
import sys
import types
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[0] = str(ROOT)
tests = types.ModuleType("tests")  # another distribution installs a package of that name
tests.__path__ = [str(ROOT / "tests")]
sys.modules["tests"] = tests

from benchmarks.packet_path import PacketPath  # noqa: E402
from tests.leak import suite  # noqa: E402


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="make leak", description=__doc__)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--slots", type=int, default=36, help="calls at the same time")
    parser.add_argument(
        "--media", type=PacketPath, choices=list(PacketPath), default=PacketPath.EPOLL,
        help="how packets pass: by epoll, by io_uring (ADR 70), or the kernel relays what it may (ADR 29)",
    )  # fmt: skip
    parser.add_argument(
        "--servers", action="store_true",
        help="index in PostgreSQL, which logs statements; recordings in an object store; calls by Kamailio",
    )  # fmt: skip
    parser.add_argument("--only", type=int, action="append", help="number of a call to make again; repeat")
    parser.add_argument("--mutations", choices=("all", "none", "only"), default="all")
    parser.add_argument("--mutation", action="append", help="one mutation by name; repeat")
    parser.add_argument("--source", type=Path, default=ROOT, help="where the recorder is started from")
    parser.add_argument("--json", type=Path, help="write the result there")
    options = parser.parse_args()
    seed = int.from_bytes(os.urandom(3)) if options.seed is None else options.seed
    return suite.main(options, seed)


sys.exit(main())
