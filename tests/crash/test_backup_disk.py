"""The disk that backups go to is full: a real one, of 3 MB, that nobody else sees."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.due_home import DAY, add_recording
from tests.helpers.recorder_home import ROOT, recorder_home

SMALL_DISK = (
    "unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
    'mount -t tmpfs -o size=3m tmpfs "$0" && exec "$@"',
)  # fmt: skip
PROGRAM = """
import os, sys
from pathlib import Path
from typer.testing import CliRunner
from recorder.cli.cli import app

home, dest, keys = sys.argv[1:]

def run(*words):
    done = CliRunner().invoke(app, [*words, "-C", home])
    print(done.exit_code, " ".join((done.stderr + done.stdout).split()), flush=True)

run("backup", dest, "--keys", keys, "--init")
with open(f"{dest}/filler", "wb", 0) as filler:
    try:
        while filler.write(bytes(4096)):
            pass
    except OSError:
        pass
run("backup", dest, "--keys", keys)
run("backups", "check", dest, "--json")
run("backups", "list", dest, "--json")
os.unlink(f"{dest}/filler")
run("backup", dest, "--keys", keys)
"""


@pytest.mark.long
def test_a_full_disk_is_said_and_the_last_snapshot_stays(tmp_path: Path) -> None:
    (tmp_path / "dest").mkdir()
    (tmp_path / "keys").mkdir()
    with recorder_home(tmp_path, next_hop="127.0.0.1:5002", is_started=False) as home:
        add_recording(home, DAY, 1)
        words = (str(home.root), str(tmp_path / "dest"), str(tmp_path / "keys"))
        done = subprocess.run(
            [*SMALL_DISK, words[1], sys.executable, "-c", PROGRAM, *words],
            cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    first, full, checked, listed, again = done.stdout.splitlines()
    assert first.startswith("0 "), first
    assert full.startswith("1 ")
    assert f"{tmp_path}/dest is full. The last complete snapshot is unchanged; free space there" in full
    assert json.loads(checked.removeprefix("0 "))["problems"] == []
    assert len(json.loads(listed.removeprefix("0 "))) == 1
    assert again.startswith("0 "), again
