"""A bound in seconds holds for the program: what it waited for a CPU does not count."""

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
