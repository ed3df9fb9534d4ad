"""The sweep's own process leaves word of whatever went wrong, so that health shows it."""

from pathlib import Path

import pytest

from recorder.common import child_process
from recorder.retention.sweep import Sweeper
from recorder.retention.sweep_process import FAILED, main
from recorder.retention.sweep_state import NAME, SweepState, alarms_of, read_state
from tests.helpers.sweep_site import NOW, SweepSite


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    site = SweepSite(tmp_path)
    site.close()
    site.home.config.touch()
    monkeypatch.setattr(child_process, "begin", lambda: None)
    return site.home.root


def left(home: Path) -> SweepState:
    state = read_state(home / "state" / NAME)
    assert state is not None
    assert alarms_of(state, NOW, since=NOW) == {"retention_failed": 1}
    return state


def test_an_error_that_nobody_foresaw_is_an_alarm_and_in_the_log(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def surprise(_: Sweeper) -> SweepState:
        raise ZeroDivisionError("020 7946 0000 called")

    monkeypatch.setattr(Sweeper, "run", surprise)
    assert main(home) == FAILED
    problem = left(home).problem
    assert "ZeroDivisionError" in problem
    assert "7946" not in problem, "what it says may be of a caller"
    assert "Traceback" in caplog.text


def test_what_keeps_it_from_beginning_is_an_alarm(home: Path) -> None:
    (home / "recorder.toml").write_text("[retention]\nretention_days = -1\n")
    assert main(home) == FAILED
    assert "retention_days" in left(home).problem


def test_an_earlier_state_is_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(home) == 0
    before = read_state(home / "state" / NAME)
    assert before is not None

    def surprise(_: Sweeper) -> SweepState:
        raise KeyError("x")

    monkeypatch.setattr(Sweeper, "run", surprise)
    assert main(home) == FAILED
    assert (left(home).in_force, left(home).last_success) == (before.in_force, before.last_success)
