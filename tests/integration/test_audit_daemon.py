"""The audit log of a running daemon: its head is noted elsewhere; without it pausing and recording go on."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from recorder.common.home import Home
from storage.audit import AuditLog
from storage.heads import heads_in, read_heads
from tests.helpers.anchor_servers import tcp_syslog
from tests.helpers.exactness import kept_of
from tests.helpers.exchange import Exchange, exchange
from tests.helpers.recorder_home import RecorderHome, eventually, recorder_home
from tests.helpers.starvation import stopwatch

QUICK = (("look_back_s = 5.0", "look_back_s = 1.5"), ("erase_s = 3.0", "erase_s = 0.2"))
FULL_DISK = (
    "unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
    'mkdir /tmp/kept-$$ && cp -a "$0/." /tmp/kept-$$ && mount -t tmpfs -o size=64k tmpfs "$0" && '
    'cp -a /tmp/kept-$$/. "$0" && rm -r /tmp/kept-$$ && head -c 200k /dev/zero 2>/dev/null > "$0/filler"; exec "$@"',
)  # fmt: skip
"""Runs a command with the folder on a disk of its own, which is full; takes no privilege."""


@contextmanager
def without_log(home: RecorderHome) -> Iterator[None]:
    """Put a file in the place of the audit log's folder, and the folder back at the end."""
    folder = Home(home.root).audit
    kept = folder.with_name("kept")
    folder.rename(kept)
    folder.write_text("a file where the folder should be")
    try:
        yield
    finally:
        folder.unlink()
        kept.rename(folder)


def pause_and_resume(lines: Exchange, recording: str) -> list[str]:
    """Pause and resume a call; returns the states that were answered."""
    states = []
    for act in ("pause", "resume"):
        took_s = stopwatch(os.getpid(), lines.home.pid)
        answer = lines.home.act(f"/api/calls/{recording}/{act}", by="dora", reason=f"to {act}")
        assert answer.status_code == 200, answer.text
        assert took_s() < 2
        states.append(answer.json()["state"])
    return states


def test_pausing_and_recording_go_on_without_the_log_and_are_entered_late(tmp_path: Path) -> None:
    with exchange(tmp_path, edits=QUICK) as lines:
        home, audit = lines.home, AuditLog(Home(lines.home.root).audit)
        talk = lines.call()
        recording = talk.join()
        talk.talk_for(0.5)
        with without_log(home):
            assert pause_and_resume(lines, recording) == ["paused", "recording"]
            assert home.health()["alarms"]["audit_unavailable"] >= 2
            assert home.health()["audit"]["late_entries"] == 2
            done = home.run("pause", "--call", recording, *home.as_admin(), "-C", str(home.root), "--json")
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["state"] == "paused"
            assert "your command continues" in done.stderr
            refused = home.run("export", recording, "-o", str(tmp_path / "x.wav"), *home.as_hearer(), "--reason", "C 1",
                               "-C", str(home.root))  # fmt: skip
            assert (refused.returncode, "nothing was done" in refused.stderr) == (1, True)
            home.act(f"/api/calls/{recording}/resume", by="dora", **{"as": "manager"})
            resumed_s = time.monotonic()
            talk.talk_for(1.0)
            ended_s = time.monotonic()
        eventually(lambda: home.health()["audit"]["late_entries"] == 0, "they are entered")
        row = talk.hang_up()
        assert row["outcome"] == "recorded"
        left, _, _ = home.copy(recording)
        assert kept_of(left, talk.left).bytes_between(resumed_s, ended_s) > 4000, "what was said meanwhile is kept"
        entries = [entry for entry in audit.entries() if entry.act in ("call.pause", "call.resume")]
        assert [entry.act for entry in entries] == ["call.pause", "call.resume"] * 2
        assert all(entry.details["late"] for entry in entries)
        assert [entry.details["happened_at"] for entry in entries] == sorted(
            entry.details["happened_at"] for entry in entries
        )
        assert all(entry.details["happened_at"] < entry.at for entry in entries)
        assert audit.text(entries[0]) == "to pause"
        assert audit.verify().problems == []
        assert "Traceback" not in home.said


def test_what_waits_for_the_log_outlives_the_daemon(tmp_path: Path) -> None:
    with exchange(tmp_path, edits=QUICK) as lines:
        home, audit = lines.home, AuditLog(Home(lines.home.root).audit)
        talk = lines.call()
        recording = talk.join()
        with without_log(home):
            assert pause_and_resume(lines, recording) == ["paused", "recording"]
            home.kill()
        home.start()
        eventually(
            lambda: (
                [entry.act for entry in audit.entries() if entry.details.get("late")] == ["call.pause", "call.resume"]
            ),
            "they are entered by the next daemon",
        )


def test_a_log_that_is_held_or_whose_disk_is_full_stops_no_pause(tmp_path: Path) -> None:
    with exchange(tmp_path, edits=QUICK) as lines:
        home, audit = lines.home, AuditLog(Home(lines.home.root).audit)
        talk = lines.call()
        recording = talk.join()
        with audit.path.open("rb") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            assert pause_and_resume(lines, recording) == ["paused", "recording"]
            assert home.health()["audit"]["late_entries"] == 2
        eventually(lambda: home.health()["audit"]["late_entries"] == 0, "they are entered")
        talk.hang_up()
        home.stop()
        home.start(before=(*FULL_DISK, str(Home(home.root).audit)))
        talk = lines.call()
        recording = talk.join()
        assert pause_and_resume(lines, recording) == ["paused", "recording"]
        assert home.health()["audit"]["late_entries"] >= 2
        Path(f"/proc/{home.pid}/root{Home(home.root).audit}/filler").unlink()
        eventually(lambda: home.health()["audit"]["late_entries"] == 0, "there is room again")
        talk.hang_up()


# --- anchors


def test_the_head_is_noted_at_the_start_each_period_and_at_the_end(tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    with tcp_syslog() as server, recorder_home(tmp_path / "x", next_hop="127.0.0.1:5999", is_started=False) as home:
        home.edit("every_s = 3600.0", "every_s = 1.5")
        home.edit('syslog = "off"', f'syslog = "tcp://127.0.0.1:{server.port}"')
        home.edit('folder = "off"', f'folder = "{share}"')
        audit = AuditLog(Home(home.root).audit)
        home.start()
        (first,) = heads_in(server.next().text)
        assert first.hash == list(audit.entries())[-1].hash
        (again,) = heads_in(server.next().text)
        assert (again.number, again.at != first.at) == (first.number, True)
        lines = {line["target"]: line for line in home.health()["audit"]["anchors"]}
        assert {name: (line["entry"], line["problem"]) for name, line in lines.items()} == {
            "syslog": (first.number, ""), "folder": (first.number, ""),
        }  # fmt: skip
        assert 0 <= lines["folder"]["age_s"] < 10
        share.rename(tmp_path / "elsewhere")
        eventually(lambda: home.health()["alarms"].get("anchor_failed"), "a share that is gone is an alarm")
        assert (
            "is the share mounted"
            in {line["target"]: line for line in home.health()["audit"]["anchors"]}["folder"]["problem"]
        )
        (tmp_path / "elsewhere").rename(share)
        assert home.stop() == 0
        home.edit("every_s = 1.5", "every_s = 3600.0")
        home.start()
        eventually(lambda: all(line["entry"] for line in home.health()["audit"]["anchors"]), "the start's are noted")
        home.recorder("reload", "-C", str(home.root))
        assert home.stop() == 0
        last = list(audit.entries())[-1]
        assert last.act == "config.reload"
        heads = read_heads(share)
        assert (heads[-1].number, heads[-1].hash) == (last.number, last.hash)
        assert home.json("audit", "verify", "--anchors", str(share))["heads"] >= 2
        audit.path.write_bytes(b"".join(audit.path.read_bytes().splitlines(keepends=True)[:-1]))
        cut = home.run("audit", "verify", "--anchors", str(share), "-C", str(home.root))
        assert (cut.returncode, f"entry {last.number} is cut off" in cut.stderr) == (1, True)


@pytest.mark.parametrize("key", ["syslog", "folder"])
def test_a_daemon_starts_and_ends_whoever_does_not_answer(tmp_path: Path, key: str) -> None:
    value = {"syslog": "tcp://127.0.0.1:9", "folder": "/nowhere/at/all"}[key]
    with recorder_home(tmp_path, next_hop="127.0.0.1:5999", is_started=False) as home:
        home.edit(f'{key} = "off"', f'{key} = "{value}"')
        home.start()
        eventually(lambda: home.health()["alarms"].get("anchor_failed"), "that is an alarm")
        assert home.stop() == 0
