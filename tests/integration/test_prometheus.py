"""A real Prometheus scrapes a real daemon and console during a call; an alert fires and clears."""

import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.ports import free_port
from recorder.retention.sweep_state import NAME, SweepState, state_to_json
from tests.helpers import preloaded
from tests.helpers.exchange import Exchange, exchange
from tests.helpers.prometheus import Prometheus, prometheus
from tests.helpers.recorder_home import eventually

OFF = 'listen = "off"                  # IP:PORT, 127.0.0.1:9760'
STOPPED = ("RecorderAlarm", "retention_stopped")


@dataclass(frozen=True)
class Watched:
    """A recorder with calls, and the Prometheus that watches it."""

    lines: Exchange
    prometheus: Prometheus
    log: Path


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    ports = {"recorder": free_port(), "recorder-console": free_port()}
    daemon, of_console = (f'listen = "127.0.0.1:{port}"' for port in ports.values())
    edits = (
        (OFF, daemon),
        ('listen = "off"                  # the console', f"{of_console}  # the console"),
        ('[console]\nlisten = "off"', f'[console]\nlisten = "127.0.0.1:{free_port()}"'),
    )  # fmt: skip
    log = folder / "console.log"
    with exchange(folder / "recorder", edits=edits) as lines:
        console = preloaded.start(["console", "-C", str(lines.home.root)], log)
        try:
            with prometheus(folder / "prometheus", ports) as found:
                yield Watched(lines, found, log)
        finally:
            console.terminate()
            console.wait(20)


def test_it_scrapes_both_and_follows_a_call(watched: Watched) -> None:
    seen = watched.prometheus
    eventually(lambda: seen.value("sum(up)") == 2, "both are scraped")
    talk = watched.lines.call()
    talk.join()
    eventually(lambda: seen.value('recorder_calls_in_progress{state="joined"}') == 1, "the call is seen")
    eventually(lambda: seen.value('recorder_recordings_in_progress{state="recording"}') == 1, "and its recording")
    talk.talk_for(1.0)
    talk.hang_up()
    eventually(lambda: seen.value('recorder_calls_ended_total{outcome="recorded"}') == 1, "its outcome is seen")
    eventually(lambda: seen.value('recorder_calls_in_progress{state="joined"}') == 0, "its end is seen")
    received = eventually(lambda: seen.value("recorder_media_packets_received_total"), "there were packets")
    assert received > 20
    assert eventually(lambda: seen.value("recorder_disk_free_bytes"), "the disk is seen") > 0
    eventually(lambda: seen.value("recorder_retention_backlog") == 0, "the database was asked")
    eventually(lambda: seen.value('recorder_alarm{alarm="accounts_changed"}') == 0, "the console was asked")
    assert eventually(lambda: seen.value("recorder_console_connections_limit"), "its limit is seen") == 1000


def test_what_prometheus_has_names_nobody(watched: Watched) -> None:
    numbers = {talk.number for talk in watched.lines.talks.values()} | {"2001", "2002", "3001"}

    def both() -> list[dict[str, Any]]:
        found = watched.prometheus.query('{__name__=~"recorder_.+"}')
        return found if len(found) > 250 else []

    series = eventually(both, "both are scraped: after a scrape that took too long there is nothing")
    words = {word for one in series for name, word in one["metric"].items() if name not in ("instance", "job", "le")}
    assert not words & (numbers | {"alice", "bob", "carol", "Revenues"})
    assert [word for word in words if re.search(r"\d{3}", word)] == []


def test_an_alarm_that_lasts_fires_and_clears(watched: Watched) -> None:
    seen, state = watched.prometheus, watched.lines.home.root / "state" / NAME
    eventually(lambda: seen.value('recorder_alarm{alarm="retention_stopped"}') == 0, "it is known")
    assert STOPPED not in seen.firing()
    before = state.read_bytes() if state.exists() else None
    state.write_text(json.dumps({**state_to_json(SweepState()), "stopped": "the clock is wrong"}))
    eventually(lambda: STOPPED in seen.firing(), "the alert fires")
    state.unlink() if before is None else state.write_bytes(before)
    eventually(lambda: STOPPED not in seen.firing(), "it clears")


@pytest.mark.long
def test_an_address_in_use_stops_no_call_and_is_an_alarm(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with exchange(tmp_path / "unbound", edits=((OFF, f'listen = "127.0.0.1:{port}"'),)) as lines:
            home = lines.home
            eventually(lambda: home.health()["alarms"] == {"metrics_unavailable": 1}, "the alarm is raised")
            assert f"metrics cannot be served at 127.0.0.1:{port}: Address already in use; everything else" in home.said
            talk = lines.call()
            talk.join()
            talk.talk_for(1.0)
            assert talk.hang_up()["outcome"] == "recorded"


@pytest.mark.long
def test_the_end_of_the_daemon_is_seen_and_its_return(watched: Watched) -> None:
    home, seen = watched.lines.home, watched.prometheus
    began_s = eventually(lambda: seen.value('process_start_time_seconds{job="recorder"}'), "it is scraped")
    home.stop()
    eventually(lambda: seen.value('up{job="recorder"}') == 0, "it is gone")
    home.start()
    eventually(lambda: seen.value('up{job="recorder"}') == 1, "it is back")
    eventually(lambda: (seen.value('process_start_time_seconds{job="recorder"}') or 0) > began_s, "a new process")
    eventually(lambda: ("RecorderRestarted", "") in seen.firing(), "the alert fires")
    assert "Traceback" not in watched.log.read_text() + home.said
