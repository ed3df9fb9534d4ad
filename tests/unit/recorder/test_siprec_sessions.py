"""How sessions were left: known under any of their names, for a day, and from one process to the next."""

from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import pytest

from recorder.calls.session_register import KEPT_S, MOST, LeftSession, SessionRegister
from recorder.common.serial_executor import SerialExecutor
from recorder.rules.pausing import Final, PauseState


class AtOnce:
    """An executor that runs at once what it is given."""

    def submit(self, work: Any, *args: Any) -> Future[None]:
        done: Future[None] = Future()
        done.set_result(work(*args))
        return done


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def register(folder: Path, clock: Clock) -> SessionRegister:
    return SessionRegister(folder / "sessions.journal", cast(SerialExecutor, AtOnce()), now=clock)


def test_a_pause_is_found_under_every_name_and_after_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    register(tmp_path, clock).put(["a", "b"], ["g"], state=PauseState.PAUSED, reasons=["agent", "hold"])
    for again in (register(tmp_path, clock), register(tmp_path, clock)):
        assert again.left(["b", "c"]) == LeftSession(reasons=frozenset({"agent"}))
        assert again.left(["c"], ["g"]) == LeftSession(), "a pause is of a session, not of its group"


def test_an_opt_out_is_the_groups(tmp_path: Path) -> None:
    clock = Clock()
    register(tmp_path, clock).put(["a"], ["g"], state=PauseState.OPTED_OUT, reasons=[])
    assert register(tmp_path, clock).left(["z"], ["g"]).final is Final.OPTED_OUT


def test_discarded_beats_opted_out(tmp_path: Path) -> None:
    found = register(tmp_path, Clock())
    found.put(["a"], [], state=PauseState.DISCARDED, reasons=[])
    found.put(["b"], [], state=PauseState.OPTED_OUT, reasons=[])
    assert found.left(["a", "b"]).final is Final.DISCARDED


def test_what_was_resumed_or_only_held_is_forgotten(tmp_path: Path) -> None:
    found = register(tmp_path, Clock())
    found.put(["a"], [], state=PauseState.PAUSED, reasons=["agent"])
    found.put(["a"], [], state=PauseState.RECORDING, reasons=[])
    found.put(["h"], [], state=PauseState.PAUSED, reasons=["hold"])
    assert found.left(["a", "h"]) == LeftSession()


@pytest.mark.parametrize(
    ("state", "reasons", "final"),
    [(PauseState.PAUSED, {"agent"}, None), (PauseState.OPTED_OUT, set(), Final.OPTED_OUT)],
)
def test_what_is_added_clears_nothing(
    tmp_path: Path, state: PauseState, reasons: set[str], final: Final | None
) -> None:
    found = register(tmp_path, Clock())
    found.put(["a"], [], state=state, reasons=reasons)
    found.put(["a", "b"], [], state=PauseState.OUT_OF_SCOPE, reasons=[], is_added=True)
    assert found.left(["a"]) == LeftSession(reasons=frozenset(reasons), final=final)
    assert found.left(["b"]) == LeftSession()
    found.put(["a", "b"], [], state=PauseState.PAUSED, reasons=["manager", "hold"], is_added=True)
    assert found.left(["a"]) == LeftSession(reasons=frozenset(reasons | {"manager"}), final=final)
    assert found.left(["b"]) == LeftSession(reasons=frozenset({"manager"}))


def test_a_day_later_nobody_asks(tmp_path: Path) -> None:
    clock = Clock()
    found = register(tmp_path, clock)
    found.put(["a"], [], state=PauseState.PAUSED, reasons=["agent"])
    clock.now += KEPT_S + 1
    assert found.left(["a"]) == LeftSession()


def test_the_oldest_go_when_there_are_too_many(tmp_path: Path) -> None:
    found = register(tmp_path, Clock())
    for i in range(0, MOST + 100, 50):
        found.put([f"s{j}" for j in range(i, i + 50)], [], state=PauseState.PAUSED, reasons=["agent"])
    assert found.left(["s0"]) == LeftSession()
    assert found.left([f"s{MOST + 99}"]).reasons == {"agent"}


def test_no_name_is_on_the_disk(tmp_path: Path) -> None:
    register(tmp_path, Clock()).put(["+441632960001"], [], state=PauseState.PAUSED, reasons=["agent"])
    assert b"1632960001" not in (tmp_path / "sessions.journal").read_bytes()


def test_a_register_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "sessions.journal").mkdir()
    assert not register(tmp_path, Clock()).is_known
