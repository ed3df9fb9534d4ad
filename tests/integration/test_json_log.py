"""Where the log is JSON, what `recorder up` says, and why the daemon does not start, are lines of it too."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recorder.common.home import Home
from tests.helpers.recorder_home import ROOT, RecorderHome

UP = """
import sys, typer
from recorder.cli import service
from recorder.cli.cli import app
def start(*_):
    raise typer.Exit(1)
service.start = start
sys.argv = ["recorder", "up", "-C", sys.argv[1]]
app()
"""
"""`recorder up` without its processes."""


@pytest.mark.long  # two processes, for lines that are written in two places
def test_what_up_says_and_why_the_daemon_does_not_start_are_objects(tmp_path: Path) -> None:
    home = RecorderHome(tmp_path, next_hop="127.0.0.1:5070", edits=[('format = "text" ', 'format = "json" ')])
    said = subprocess.run(
        [sys.executable, "-c", UP, str(home.root)], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert said.stdout == ""
    (line,) = map(json.loads, said.stderr.splitlines())
    assert line["message"].startswith("daemon and console run as one user")
    shutil.rmtree(Home(home.root).notices)
    refused = home.run_apart("run", "-C", str(home.root))
    assert refused.returncode == 2
    lines = [json.loads(one) for one in refused.stderr.splitlines()]
    assert lines[-1]["level"] == "CRITICAL"
    assert "recorder notices" in lines[-1]["message"]
    home.close()
