"""Virtual time: it stands still until it is turned, and everything is done in the order in which it is due."""

import time

import pytest

from tests.helpers.virtual.world import NEVER_NS, NS_PER_S, World


class Pulse:
    """A part that acts each second, and wants to be called at once in between if it is restless."""

    def __init__(self, world: World, *, is_restless: bool = False) -> None:
        self._world, self._is_restless = world, is_restless
        self._next_ns = world.now_ns + NS_PER_S
        self.beats: list[float] = []

    def work(self) -> bool:
        if self._world.now_ns < self._next_ns:
            return False
        self.beats.append(self._world.now_s)
        self._next_ns += NS_PER_S
        return True

    def due_ns(self) -> int:
        return 0 if self._is_restless else self._next_ns


def test_time_passes_only_when_it_is_turned() -> None:
    world = World()
    with world.open():
        before, wall = time.monotonic(), time.time()
        assert time.monotonic() == before
        time.sleep(60)
        assert time.monotonic() == pytest.approx(before + 60)
        assert time.time() == pytest.approx(wall + 60)
        assert time.clock_gettime(time.CLOCK_MONOTONIC) == time.monotonic()
    assert time.monotonic() < before + 60, "the process has its own clock again"
    with World().open():
        assert time.monotonic() >= before + 60, "but no world goes back behind another"


def test_what_is_due_is_done_in_its_order_and_at_its_time() -> None:
    world, done = World(), list[tuple[str, float]]()
    began_s = world.now_s

    def note(name: str) -> None:
        done.append((name, round(world.now_s - began_s, 3)))

    def second() -> None:
        note("second")
        world.soon(lambda: note("at once"))

    with world.open():
        world.after(0.3, lambda: note("third"))
        first = world.after(0.1, lambda: note("first"))
        world.after(0.2, second)
        world.after(0.2, lambda: note("cancelled")).cancel()
        world.turn(1)
        first.cancel()
    assert done == [("first", 0.1), ("second", 0.2), ("at once", 0.2), ("third", 0.3)]


@pytest.mark.parametrize("is_restless", [False, True])
def test_a_part_acts_when_it_is_due_and_one_that_polls_keeps_time_going(is_restless: bool) -> None:
    world = World()
    pulse = Pulse(world, is_restless=is_restless)
    world.join(pulse)
    began_s = world.now_s
    with world.open():
        world.turn(3.5)
        assert [round(beat - began_s, 2) for beat in pulse.beats] == [1, 2, 3]
        world.leave(pulse)
        world.turn(5)
    assert len(pulse.beats) == 3


def test_waiting_ends_with_what_is_waited_for_or_with_the_time() -> None:
    world = World()
    began_s, happened = world.now_s, list[float]()
    with world.open():
        world.after(2, lambda: happened.append(world.now_s))
        assert world.wait_for(lambda: happened, 10)
        assert world.now_s == pytest.approx(began_s + 2)
        assert not world.wait_for(lambda: len(happened) > 1, 10)
        assert world.now_s == pytest.approx(began_s + 12)


def test_work_that_never_ends_at_one_moment_is_an_error_and_so_is_turning_from_within() -> None:
    class Endless:
        def work(self) -> bool:
            return True

        def due_ns(self) -> int:
            return NEVER_NS

    world = World()
    endless = Endless()
    world.join(endless)
    with pytest.raises(AssertionError, match="an endless loop"):
        world.settle()
    world.leave(endless)
    world.soon(lambda: world.turn(1))
    with pytest.raises(AssertionError, match="cannot advance the clock"):
        world.settle()
