"""When systemd's watchdog is fed, in virtual time: as long as call thread and writer make progress."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recorder.common.service_manager import ServiceManager
from recorder.rules.drain import DrainState
from recorder.service.heartbeat import BEAT_S, LATE_S, STUCK_S, Heartbeat, waits_for_disk
from tests.helpers.recorder_home import eventually

WATCHDOG_S = 60.0


class _Manager(ServiceManager):
    """Notes what it is told, and when."""

    def __init__(self, clock: Callable[[], float], watchdog_s: float | None = WATCHDOG_S) -> None:
        super().__init__()
        self.watchdog_s = watchdog_s
        self._clock = clock
        self.told: list[tuple[float, str]] = []

    def _send(self, text: str, wait_s: float = 0.0) -> None:
        self.told.append((self._clock(), text))

    @property
    def fed_s(self) -> list[float]:
        return [at_s for at_s, text in self.told if text == "WATCHDOG=1"]

    @property
    def texts(self) -> list[str]:
        return [text for _, text in self.told if text != "WATCHDOG=1"]


class _Draining:
    state = DrainState.RUNNING


class _Daemon:
    """A call thread with a timer, and a writer, both of which can be stalled."""

    def __init__(self, watchdog_s: float | None = WATCHDOG_S) -> None:
        self.now_s = 1000.0
        self.calls = 0
        self.writer_s = self.now_s
        self.is_writer_stuck = self.is_at_disk = False
        self.blocked_until_s = 0.0
        self.alarms: list[str] = []
        self.draining = _Draining()
        self._due: tuple[float, Callable[..., object]] | None = None
        self.manager = _Manager(lambda: self.now_s, watchdog_s)
        draining: Any = self.draining
        self.heartbeat = Heartbeat(
            self, self.manager, draining, calls=lambda: self.calls, writer_s=lambda: self.writer_s,
            is_at_disk=lambda: self.is_at_disk, alarm=self.alarms.append, clock=lambda: self.now_s,
        )  # fmt: skip

    def submit(self, fn: Callable[..., object], *args: object) -> None:
        raise NotImplementedError

    def call_later(self, seconds: float, fn: Callable[..., object], *args: object) -> None:
        self._due = self.now_s + seconds, fn

    def pass_by(self, seconds: float) -> None:
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            self.now_s += 0.05
            if not self.is_writer_stuck:
                self.writer_s = self.now_s
            if self._due is not None and self.now_s >= max(self._due[0], self.blocked_until_s):
                due, self._due = self._due[1], None
                due()


@pytest.fixture
def daemon() -> _Daemon:
    made = _Daemon()
    made.heartbeat.start()
    return made


def test_a_daemon_that_makes_progress_is_fed_each_beat(daemon: _Daemon) -> None:
    daemon.pass_by(300)
    gaps = [after - before for before, after in zip(daemon.manager.fed_s, daemon.manager.fed_s[1:], strict=False)]
    assert len(gaps) > 250
    assert max(gaps) < BEAT_S + 0.2
    assert (daemon.manager.texts, daemon.alarms) == (["READY=1\nSTATUS=0 calls in progress"], [])


def test_a_short_watchdog_is_fed_more_often() -> None:
    daemon = _Daemon(watchdog_s=2.0)
    daemon.heartbeat.start()
    daemon.pass_by(10)
    assert len(daemon.manager.fed_s) > 16


def test_a_stalled_call_thread_lets_the_watchdog_bite(daemon: _Daemon) -> None:
    daemon.pass_by(10)
    daemon.blocked_until_s = daemon.now_s + WATCHDOG_S + 5
    blocked_s = daemon.now_s
    daemon.pass_by(WATCHDOG_S + 4)
    assert all(fed_s <= blocked_s for fed_s in daemon.manager.fed_s), "it would be killed now"


def test_a_slow_disk_is_an_alarm_and_no_reason_to_end_the_daemon(daemon: _Daemon) -> None:
    """Each operation takes most of a minute, but ends."""
    for _ in range(10):
        daemon.is_writer_stuck = True
        daemon.pass_by(50)
        daemon.is_writer_stuck = False
        daemon.pass_by(0.1)
    gaps = [after - before for before, after in zip(daemon.manager.fed_s, daemon.manager.fed_s[1:], strict=False)]
    assert max(gaps) < BEAT_S + 0.2
    assert set(daemon.alarms) == {"writer_stuck"}


def test_a_writer_that_is_stuck_is_an_alarm_and_then_lets_the_watchdog_bite(
    daemon: _Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    daemon.pass_by(10)
    daemon.is_writer_stuck = True
    stuck_s = daemon.now_s
    daemon.pass_by(LATE_S - 1)
    assert daemon.alarms == []
    daemon.pass_by(3)
    assert daemon.alarms == ["writer_stuck"], "once"
    assert "so audio is being lost: it does not wait for the disk, which is a fault" in caplog.text
    daemon.pass_by(STUCK_S + WATCHDOG_S)
    assert STUCK_S - 2 < max(daemon.manager.fed_s) - stuck_s < STUCK_S + 0.1
    daemon.is_writer_stuck = False
    daemon.pass_by(2)
    assert daemon.now_s - max(daemon.manager.fed_s) < 2
    assert "the writer goes on" in caplog.text


def test_a_disk_that_never_answers_is_an_alarm_and_ends_no_call(
    daemon: _Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    daemon.is_writer_stuck = daemon.is_at_disk = True
    daemon.pass_by(10 * STUCK_S)
    assert daemon.now_s - max(daemon.manager.fed_s) < 2
    assert daemon.alarms == ["writer_stuck"]
    assert "so audio is being lost: the disk does not answer" in caplog.text


def test_a_thread_that_waits_for_the_disk_is_told_from_one_that_waits_for_a_lock(tmp_path: Path) -> None:
    """The parent of a vfork waits in state D, until its child ends: here when its standard input is closed."""
    source, program = tmp_path / "waits.c", tmp_path / "waits"
    source.write_text(
        '#include <unistd.h>\nint main(void){char c; if (!vfork()) {write(1, "!", 1); read(0, &c, 1); _exit(0);} '
        'write(1, "!", 1); read(0, &c, 1); return 0;}'
    )
    subprocess.run(["gcc", "-w", "-o", program, source], check=True)
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdout.read(1)
        eventually(lambda: waits_for_disk(process.pid, process.pid), "the parent waits")
        process.stdin.write(b"x")
        process.stdout.read(1)
        assert not waits_for_disk(process.pid, process.pid)
        process.stdin.close()
    assert not waits_for_disk(process.pid, process.pid), "it has ended"


def test_the_status_says_how_many_calls_there_are_when_that_changes(daemon: _Daemon) -> None:
    daemon.pass_by(5)
    daemon.calls = 1
    daemon.pass_by(5)
    daemon.calls = 12
    daemon.draining.state = DrainState.DRAINING
    daemon.pass_by(5)
    assert daemon.manager.texts[1:] == [
        "STATUS=1 call in progress", "STATUS=draining, new calls are refused: 12 calls in progress",
    ]  # fmt: skip


def test_a_stop_says_so_once_and_asks_for_time_with_each_beat(daemon: _Daemon) -> None:
    daemon.calls = 1
    daemon.pass_by(5)
    daemon.draining.state = DrainState.STOPPING
    daemon.pass_by(100)
    asked = [text for text in daemon.manager.texts if text == "EXTEND_TIMEOUT_USEC=30000000"]
    assert len(asked) > 90
    assert len(daemon.manager.fed_s) > 90, "the watchdog watches a daemon that drains too"
    daemon.heartbeat.stop()
    assert daemon.manager.texts.count("STOPPING=1") == 1
