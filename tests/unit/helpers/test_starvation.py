"""A bound in seconds holds for the program: what it waited for a CPU does not count."""

import os
import signal
import subprocess

import pytest

from tests.helpers import starvation


@pytest.mark.parametrize(("waits", "left"), [({}, 2.0), ({1: 0.5, 2: 0.25}, 1.25), ({1: 0.5, 2: 0.25, 3: 0.125}, 1.25)])
def test_a_stopwatch_leaves_out_what_threads_waited_for_a_cpu(
    monkeypatch: pytest.MonkeyPatch, waits: dict[int, float], left: float
) -> None:
    looks = [{1: 10.0}, {1: 10.0} | {thread: waited + 10.0 * (thread == 1) for thread, waited in waits.items()}]
    monkeypatch.setattr(starvation, "waited_s", lambda _pid: looks.pop(0))
    monkeypatch.setattr("tests.helpers.starvation.time.monotonic", iter((5.0, 7.0)).__next__)
    assert starvation.stopwatch(4711, threads=2)() == left


def test_all_that_a_process_has_started_is_found() -> None:
    with subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        sleeper = int(shell.stdout.readline())
        found = starvation.with_children(os.getpid())
        os.kill(sleeper, signal.SIGKILL)
    assert found[0] == os.getpid()
    assert {shell.pid, sleeper} <= set(found)
