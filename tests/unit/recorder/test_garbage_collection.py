"""When everything is examined for garbage, and when only what is new."""

import subprocess
import sys

import pytest

from recorder.common.garbage_collection import (
    COLLECT_EVERY_S,
    FEW_LEGS,
    FREED_WITHIN_S,
    FULL_PASS_EVERY_S,
    GarbageCollector,
)

SHORT, FULL = 1, 2


class Ended:
    """Stands for a call that has ended."""


class Process:
    """A process with so many legs, and the passes that were made in it."""

    def __init__(self, legs: int, *, has_generations: bool = True) -> None:
        self.now_s, self.legs = 0.0, legs
        self.passes: list[int] = []
        self.collector = GarbageCollector(
            has_generations=has_generations, collect=self.passes.append, clock=lambda: self.now_s
        )
        self.collector.legs = lambda: self.legs

    def passes_in(self, seconds: float) -> list[int]:
        """Let time pass, and return the passes that were made."""
        before = len(self.passes)
        for _ in range(round(seconds / COLLECT_EVERY_S)):
            self.now_s += COLLECT_EVERY_S
            self.collector.run_pass()
        return self.passes[before:]


@pytest.mark.parametrize(("legs", "kind"), [(0, FULL), (FEW_LEGS, FULL), (FEW_LEGS + 1, SHORT), (2000, SHORT)])
def test_passes_are_full_up_to_few_legs_and_short_above(legs: int, kind: int) -> None:
    assert set(Process(legs).passes_in(600.0)) == {kind}


def test_without_generations_every_pass_is_full() -> None:
    assert set(Process(2000, has_generations=False).passes_in(60.0)) == {FULL}


def test_passes_are_full_again_when_calls_have_ended() -> None:
    process = Process(2000)
    process.passes_in(60.0)
    process.legs = FEW_LEGS
    assert set(process.passes_in(60.0)) == {FULL}


def test_everything_is_examined_once_an_hour_at_least() -> None:
    process = Process(2000)
    assert process.passes_in(2 * FULL_PASS_EVERY_S).count(FULL) == 2


def test_what_is_not_freed_in_time_has_everything_examined_after_twice_the_time_each(
    caplog: pytest.LogCaptureFixture,
) -> None:
    process = Process(2000)
    caplog.set_level("INFO")
    kept = [Ended(), Ended()]
    process.collector.expect_freed(*kept)
    full_s = []
    while process.now_s < 10 * FREED_WITHIN_S:
        if FULL in process.passes_in(COLLECT_EVERY_S):
            full_s.append(process.now_s - COLLECT_EVERY_S)  # it begins to wait at the first pass
    assert full_s == pytest.approx([FREED_WITHIN_S, 3 * FREED_WITHIN_S, 7 * FREED_WITHIN_S], abs=COLLECT_EVERY_S)
    assert "2 objects of ended calls or legs were not freed in time" in caplog.text
    kept.clear()
    assert set(process.passes_in(1200.0)) == {SHORT}


def test_a_failed_pass_does_not_end_the_passes() -> None:
    _run("""
import threading, time
from recorder.common.garbage_collection import GarbageCollector
passes, made = [], threading.Event()
def legs():
    raise ValueError("not yet")
def collect(generation):
    passes.append(generation)
    if len(passes) == 3: made.set()
collector = GarbageCollector(every_s=0.01, collect=collect)
collector.legs = legs
collector.start()
assert made.wait(10), "the thread has ended"
assert set(passes) == {2}
""")


def test_a_call_that_is_freed_in_time_has_nothing_examined() -> None:
    process = Process(2000)
    process.collector.expect_freed(Ended())
    assert set(process.passes_in(2 * FREED_WITHIN_S)) == {SHORT}


def _run(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_only_the_collector_makes_full_passes() -> None:
    _run("""
import gc
from recorder.common.garbage_collection import GarbageCollector
gc.set_threshold(10, 2, 2)
gc.disable()
GarbageCollector(every_s=3600.0).start()
before = [one["collections"] for one in gc.get_stats()]
kept = [[] for _ in range(10_000)]
after = [one["collections"] for one in gc.get_stats()]
assert after[1] > before[1] + 100, "young objects are still collected"
assert after[2] == before[2], "a full pass was made"
""")


def test_a_short_pass_frees_what_is_new_and_a_full_one_what_is_old() -> None:
    _run("""
import gc, weakref
from recorder.common.garbage_collection import GarbageCollector
gc.disable()
class Knot:
    def __init__(self): self.me = self
legs = 0
collector = GarbageCollector()
collector.legs = lambda: legs
old = Knot()
collector.run_pass()
assert any(one is old for one in gc.get_objects(2)), "it was examined, and is old now"
legs = 10_000
seen_old, seen_new = weakref.ref(old), weakref.ref(Knot())
del old
collector.run_pass()
assert seen_new() is None, "a short pass frees what is new"
assert seen_old() is not None, "a short pass examined everything"
legs = 0
collector.run_pass()
assert seen_old() is None, "a full pass frees what is old"
""")


def test_objects_of_the_start_are_never_examined_again() -> None:
    _run("""
import gc
from recorder.common.garbage_collection import freeze_startup_objects
made_at_the_start = [[] for _ in range(10_000)]
freeze_startup_objects()
assert len(gc.get_objects()) < 1_000
made_later = [[] for _ in range(2_000)]
assert len(gc.get_objects()) > 2_000, "later objects are still examined"
""")
