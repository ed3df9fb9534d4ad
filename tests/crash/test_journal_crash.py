"""A process is killed at each step of saving states: what it was told is saved is there, whatever came after."""

import signal
from pathlib import Path

from storage.state_journal import StateJournal, read_states
from tests.crash.counted import Steps
from tests.crash.zygote import Zygote


def save(steps: Steps, path: Path) -> None:
    """Save twelve changes of three states, and tell of each."""
    steps.watch(of_os=("pwrite", "fdatasync", "fsync"), of_path=("replace",))
    journal, states = StateJournal(path, size=200), dict[str, int]()
    for number in range(12):
        name = f"call-{number % 3}"
        states[name] = number
        journal.save({name: number}, states)
        steps.tell(states)


def test_a_kill_at_any_step_loses_nothing_that_was_acknowledged(memory_path: Path, zygote: Zygote) -> None:
    whole = zygote.run(save, 0, memory_path / "whole")
    all_of_it, steps = whole.said, whole.steps
    assert steps is not None
    assert steps > 2 * 12 + 2, "a change is two steps, a new file three, and there was more than one"
    assert read_states(memory_path / "whole") == all_of_it[-1]
    for step in range(1, steps + 1):
        path = memory_path / f"{step}"
        killed = zygote.run(save, step, path)
        assert killed.code == -signal.SIGKILL, f"step {step} was never taken"
        acknowledged = killed.said
        found = read_states(path)
        before = len(acknowledged)
        # The change that was under way may be there or not: nobody was told.
        allowed = [acknowledged[-1] if acknowledged else {}, all_of_it[before]]
        assert found in allowed, f"killed at step {step}, after {before} changes: {found}"
