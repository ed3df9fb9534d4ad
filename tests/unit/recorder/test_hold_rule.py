"""A hold that is not recorded: its pause and its end, with acts and a slow disk in between."""

from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest

from recorder.calls.hold_rule import AGAIN_S, HoldRule
from recorder.calls.recording_controls import RecordingControls
from recorder.calls.rules.call_events import CallState
from recorder.rules.pausing import AGENT, HOLD, Authority, Final, PauseReasons, PauseState

RESUMED, STUCK = frozenset[str](), frozenset({HOLD})


class Disk:
    """Stores what it is told, when it is told."""

    def __init__(self) -> None:
        self.waiting: list[Future[None]] = []

    def put(self, _call: str, **_state: Any) -> Future[None]:
        self.waiting.append(Future())
        return self.waiting[-1]

    def turn(self, error: OSError | None = None) -> None:
        """Store the oldest that waits, or refuse it."""
        first = self.waiting.pop(0)
        first.set_exception(error) if error else first.set_result(None)

    def settle(self) -> None:
        """Store everything, what follows from it too; fails if that never ends."""
        for _ in range(20):
            if not self.waiting:
                return
            self.turn()
        raise AssertionError("it goes on for ever")


class Clock:
    """Runs what is submitted at once, what comes later when it is told."""

    def __init__(self) -> None:
        self.later: list[tuple[float, Callable[[], None]]] = []

    def submit(self, fn: Callable[..., None], *args: Any) -> None:
        fn(*args)

    def call_later(self, seconds: float, fn: Callable[..., None], *args: Any) -> SimpleNamespace:
        self.later.append((seconds, lambda: fn(*args)))
        return SimpleNamespace(cancel=lambda: None)


class Tape:
    """Keeps the pause_reasons of a recording, and no audio."""

    position_s = 0.0

    def __init__(self, pause_reasons: PauseReasons) -> None:
        self.pause_reasons = pause_reasons

    def pause(self, reason: str, _by: str) -> float:
        self.pause_reasons.pause(reason)
        return self.position_s

    def resume(self, authority: Authority, _by: str, **more: Any) -> float:
        self.pause_reasons.resume(authority, **more)
        return self.position_s

    def end(self, final: Final, _reason: str, _by: str) -> float:
        self.pause_reasons.end(final)
        return self.position_s


class HeldCall:
    """A recording, and its call, that can be held and paused; its gate acts are the real ones."""

    id = "20261124T093000Z-2001-0a1b2c"

    def __init__(self) -> None:
        self.disk, self.clock = Disk(), Clock()
        settings = SimpleNamespace(reminder_s=None, max_s=600.0, forgot_s=300.0)
        self.services = cast(Any, SimpleNamespace(
            config=SimpleNamespace(pause=settings), pauses=self.disk, scheduler=self.clock, publish=lambda _: None,
        ))  # fmt: skip
        self.table = cast(Any, SimpleNamespace(state=CallState.JOINED))
        self.call = self
        self.service = cast(Any, SimpleNamespace(record_hold=False, card_payment=None))
        self.pause_reasons, self.is_held = PauseReasons(), False
        self.in_progress = self.gate = Tape(self.pause_reasons)
        self.reopened: list[None] = []
        self.controls = RecordingControls(cast(Any, self), lambda: self.reopened.append(None))
        self.rule = HoldRule(self.controls)
        self.told = 0

    @property
    def is_over(self) -> bool:
        return bool(self.table.state is CallState.ENDED)

    def with_call(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        return fn

    def publish(self) -> None:
        self.told += 1

    def store_state(self, state: PauseState, reasons: list[str], position_s: float) -> Future[None]:
        return self.disk.put(self.id, state=state, reasons=reasons, position_s=position_s)

    def hold(self, *, is_held: bool) -> None:
        self.is_held = is_held
        self.rule.apply()


@pytest.fixture
def held() -> HeldCall:
    call = HeldCall()
    call.hold(is_held=True)
    call.disk.settle()
    assert call.pause_reasons.reasons == {HOLD}
    return call


def test_the_end_of_a_hold_resumes(held: HeldCall) -> None:
    held.hold(is_held=False)
    assert held.pause_reasons.reasons == {HOLD}, "not before it is stored"
    assert held.rule.is_ending
    told = held.told
    held.disk.settle()
    assert held.pause_reasons.reasons == RESUMED
    assert not held.rule.is_ending
    assert held.told > told, "who watches"


def test_an_end_that_a_pause_overtook_is_not_forgotten(held: HeldCall) -> None:
    held.hold(is_held=False)
    held.controls.pause(AGENT, "olive")
    held.disk.settle()
    assert held.pause_reasons.reasons == {AGENT}, "else the hold would keep the call from being recorded to its end"


def test_a_hold_that_comes_back_overtakes_its_end(held: HeldCall) -> None:
    held.hold(is_held=False)
    held.hold(is_held=True)
    assert not held.rule.is_ending
    held.disk.settle()
    assert held.pause_reasons.reasons == STUCK
    assert not held.reopened, "not for a moment"
    held.hold(is_held=False)
    held.disk.settle()
    assert held.pause_reasons.reasons == RESUMED


def test_an_end_that_cannot_be_stored_is_tried_again_and_not_at_once(held: HeldCall) -> None:
    held.hold(is_held=False)
    held.disk.turn(OSError(28, "disk full"))
    assert held.pause_reasons.reasons == STUCK
    assert not held.disk.waiting
    ((seconds, again),) = held.clock.later
    assert seconds == AGAIN_S
    again()
    held.disk.settle()
    assert held.pause_reasons.reasons == RESUMED


@pytest.mark.parametrize("final", Final)
def test_what_has_ended_for_good_stays_so(held: HeldCall, final: Final) -> None:
    held.pause_reasons.end(final)
    held.hold(is_held=False)
    held.hold(is_held=True)
    assert not held.disk.waiting


def test_after_the_end_of_the_call_nothing_is_done(held: HeldCall) -> None:
    held.hold(is_held=False)
    held.table.state = CallState.ENDED
    held.disk.settle()
    assert held.pause_reasons.reasons == STUCK
    assert not held.clock.later
