"""The end of a daemon with calls in progress, over the wire: it leaves when the last one has ended, or when told."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.home import RecorderHome as BenchHome
from benchmarks.messages import Media
from benchmarks.placed import PlacedCalls, extensions
from benchmarks.ports import free_address, free_port, media_ports
from storage.audit import AuditLog
from tests.helpers.exchange import Exchange, exchange
from tests.helpers.recorder_home import ROOT, eventually

LIMIT = ("limit_s = 0.0", "limit_s = 40.0")


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Exchange]:
    with exchange(tmp_path, edits=(LIMIT,)) as made:
        yield made


def refused(lines: Exchange) -> None:
    talk = lines.call()
    talk.first.wait_ended()
    assert talk.first.status == 503


def test_sigterm_cuts_no_call_and_the_daemon_leaves_after_the_last(lines: Exchange) -> None:
    home = lines.home
    talks = [lines.call() for _ in range(3)]
    for talk in talks:
        talk.join()
    assert home.daemon is not None
    home.daemon.terminate()
    eventually(lambda: home.health()["drain"]["state"] == "stopping", "it drains")
    refused(lines)
    for talk in talks:
        talk.talk_for(1.0)
        assert talk.first.ended_by == "", "nobody has cut it"
        assert home.daemon.poll() is None
        assert talk.hang_up()["reason"] == "caller_hung_up"
        assert talk.wait_second().ended_by == "them"
    assert home.daemon.wait(10) == 0
    assert {home.row_of(talk.number)["outcome"] for talk in talks} == {"recorded"}
    assert "Traceback" not in home.said


def test_a_second_signal_ends_the_calls_at_once(lines: Exchange) -> None:
    home = lines.home
    talk = lines.call()
    talk.join()
    talk.talk_for(0.5)
    assert home.daemon is not None
    home.daemon.send_signal(signal.SIGINT)
    eventually(lambda: "a second SIGTERM or Ctrl-C ends them at once" in home.said, "it says how to end it")
    assert home.health()["drain"]["calls"] == 1
    asked_s = time.monotonic()
    home.daemon.terminate()
    assert home.daemon.wait(10) == 0
    assert time.monotonic() - asked_s < 10
    talk.first.wait_ended()
    assert (talk.first.ended_by, talk.wait_second().ended_by) == ("them", "them")
    assert home.row_of(talk.number)["reason"] == "daemon_stopped"


def test_the_command_stops_the_daemon_and_says_what_it_ended(lines: Exchange) -> None:
    home = lines.home
    talk = lines.call()
    talk.join()
    talk.talk_for(0.5)
    began_s = time.monotonic()
    done = home.run("drain", "--stop", "--for", "2s", "-C", str(home.root), "--json")
    assert time.monotonic() - began_s > 2
    assert (done.returncode, json.loads(done.stdout)["calls"]) == (1, 1), done.stderr
    assert "; it ended 1 call" in done.stderr
    assert home.daemon is not None
    assert home.daemon.wait(1) == 0, "the command waits until the process has left"
    assert home.row_of(talk.number)["reason"] == "daemon_stopped"
    again = home.run("drain", "--stop", "-C", str(home.root))
    assert (again.returncode, "there is nothing to stop" in again.stderr) == (1, True)


def answers(port: int) -> bool:
    """Tell whether somebody listens at a TCP port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.long
def test_fifty_calls_of_twenty_seconds_end_by_themselves() -> None:
    """The show of issue 17: SIGTERM with 50 calls of 20 s, none of which is cut."""
    count, seconds = 50, 20.0
    sip = free_address()
    with PlacedCalls(count) as placed:
        host, port = placed.officer.address
        home = BenchHome(
            sip=f"{sip[0]}:{sip[1]}", next_hop=f"{host}:{port}", extensions=extensions(count),
            media_ports=media_ports(count), notice_s=1.0, edits=[("limit_s = 0.0", "limit_s = 90.0")],
        )  # fmt: skip
        with home:
            placed.place(sip, rate=10)
            assert placed.wait_joined(60) == count
            os.kill(home.pid, signal.SIGTERM)
            media = Media(ip="127.0.0.1", port=9)
            late = [placed.caller.invite(sip, "20001", from_number="02079460000", media=media) for _ in range(3)]
            for index, joined_s in sorted(placed.joined_at_s.items(), key=lambda one: one[1]):
                time.sleep(max(0.0, joined_s + seconds - time.monotonic()))
                placed.placed[index].hang_up()
            last_s = time.monotonic()
            eventually(lambda: not home.is_alive, "it leaves after the last call")
            left_s = time.monotonic() - last_s
            rows = home.find()
            entry = next(e for e in AuditLog(home.root / "audit").entries() if e.act == "daemon.stopped")
            verified = home.verify_all()
        assert [call.status for call in late] == [503] * 3
        assert [call.ended_by for call in placed.placed] == ["us"] * count, "none is cut"
        assert {call.ended_by for call in placed.officer.incoming()} == {"them"}
    assert {(row["outcome"], row["reason"]) for row in rows} == {("recorded", "caller_hung_up")}
    assert len(rows) == count
    assert min(row["recorded_s"] for row in rows) > seconds - 2
    assert dict(entry.details) == {"calls_left": 0, "refused": 3}
    assert verified == {"good": count, "bad": 0}
    assert left_s < 10


@contextmanager
def running_up(folder: Path) -> Iterator[tuple[Exchange, subprocess.Popen[bytes], int]]:
    """Run `recorder up` in a process group of its own, as a shell does; yields the port of its console too."""
    port = free_port()
    console = ('[console]\nlisten = "off"', f'[console]\nlisten = "127.0.0.1:{port}"')
    with exchange(folder, is_started=False, edits=(LIMIT, console)) as lines:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "recorder", "up", "-C", str(lines.home.root)]
        with lines.home.log.open("wb") as log:
            up = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=ROOT, process_group=0)
        try:
            eventually(lambda: "console on http" in lines.home.said and answers(port), "both run")
            yield lines, up, port
        finally:
            up.kill()
            up.wait()


def press_ctrl_c(up: subprocess.Popen[bytes]) -> None:
    """Send what a terminal sends: SIGINT to the whole process group."""
    os.killpg(up.pid, signal.SIGINT)


@pytest.mark.long
def test_up_drains_and_leaves_the_console_until_the_last_call_has_ended(tmp_path: Path) -> None:
    with running_up(tmp_path) as (lines, up, port):
        talk = lines.call()
        talk.join()
        press_ctrl_c(up)
        eventually(lambda: lines.home.health()["drain"]["state"] == "stopping", "it drains")
        refused(lines)
        talk.talk_for(1.0)
        assert up.poll() is None
        assert answers(port), "people can still pause"
        assert talk.hang_up()["outcome"] == "recorded"
        assert up.wait(30) == 0, lines.home.said[-2000:]
        assert not answers(port)


@pytest.mark.long
def test_a_second_ctrl_c_ends_the_calls_of_up_at_once(tmp_path: Path) -> None:
    with running_up(tmp_path) as (lines, up, port):
        talk = lines.call()
        talk.join()
        talk.talk_for(0.5)
        press_ctrl_c(up)
        eventually(lambda: lines.home.health()["drain"]["state"] == "stopping", "it drains")
        press_ctrl_c(up)
        assert up.wait(20) == 0, lines.home.said[-2000:]
        assert talk.first.ended_by == "them"
        assert lines.home.row_of(talk.number)["reason"] == "daemon_stopped"
        assert not answers(port)
