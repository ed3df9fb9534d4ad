"""A process is killed at each step of saving states: what it was told is saved is there, whatever came after."""

import json
import signal
import subprocess
import sys
from pathlib import Path

from storage.journal import read_states

ROOT = Path(__file__).parents[2]

WRITER = """
import json, sys
from pathlib import Path
sys.path.insert(0, "tests/crash")
from counted import Steps
from storage.journal import StateJournal
steps, path = Steps(int(sys.argv[1])), Path(sys.argv[2])
steps.watch(of_os=("pwrite", "fdatasync", "fsync"), of_path=("replace",))
journal, states = StateJournal(path, size=200), {}
for number in range(12):
    name = f"call-{number % 3}"
    states[name] = number
    journal.save({name: number}, states)
    print(json.dumps(states), flush=True)
print(steps.count, flush=True)
"""


def said(step: int, path: Path) -> tuple[list[dict[str, int]], int | None]:
    """Run until the step, where it is killed; return what it said was saved, and its steps if it got to the end."""
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(step), str(path)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode == -signal.SIGKILL:
        return lines, None
    assert done.returncode == 0, done.stderr
    return lines[:-1], lines[-1]


def test_a_kill_at_any_step_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    all_of_it, steps = said(0, tmp_path / "whole")
    assert steps is not None
    assert steps > 2 * 12 + 2, "a change is two steps, a new file three, and there was more than one"
    assert read_states(tmp_path / "whole") == all_of_it[-1]
    for step in range(1, steps + 1):
        path = tmp_path / f"{step}"
        acknowledged, count = said(step, path)
        assert count is None, f"step {step} was never taken"
        found = read_states(path)
        before = len(acknowledged)
        # The change that was under way may be there or not: nobody was told.
        allowed = [acknowledged[-1] if acknowledged else {}, all_of_it[before]]
        assert found in allowed, f"killed at step {step}, after {before} changes: {found}"
