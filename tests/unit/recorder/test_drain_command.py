"""`recorder drain` beside somebody else who stops the daemon, takes the drain back, or kills it."""

from typing import Any

import pytest
import typer

from recorder.cli import drain
from recorder.control.errors import DaemonUnavailableError


class _Client:
    """A daemon that says these states one after the other, and is gone then."""

    def __init__(self, *states: tuple[str, int]) -> None:
        self._states = [{"state": state, "calls": calls, "left_s": None} for state, calls in states]

    def drain(self) -> dict[str, Any]:
        return self.state()

    def state(self) -> dict[str, Any]:
        if not self._states:
            raise DaemonUnavailableError("No daemon is running here.")
        return self._states.pop(0)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "LOOK_S", 0.0)


def waited(client: Any) -> dict[str, Any]:
    return drain._drain(client, None)


def test_a_daemon_that_is_stopped_meanwhile_is_no_failure(capsys: pytest.CaptureFixture[str]) -> None:
    found = waited(_Client(("draining", 2), ("stopping", 1), ("stopping", 1)))
    assert (found["state"], found["calls"]) == ("stopped", 1)
    said = capsys.readouterr().err
    assert "draining: new calls are refused; 2 calls in progress" in said
    assert "the daemon has stopped, after 0:00; it ended 1 call" in said


def test_a_daemon_that_is_killed_meanwhile_is_one() -> None:
    with pytest.raises(DaemonUnavailableError):
        waited(_Client(("draining", 2), ("draining", 2)))


def test_a_drain_that_somebody_takes_back_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        waited(_Client(("draining", 2), ("running", 2)))
    assert "someone cancelled the drain" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1h", 3600), ("1.5m", 90), ("24h", 86400), ("0", 0)]
)
def test_a_time_has_a_unit_or_is_in_seconds(text: str, seconds: float) -> None:
    assert drain.seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-5m", "10 m", "25h", "1e3", "nan", "10min", "\u0661m"])
def test_what_is_no_time_is_a_wrong_use(text: str) -> None:
    with pytest.raises(typer.Exit) as exit_:
        drain.seconds_of(text)
    assert exit_.value.exit_code == 2
