"""When everything is examined for garbage, and when only what is new."""

import subprocess
import sys

import pytest

from recorder.common.garbage_collection import (
    COLLECT_EVERY_S,
    FEW_LEGS,
    FREED_WITHIN_S,
    FULL_PASS_EVERY_S,
    Collector,
)

SHORT, FULL = 1, 2


class Ended:
    """Stands for a call that has ended."""


class Process:
    """A process with so many legs, and the passes that were made in it."""

    def __init__(self, legs: int) -> None:
        self.now_s, self.legs = 0.0, legs
        self.passes: list[int] = []
        self.collector = Collector(collect=self.passes.append, clock=lambda: self.now_s)
        self.collector.legs = lambda: self.legs

    def turns(self, seconds: float) -> list[int]:
        """Let time pass, and return the passes that were made."""
        before = len(self.passes)
        for _ in range(round(seconds / COLLECT_EVERY_S)):
            self.now_s += COLLECT_EVERY_S
            self.collector.turn()
        return self.passes[before:]


@pytest.mark.parametrize(("legs", "kind"), [(0, FULL), (FEW_LEGS, FULL), (FEW_LEGS + 1, SHORT), (2000, SHORT)])
def test_with_few_legs_every_pass_is_full(legs: int, kind: int) -> None:
    assert set(Process(legs).turns(600.0)) == {kind}


def test_passes_are_full_again_when_calls_have_ended() -> None:
    process = Process(2000)
    process.turns(60.0)
    process.legs = FEW_LEGS
    assert set(process.turns(60.0)) == {FULL}


def test_everything_is_examined_once_an_hour_at_least() -> None:
    process = Process(2000)
    assert process.turns(2 * FULL_PASS_EVERY_S).count(FULL) == 2


def test_a_call_that_is_not_freed_has_everything_examined_once(caplog: pytest.LogCaptureFixture) -> None:
    process = Process(2000)
    caplog.set_level("INFO")
    kept = Ended()
    process.collector.expect_freed(kept)
    assert set(process.turns(FREED_WITHIN_S - COLLECT_EVERY_S)) == {SHORT}
    assert process.turns(COLLECT_EVERY_S) == [FULL]
    assert "1 calls or legs had not been freed" in caplog.text
    assert set(process.turns(600.0)) == {SHORT}, "a disk that fails keeps calls for long: once is enough"
    assert kept is not None


def test_a_call_that_is_freed_in_time_has_nothing_examined() -> None:
    process = Process(2000)
    process.collector.expect_freed(Ended())
    assert set(process.turns(2 * FREED_WITHIN_S)) == {SHORT}


def _run(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_only_the_collector_looks_at_everything() -> None:
    _run("""
import gc
from recorder.common.garbage_collection import Collector
gc.set_threshold(10, 2, 2)
gc.disable()
Collector(every_s=3600.0).start()
before = [one["collections"] for one in gc.get_stats()]
kept = [[] for _ in range(10_000)]
after = [one["collections"] for one in gc.get_stats()]
assert after[1] > before[1] + 100, "the young are looked at as ever"
assert after[2] == before[2], "it was looked at everything"
""")


def test_a_short_pass_frees_what_is_new_and_a_full_one_what_is_old() -> None:
    _run("""
import gc, weakref
from recorder.common.garbage_collection import Collector
gc.disable()
class Knot:
    def __init__(self): self.me = self
legs = 0
collector = Collector()
collector.legs = lambda: legs
old = Knot()
collector.turn()
assert gc.get_objects(2), "it was examined, and is old now"
legs = 10_000
seen_old, seen_new = weakref.ref(old), weakref.ref(Knot())
del old
collector.turn()
assert seen_new() is None, "a short pass frees what is new"
assert seen_old() is not None, "a short pass examined everything"
legs = 0
collector.turn()
assert seen_old() is None, "a full pass frees what is old"
""")


def test_what_is_there_when_calls_may_come_is_never_looked_at_again() -> None:
    _run("""
import gc
from recorder.common.garbage_collection import leave_out_what_is_there
made_at_the_start = [[] for _ in range(10_000)]
leave_out_what_is_there()
assert len(gc.get_objects()) < 1_000
made_later = [[] for _ in range(2_000)]
assert len(gc.get_objects()) > 2_000, "what comes later is looked at as ever"
""")
