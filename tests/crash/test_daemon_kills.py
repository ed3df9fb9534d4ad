"""A short run of `daemon_kills.py`: real calls, and a daemon that is killed at a random step or moment."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
KILLS = 2


@pytest.mark.slow
def test_what_a_daemon_had_finished_or_written_outlives_it(tmp_path: Path) -> None:
    out, seed = tmp_path / "result.json", int.from_bytes(os.urandom(3))
    words = ["--kills", str(KILLS), "--seed", str(seed), "--json", str(out)]
    done = subprocess.run(
        [sys.executable, "tests/crash/daemon_kills.py", *words],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"seed {seed}: {done.stdout}{done.stderr}"
    assert sum(json.loads(out.read_text())["kills"].values()) == KILLS
