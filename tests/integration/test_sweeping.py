"""The sweep runs by itself: a real daemon starts it, at the time that is configured, and one that is killed goes on."""

import os
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.common.child_process import Child
from recorder.common.home import Home
from recorder.config.settings import Config, Retention, Site
from recorder.recordings.agreement import MARK
from recorder.retention.sweep_process import BUSY, DONE, FAILED, STOPPED
from recorder.retention.sweep_state import NAME
from recorder.retention.sweeping import BUSY_RETRY, RETRY, Sweeping, start_sweep
from tests.helpers import preloaded
from tests.helpers.due_home import DAY, add_recording, is_there
from tests.helpers.recorder_home import RecorderHome, eventually, recorder_home

MORNING = datetime(2026, 7, 1, 9, tzinfo=UTC)
HASTY = """
import sys
from datetime import timedelta
from recorder.cli.cli import app
from recorder.retention import sweeping
from recorder.retention import sweep_times
sweep_times.AFTER_START = timedelta(0)
sweeping.LOOK_S, sweeping.MOST_JITTER = 0.1, timedelta(0)
sys.argv = ["recorder", "run", "-C", sys.argv[1]]
app()
"""
"""A daemon that does not wait for the first sweep."""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[RecorderHome]:
    with recorder_home(tmp_path, is_started=False, next_hop="127.0.0.1:5099") as made:
        yield made


def start_hasty(home: RecorderHome) -> None:
    program = home.root.parent / "hasty.py"
    program.write_text(HASTY)
    home.daemon = preloaded.start_script(program, [str(home.root)], home.log)
    eventually((home.root / "recorder.sock").exists, "the daemon is up", timeout_s=30)


def test_the_daemon_sweeps_by_itself_and_says_what_is_wrong(home: RecorderHome) -> None:
    due, new = add_recording(home, 91 * DAY, 1), add_recording(home, DAY, 2)
    start_hasty(home)
    eventually(lambda: not is_there(home, due), "what is due is gone", timeout_s=60)
    eventually(lambda: "retention sweep: recordings 1" in home.said, "the log says so", timeout_s=30)
    assert is_there(home, new)
    health = home.health()
    assert health["status"] == "ok"
    assert health["retention"]["counts"]["recordings"] == 1
    assert health["retention"]["last_success"]
    (home.root / "state" / MARK).touch()
    assert home.run("retention", "run", *home.as_admin(), "-C", str(home.root)).returncode == 1
    health = home.health()
    assert health["status"] == "alarm"
    assert health["alarms"] == {"retention_stopped": 1}
    assert "recorder index reconcile" in health["retention"]["stopped"]
    assert home.stop() == 0
    assert home.said.count("Next retention sweep at") == 1


def test_a_sweep_that_is_killed_is_an_alarm_in_the_log_and_goes_on(
    home: RecorderHome, caplog: pytest.LogCaptureFixture
) -> None:
    due = add_recording(home, 91 * DAY, 1)
    add_recording(home, DAY, 2)
    clock, children = [MORNING], list[subprocess.Popen[bytes]]()

    def start(place: Home) -> Child:
        child = start_sweep(place)
        assert isinstance(child, subprocess.Popen)
        children.append(child)
        if len(children) == 1:
            os.kill(child.pid, signal.SIGKILL)
        return child

    sweeping = Sweeping(Home(home.root), Config, now=lambda: clock[0], jitter=timedelta(0), look_s=0.01, start=start)
    sweeping.start()
    try:
        eventually(lambda: sweeping.health()["next"], "a sweep is planned")
        clock[0] += timedelta(minutes=5)
        eventually(lambda: "ended by signal 9" in caplog.text, "the kill is seen", timeout_s=20)
        assert is_there(home, due)
        clock[0] += RETRY
        eventually(lambda: not is_there(home, due), "the next one has done it", timeout_s=60)
        eventually(lambda: children[1].poll() is not None, "it has ended", timeout_s=30)
        assert [one.returncode for one in children] == [-signal.SIGKILL, DONE]
    finally:
        sweeping.close()
    assert os.getpgid(0) != children[1].pid


class Sweeps:
    """Sweeps that do nothing and end as they are told."""

    def __init__(self, folder: Path, *, at: str = "03:00", timezone: str = "Europe/London") -> None:
        self.now = MORNING
        self.code: int | None = DONE
        self.begun: list[datetime] = []
        self.ended: list[str] = []
        self.config = Config(retention=Retention(sweep_at=at), site=Site(timezone=timezone))
        self.home = Home(folder)
        self.sweeping = Sweeping(
            self.home, lambda: self.config, now=lambda: self.now, jitter=timedelta(minutes=20), look_s=0.002,
            start=self.start,
        )  # fmt: skip

    def start(self, _home: Home) -> Child:
        self.begun.append(self.now)
        return self

    def poll(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.ended.append("terminated")

    def kill(self) -> None:
        self.ended.append("killed")

    def wait(self, timeout: float | None = None) -> int:
        if timeout is not None and self.ended == ["terminated"]:
            raise subprocess.TimeoutExpired("sweep", timeout)
        return -signal.SIGKILL

    @property
    def next(self) -> datetime | None:
        found = self.sweeping.health()["next"]
        return None if found is None else datetime.fromisoformat(found)

    def has_next(self, moment: datetime) -> None:
        eventually(lambda: self.next == moment, f"the next sweep is at {moment}, not {self.next}")


@pytest.fixture
def sweeps(tmp_path: Path) -> Iterator[Sweeps]:
    made = Sweeps(tmp_path)
    made.sweeping.start()
    try:
        yield made
    finally:
        made.sweeping.close()


def test_each_day_at_the_time_of_the_sites_clock_and_first_soon_after_the_start(sweeps: Sweeps) -> None:
    sweeps.has_next(MORNING + timedelta(minutes=10))
    sweeps.now += timedelta(minutes=10)
    tomorrow = datetime(2026, 7, 2, 2, 20, tzinfo=UTC)  # 03:00 in London, in summer, and the jitter
    sweeps.has_next(tomorrow)
    sweeps.now = tomorrow
    sweeps.has_next(tomorrow + DAY)
    assert sweeps.begun == [MORNING + timedelta(minutes=10), tomorrow]


@pytest.mark.parametrize(
    ("code", "after"), [(FAILED, RETRY), (-signal.SIGKILL, RETRY), (BUSY, BUSY_RETRY)], ids=["failed", "killed", "busy"]
)
def test_one_that_did_not_do_it_is_tried_again(sweeps: Sweeps, code: int, after: timedelta) -> None:
    sweeps.code = code
    sweeps.has_next(MORNING + timedelta(minutes=10))
    sweeps.now += timedelta(minutes=10)
    sweeps.has_next(sweeps.now + after)
    assert len(sweeps.begun) == 1


def test_one_that_was_stopped_waits_for_the_next_day(sweeps: Sweeps) -> None:
    sweeps.code = STOPPED
    sweeps.has_next(MORNING + timedelta(minutes=10))
    sweeps.now += timedelta(minutes=10)
    sweeps.has_next(datetime(2026, 7, 2, 2, 20, tzinfo=UTC))


def test_a_changed_time_and_a_clock_that_was_set_back_are_followed(sweeps: Sweeps) -> None:
    sweeps.has_next(MORNING + timedelta(minutes=10))
    sweeps.now += timedelta(minutes=10)
    sweeps.has_next(datetime(2026, 7, 2, 2, 20, tzinfo=UTC))
    (sweeps.home.state).mkdir()
    (sweeps.home.state / NAME).write_text(
        '{"last_try": "2026-07-01T09:10:00Z", "last_success": "2026-07-01T09:10:00Z", "unconfirmed": []}'
    )
    sweeps.config = Config(retention=Retention(sweep_at="22:30"))
    sweeps.has_next(datetime(2026, 7, 1, 21, 50, tzinfo=UTC))
    sweeps.now = datetime(2026, 6, 20, 9, tzinfo=UTC)
    sweeps.has_next(datetime(2026, 6, 20, 21, 50, tzinfo=UTC))
    assert len(sweeps.begun) == 1


def test_a_sweep_that_was_cut_off_with_the_daemon_goes_on_soon_after_the_start(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / NAME).write_text(
        '{"last_try": "2026-07-01T02:20:00Z", "last_success": "2026-06-30T10:00:00Z", "unconfirmed": []}'
    )
    sweeps = Sweeps(tmp_path)
    sweeps.sweeping.start()
    try:
        sweeps.has_next(MORNING + timedelta(minutes=10))
    finally:
        sweeps.sweeping.close()


def test_the_end_ends_a_sweep_that_does_not_want_to(sweeps: Sweeps) -> None:
    sweeps.code = None
    sweeps.has_next(MORNING + timedelta(minutes=10))
    sweeps.now += timedelta(minutes=10)
    eventually(lambda: sweeps.begun, "it runs")
    sweeps.sweeping.close()
    assert sweeps.ended == ["terminated", "killed"]


def test_health_tells_of_what_is_wrong_and_of_a_sweep_that_is_overdue(sweeps: Sweeps) -> None:
    assert sweeps.sweeping.health()["alarms"] == {}
    sweeps.code = FAILED
    eventually(lambda: sweeps.next, "the first sweep is planned")
    sweeps.now += timedelta(days=3, minutes=1)
    alarms = {"retention_overdue": 1, "retention_failed": 1}
    eventually(lambda: sweeps.sweeping.health()["alarms"] == alarms, "a sweep that left no word is an alarm")
    assert "ended with exit code 1" in sweeps.sweeping.health()["problem"]
    sweeps.code, sweeps.now = DONE, sweeps.now + timedelta(minutes=31)
    eventually(lambda: "retention_failed" not in sweeps.sweeping.health()["alarms"], "until one ends well")
    sweeps.home.state.mkdir()
    (sweeps.home.state / NAME).mkdir()  # cannot be read
    assert sweeps.sweeping.health()["alarms"]["retention_failed"] == 1
