"""The states of the daemon between taking calls and leaving, and what carries them out, without a clock."""

from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest

from recorder.config.settings import Drain
from recorder.rules.drain import IGNORED, TABLE, DrainAction, DrainEvent, DrainState, Transition, after
from recorder.service.draining import LOOK_S, QUIET_S, Draining

RUNNING, DRAINING, STOPPING, ENDING = DrainState
SECOND = {"SIGTERM": "SIGINT", "SIGINT": "SIGTERM"}


# --- the table


def test_every_pair_of_state_and_event_is_decided() -> None:
    pairs = set(product(DrainState, DrainEvent))
    assert TABLE.keys() | IGNORED == pairs
    assert not TABLE.keys() & IGNORED
    assert all(after(*pair) == Transition(pair[0]) for pair in IGNORED)


def test_calls_are_ended_on_three_ways_only() -> None:
    ending = {pair for pair, transition in TABLE.items() if DrainAction.END_CALLS in transition.actions}
    assert ending == {
        (STOPPING, DrainEvent.SIGNALLED),
        (STOPPING, DrainEvent.EMPTIED),
        (STOPPING, DrainEvent.LIMIT_OVER),
    }


def test_new_calls_are_taken_while_running_only() -> None:
    assert [state for state in DrainState if not state.refuses_calls] == [RUNNING]


# --- carried out


class _Timers:
    """The call thread's scheduler in virtual time."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self._due: list[tuple[float, Callable[..., object], tuple[object, ...]]] = []

    def submit(self, fn: Callable[..., object], *args: object) -> None:
        fn(*args)

    def call_later(self, seconds: float, fn: Callable[..., object], *args: object) -> None:
        self._due.append((self.now_s + seconds, fn, args))

    def pass_by(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while due := [one for one in self._due if one[0] <= end_s]:
            first = min(due, key=lambda one: one[0])
            self._due.remove(first)
            self.now_s = first[0]
            first[1](*first[2])
        self.now_s = end_s


class _Daemon:
    """Calls in progress, and the rest of a daemon, as a drain sees them."""

    def __init__(self, *, live: int = 3, options: Drain | None = None) -> None:
        self.live, self.counts = live, {"drained": 7}
        self.timers = _Timers()
        self.refuses_calls = self.refuses_options = False
        self.entries: list[tuple[str, str, dict[str, Any]]] = []
        self.events: list[dict[str, Any]] = []
        self.left = 0
        self.draining = Draining(
            self.timers, self, options=lambda: options or Drain(), refuse_options=self._refuse_options,
            audit=self._audit, publish=self.events.append, leave=self._leave,
            now=lambda: datetime(2026, 11, 29, 12, tzinfo=UTC), clock=lambda: self.timers.now_s,
        )  # fmt: skip

    def refuse_new(self, is_refusing: bool) -> None:
        self.refuses_calls = is_refusing

    def _refuse_options(self, is_refusing: bool) -> None:
        self.refuses_options = is_refusing

    def _audit(self, act: str, by: str, details: dict[str, Any]) -> "Future[None]":
        self.entries.append((act, by, details))
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def _leave(self) -> None:
        self.left += 1

    @property
    def state(self) -> DrainState:
        return self.draining.state


def test_a_drain_refuses_calls_waits_for_ever_and_is_taken_back() -> None:
    daemon = _Daemon()
    daemon.draining.drain("os:root")
    assert (daemon.state, daemon.refuses_calls, daemon.refuses_options) == (DRAINING, True, True)
    daemon.counts["drained"] += 4
    daemon.timers.pass_by(4 * 3600)
    daemon.live = 0
    daemon.timers.pass_by(3600)
    said = daemon.draining.as_json()
    assert said == {
        "state": "draining", "since": "2026-11-29T12:00:00+00:00", "calls": 0, "refused": 4, "left_s": None,
    }  # fmt: skip
    assert daemon.left == 0, "a drain alone never ends the daemon"
    assert daemon.draining.take_back("os:root") is not None
    assert (daemon.state, daemon.refuses_calls, daemon.refuses_options) == (RUNNING, False, False)
    assert daemon.entries == [
        ("daemon.draining", "os:root", {"calls": 3}),
        ("daemon.taking_calls", "os:root", {"calls": 0, "refused": 4}),
    ]
    assert [(event["state"], event["calls"]) for event in daemon.events] == [
        ("draining", 3), ("draining", 0), ("running", 0),
    ]  # fmt: skip
    assert daemon.draining.take_back("os:root") is None
    assert daemon.draining.as_json()["refused"] == 0


@pytest.mark.parametrize("signal", SECOND)
def test_a_signal_waits_for_the_last_call_and_a_moment_more(signal: str) -> None:
    daemon = _Daemon()
    daemon.draining.signalled(signal)
    assert daemon.draining.as_json()["left_s"] == 600
    daemon.timers.pass_by(100)
    assert (daemon.state, daemon.left, daemon.draining.as_json()["left_s"]) == (STOPPING, 0, 500)
    daemon.live = 0
    daemon.timers.pass_by(QUIET_S - 2 * LOOK_S)
    daemon.live = 1  # an emergency call
    daemon.timers.pass_by(QUIET_S)
    assert daemon.left == 0
    daemon.live = 0
    daemon.timers.pass_by(QUIET_S + 2 * LOOK_S)
    assert (daemon.state, daemon.left) == (ENDING, 1)
    assert daemon.entries == [
        ("daemon.stopping", "signal", {"signal": signal, "calls": 3, "limit_s": 600}),
        ("daemon.stopped", "recorder", {"calls_left": 0, "refused": 0}),
    ]


@pytest.mark.parametrize("signal", SECOND)
def test_a_second_signal_ends_calls_and_a_third_does_nothing(signal: str) -> None:
    daemon = _Daemon()
    daemon.draining.signalled(signal)
    daemon.draining.signalled(SECOND[signal])
    daemon.draining.signalled(signal)
    daemon.timers.pass_by(10)
    assert (daemon.state, daemon.left) == (ENDING, 1)
    assert daemon.entries[-1] == ("daemon.stopped", "recorder", {"calls_left": 3, "refused": 0})


def test_the_limit_ends_calls_that_do_not_end() -> None:
    daemon = _Daemon(options=Drain(limit_s=60))
    daemon.draining.signalled("SIGTERM")
    daemon.timers.pass_by(59.5)
    assert daemon.left == 0
    daemon.timers.pass_by(1)
    assert (daemon.state, daemon.left) == (ENDING, 1)
    assert daemon.entries[-1][2]["calls_left"] == 3


@pytest.mark.parametrize(("live", "limit_s"), [(0, 600.0), (3, 0.0), (0, 0.0)])
def test_without_a_call_or_without_a_limit_a_signal_ends_the_daemon_at_once(live: int, limit_s: float) -> None:
    daemon = _Daemon(live=live, options=Drain(limit_s=limit_s))
    daemon.draining.signalled("SIGTERM")
    assert (daemon.state, daemon.left) == (ENDING, 1)
    assert [act for act, _, _ in daemon.entries] == (["daemon.stopping", "daemon.stopped"] if live else [])


def test_a_repeated_request_to_stop_changes_the_limit_and_never_ends_calls() -> None:
    daemon = _Daemon()
    daemon.draining.drain("os:root")
    daemon.timers.pass_by(300)
    daemon.draining.stop("os:root")
    daemon.timers.pass_by(100)
    daemon.draining.stop("os:root")
    assert (daemon.state, daemon.draining.as_json()["left_s"]) == (STOPPING, 500)
    daemon.draining.stop("os:root", 30)
    assert daemon.draining.as_json()["left_s"] == 30
    assert daemon.draining.take_back("os:root") is None, "who asked for the stop kills what does not leave"
    daemon.timers.pass_by(31)
    assert daemon.left == 1


def test_options_are_answered_as_ever_where_that_is_configured() -> None:
    daemon = _Daemon(options=Drain(refuse_options=False))
    daemon.draining.drain("os:root")
    assert (daemon.refuses_calls, daemon.refuses_options) == (True, False)
