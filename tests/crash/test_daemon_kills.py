"""A short run of `daemon_kills.py`: real calls, and a daemon that is killed at a random step or moment."""

import json
from pathlib import Path

import pytest

from tests.helpers import preloaded

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("kills", [1, pytest.param(4, marks=pytest.mark.long)])
def test_what_a_daemon_had_finished_or_written_outlives_it(tmp_path: Path, kills: int) -> None:
    out = tmp_path / "result.json"
    words = ["--kills", str(kills), "--seed", "1", "--json", str(out)]
    done = preloaded.run_script(ROOT / "tests/crash/daemon_kills.py", words, timeout_s=110)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(json.loads(out.read_text())["kills"].values()) == kills
