"""`recorder objects` at the shell, and a daemon that stores its recordings."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from recorder.cli.cli import app
from recorder.common.clock import utc_now
from recorder.common.file_lock import locked
from storage.epochs import EpochKeys
from storage.keys import NodeKeys
from storage.rows import time_to_json
from storage.types import RecordingHead, RecordingId
from storage.vault import Vault
from tests.helpers.due_home import DAY, add_recording, left_of
from tests.helpers.recorder_home import RecorderHome, eventually, recorder_home
from tests.helpers.storage_home import block, row


@pytest.fixture
def home(tmp_path: Path) -> Iterator[RecorderHome]:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5999", is_started=False) as made:
        (tmp_path / "objects").mkdir()
        made.edit('\nurl = "off"', f'\nurl = "{tmp_path / "objects"}"')
        made.edit("keep_local_days = 7", "keep_local_days = 0")
        yield made


def run(home: RecorderHome, *words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, [*words, "-C", str(home.root)])
    assert result.exit_code == code, result.output + result.stderr
    return result


def run_json(home: RecorderHome, *words: str, code: int = 0) -> Any:
    return json.loads(run(home, *words, "--json", code=code).stdout)


def test_push_stores_what_is_here_and_check_finds_what_is_wrong_there(home: RecorderHome, tmp_path: Path) -> None:
    recording = add_recording(home, DAY, 1)
    planned = run_json(home, "objects", "push", "--dry-run")
    assert (planned["waiting"], planned["removing"]) == (1, 0)
    assert "1 recordings" in run(home, "objects", "push", "--dry-run").output
    assert run_json(home, "objects", "push") == {"uploaded": 1, "removed": 0, "released": 1, "problems": {}}
    assert [path.suffix for path in left_of(home.root, recording)] == [".key"], "only the sealed key is here"
    found = run_json(home, "objects", "status")
    assert (found["stored"], found["only_there"], found["waiting"], found["not_done"]) == (1, 1, 0, [])
    assert run_json(home, "verify", recording)[0]["problem"] is None
    assert run_json(home, "objects", "check", "--thorough")["checked"] == 1
    shutil.rmtree(tmp_path / "objects" / "recordings")
    assert run_json(home, "objects", "check", code=1)["problems"] == {recording: "it is missing in the store"}
    assert "it is missing in the store" in run(home, "objects", "check", code=1).output


def test_what_prevents_a_command_is_said(home: RecorderHome, tmp_path: Path) -> None:
    add_recording(home, DAY, 1)
    with locked(home.root / "state" / "objects.lock", wait=False):
        assert "the daemon stores recordings already" in run(home, "objects", "push", code=1).stderr
    (tmp_path / "objects").rmdir()
    assert "is the disk or share mounted?" in run(home, "objects", "push", code=1).stderr
    home.edit(f'url = "{tmp_path / "objects"}"', 'url = "off"')
    assert "no object store is configured: set url in [objects]" in run(home, "objects", "status", code=2).stderr


@pytest.mark.long
def test_calls_in_progress_are_stored_and_restored_after_the_disk_was_lost(home: RecorderHome, tmp_path: Path) -> None:
    home.edit("parts = false", "parts = true")
    home.start()
    began = utc_now().replace(microsecond=0)
    recording = RecordingId(f"{began:%Y%m%dT%H%M%SZ}-2001-0a1b2c")
    fields = row(recording, started_at=time_to_json(began))
    EpochKeys(home.root / "keys" / "epochs", home.root / "private").ensure_epochs(began, months_ahead=0)
    opened = Vault(home.root, NodeKeys.load(home.root)).create(
        RecordingHead(id=recording, started_at=began, operator_key="k7", index_row=fields)
    )
    opened.append(block(0))
    eventually(lambda: list((tmp_path / "objects").rglob("part-*")), "its first part is stored")
    home.kill()
    for name in ("recordings", "keys/sealed"):
        shutil.rmtree(home.root / name)
    waiting = home.root / "state" / "rows" / f"{recording}.json"
    waiting.parent.mkdir(exist_ok=True)
    waiting.write_text("{}")  # such as that of a discarded call, whose row waits for the database
    assert run_json(home, "objects", "restore", "--dry-run") == {"restored": [], "problems": {}}
    waiting.unlink()
    assert run_json(home, "objects", "restore", "--dry-run") == {"restored": [recording], "problems": {}}
    assert "run `recorder recordings recover` now" in run(home, "objects", "restore").output
    assert [one["id"] for one in run_json(home, "recover")] == [recording]
    assert run_json(home, "objects", "restore") == {"restored": [], "problems": {}}
    with locked(home.root / "state" / "objects.lock", wait=True):
        pass  # the process of the killed daemon ends soon after it
    assert run_json(home, "objects", "push")["uploaded"] == 1


@pytest.mark.long
def test_a_daemon_stores_its_recordings_and_says_so_in_health(home: RecorderHome, tmp_path: Path) -> None:
    recording = add_recording(home, DAY, 1)
    home.start()
    eventually(lambda: not list(home.root.rglob(f"{recording}.rec")), "it is stored, and its file removed")
    found = eventually(lambda: one if (one := home.health()["objects"])["uploaded"] else None, "health says so")
    assert (found["url"], found["waiting"], found["problem"]) == (str(tmp_path / "objects"), 0, "")
    second = add_recording(home, DAY, 2)
    (tmp_path / "objects").rename(tmp_path / "away")
    eventually(lambda: "is not the store that" in home.health()["objects"]["problem"], "health says why")
    assert list(home.root.rglob(f"{second}.rec"))
    (tmp_path / "away").rename(tmp_path / "objects")
    eventually(lambda: not list(home.root.rglob(f"{second}.rec")), "it is caught up", timeout_s=40)
