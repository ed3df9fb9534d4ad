"""What systemd hears of a real daemon: ready, reloading, stopping, and a watchdog that is fed or not."""

import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.ports import free_port
from tests.helpers.exchange import exchange
from tests.helpers.recorder_home import ROOT, eventually, recorder_home

UCRED = struct.Struct("=iII")
UNWIPED = ("env", "-u", "PYTHONMALLOC", "-u", "GLIBC_TUNABLES")
"""As started by hand: the program starts itself again with its settings for the allocator."""


class Systemd:
    """Hears what a service says, and from which process."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.told: list[tuple[float, int, str]] = []

    def close(self) -> None:
        self._socket.close()

    def listen(self) -> None:
        """Take what has arrived."""
        while True:
            try:
                data, ancillary, _, _ = self._socket.recvmsg(1000, socket.CMSG_SPACE(UCRED.size))
            except BlockingIOError:
                return
            pid, _, _ = UCRED.unpack(ancillary[0][2])
            self.told.append((time.monotonic(), pid, data.decode()))

    def wait(self, pattern: str, *, since: int = 0) -> str:
        """Wait for a message."""

        def heard() -> str | None:
            self.listen()
            return next((text for _, _, text in self.told[since:] if re.fullmatch(pattern, text)), None)

        return eventually(heard, f"systemd is told {pattern}")

    @property
    def fed(self) -> int:
        self.listen()
        return sum(text == "WATCHDOG=1" for _, _, text in self.told)


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Systemd]:
    listening = Systemd(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "2000000")
    yield listening
    listening.close()


def stays(probe: Callable[[], int], seconds: float) -> bool:
    """Tell whether a figure does not change for some seconds."""
    before = probe()
    time.sleep(seconds)
    return probe() == before


def test_systemd_is_told_how_a_daemon_is_from_start_to_end(systemd: Systemd, tmp_path: Path) -> None:
    with exchange(tmp_path / "site", edits=(("limit_s = 0.0", "limit_s = 30.0"),), is_started=False) as lines:
        home = lines.home
        home.start(before=UNWIPED)
        systemd.wait("READY=1\nSTATUS=0 calls in progress")
        assert {pid for _, pid, _ in systemd.told} == {home.pid}, "NotifyAccess=main"
        assert systemd.told[0][2] == "STATUS=recovering what an earlier run left open"
        eventually(lambda: systemd.fed > 2, "the watchdog is fed")

        since = len(systemd.told)
        home.ask_for_reload()
        systemd.wait(r"RELOADING=1\nMONOTONIC_USEC=\d+", since=since)
        systemd.wait("READY=1", since=since)

        talk = lines.call("4711")
        talk.first.wait_confirmed()
        systemd.wait("STATUS=1 call in progress")

        assert home.daemon is not None
        home.daemon.send_signal(signal.SIGSTOP)
        stays(lambda: systemd.fed, 0.2)  # what was under way arrives
        assert stays(lambda: systemd.fed, 1.5), "whoever makes no progress is not fed"
        home.daemon.send_signal(signal.SIGCONT)
        fed = systemd.fed
        eventually(lambda: systemd.fed > fed, "it is fed again")

        home.daemon.terminate()
        systemd.wait("STATUS=stopping, new calls are refused: 1 call in progress")
        systemd.wait("STOPPING=1")
        systemd.wait("EXTEND_TIMEOUT_USEC=30000000")
        fed = systemd.fed
        eventually(lambda: systemd.fed > fed, "it is fed while it drains")
        talk.first.hang_up()
        assert home.daemon.wait(10) == 0
        systemd.listen()
        assert sum(text == "STOPPING=1" for _, _, text in systemd.told) == 1
        assert "could not be told" not in home.said


@pytest.mark.long
def test_a_daemon_of_an_older_unit_ends_calls_at_once(tmp_path: Path) -> None:
    """systemd would kill it 30 s after SIGTERM, and what is being recorded would only be recovered."""
    with exchange(tmp_path / "site", edits=(("limit_s = 0.0", "limit_s = 60.0"),), is_started=False) as lines:
        home = lines.home
        home.start(before=("sh", "-c", 'SYSTEMD_EXEC_PID=$$ exec "$0" "$@"'))
        assert "the systemd unit has no Type=notify" in home.said
        talk = lines.call()
        talk.join()
        talk.talk_for(0.5)
        began_s = time.monotonic()
        assert home.stop() == 0
        assert time.monotonic() - began_s < 15
        assert home.row_of(talk.number)["reason"] == "daemon_stopped"


@pytest.mark.long
def test_an_aborted_daemon_says_where_its_threads_were_and_nothing_of_calls(tmp_path: Path) -> None:
    """systemd's watchdog sends SIGABRT."""
    with exchange(tmp_path / "site") as lines:
        home = lines.home
        talk = lines.call()
        talk.join()
        assert home.daemon is not None
        home.daemon.send_signal(signal.SIGABRT)
        assert home.daemon.wait(10) == -signal.SIGABRT
        assert "Fatal Python error: Aborted" in home.said
        assert re.search(r'reactor\.py", line \d+ in run', home.said), "the call thread"
        assert re.search(r'writer\.py", line \d+ in', home.said)
        assert talk.number not in home.said


@pytest.mark.long
def test_systemd_is_told_when_the_console_listens_and_when_it_stops(systemd: Systemd, tmp_path: Path) -> None:
    port = free_port()
    with recorder_home(tmp_path / "site", next_hop="127.0.0.1:9", is_started=False) as home:
        home.edit('[console]\nlisten = "off"', f'[console]\nlisten = "127.0.0.1:{port}"')
        console = subprocess.Popen(
            [sys.executable, "-m", "recorder", "console", "-C", str(home.root)],
            env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=ROOT,
        )  # fmt: skip
        try:
            systemd.wait("READY=1\nSTATUS=listening")
            assert {pid for _, pid, _ in systemd.told} == {console.pid}
            with socket.create_connection(("127.0.0.1", port)):
                pass
            console.terminate()
            systemd.wait("STOPPING=1")
            assert console.wait(20) in (0, -signal.SIGTERM)
        finally:
            console.kill()
            console.wait()
