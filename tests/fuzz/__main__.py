"""`make fuzz SECONDS_EACH=N`: every parser in turn; `SEED=S` makes a run again, `ONLY=name` takes one target."""

import argparse
import hashlib
import importlib
import importlib.util
import json
import os
import sys
import types
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[0] = str(ROOT)
tests = types.ModuleType("tests")  # another distribution installs a package of that name
tests.__path__ = [str(ROOT / "tests")]
sys.modules["tests"] = tests


def _use_core(path: Path) -> None:
    """Put another build of the media core into the place of the installed one."""
    spec = importlib.util.spec_from_file_location("audio._relay", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["audio._relay"] = module
    spec.loader.exec_module(module)


from tests.fuzz.engine import SAVED, Result, Target, fuzz  # noqa: E402


def _targets(core: Path | None) -> Iterable[Target]:
    """Return what is to be fuzzed: all of it, or the core alone, beside which sanitizers let little be loaded."""
    if core is None:
        return importlib.import_module("tests.fuzz.targets").targets()  # type: ignore[no-any-return]
    _use_core(core)
    return [importlib.import_module("tests.fuzz.core_target").target(core.with_name("last-script.bin"))]


def _tell(result: Result) -> None:
    if sys.stderr.isatty():
        line = f"{result.target}: {result.seconds:.0f} s, {result.runs} inputs, {result.edges} edges"
        print(f"\r{line:78}", end="", file=sys.stderr, flush=True)


def _keep(result: Result) -> Path:
    assert result.crash is not None
    path = SAVED / result.target / f"{hashlib.sha256(result.crash).hexdigest()[:12]}.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(result.crash)
    return path


def main() -> int:
    """Parse the command line and run; 0 nothing was found, 1 something was."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seconds-each", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)))
    parser.add_argument("--only", action="append", help="name of a target; repeat")
    parser.add_argument("--core", type=Path, help="a build of the media core with sanitizers (`make fuzz-core`)")
    parser.add_argument("--json", action="store_true", help="one document on standard output")
    options = parser.parse_args()
    found, results = 0, []
    for target in _targets(options.core):
        if options.only and target.name not in options.only:
            continue
        result = fuzz(target, seed=options.seed, seconds=options.seconds_each, on_progress=_tell)
        line = f"{result.target:14} {result.runs:9} inputs {result.edges:6} edges {result.corpus:5} kept"
        if result.crash is not None:
            found += 1
            line += f"  FOUND {result.error}\n  seed {result.seed}, saved as {_keep(result).relative_to(ROOT)}"
        print(f"\r{line}", file=sys.stderr)
        results.append({k: v for k, v in vars(result).items() if k != "crash"} | {"found": result.crash is not None})
    if options.json:
        print(json.dumps({"seed": options.seed, "targets": results}, indent=2))
    return 1 if found else 0


sys.exit(main())
