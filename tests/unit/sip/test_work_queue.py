"""Work for the call thread is done in order and in slices, so that other work comes in between."""

from collections.abc import Callable

from sip.timer_slices import SLICE_S
from sip.work_queue import WorkQueue


class Loop:
    """A loop whose thread and clock the test plays."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.submitted: list[Callable[[], None]] = []
        self.told: list[bool] = []
        self.queue = WorkQueue(self.submitted.append, lambda: self.now_s, self.told.append)

    def turn(self) -> None:
        """Do what is submitted by now, as the loop does before it looks at its timers."""
        due, self.submitted[:] = list(self.submitted), []
        for work in due:
            work()


def test_a_burst_leaves_turns_to_other_work_and_keeps_its_order() -> None:
    loop, done = Loop(), list[object]()

    def hang_up(call: int) -> None:
        loop.now_s += SLICE_S / 4
        done.append(call)

    for call in range(10):
        loop.queue.put(hang_up, call)
    assert len(loop.submitted) == 1, "the loop is asked once"
    loop.submitted.append(lambda: done.append("health"))
    for _ in range(3):
        loop.turn()
        done.append("timers")
    assert done == [0, 1, 2, 3, "health", "timers", 4, 5, 6, 7, "timers", 8, 9, "timers"]
    assert loop.submitted == []
    assert loop.told == [True, True, False], "the loop is told when it has to look again soon"


def test_work_that_is_put_later_runs_and_a_failure_stops_nothing() -> None:
    loop, done = Loop(), list[int]()
    loop.queue.put(lambda: 1 / 0)
    loop.queue.put(done.append, 1)
    loop.turn()
    loop.queue.put(done.append, 2)
    loop.turn()
    assert done == [1, 2]
