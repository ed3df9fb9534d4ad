"""The disk is full while calls are recorded; see `full_disk.py`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("calls", [6, pytest.param(100, marks=pytest.mark.long)])
def test_every_call_goes_on_and_recording_is_complete_again_by_itself(tmp_path: Path, calls: int) -> None:
    out = tmp_path / "result.json"
    done = subprocess.run(
        [sys.executable, "tests/crash/full_disk.py", "--calls", str(calls), "--json", str(out)],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(out.read_text())
    assert result["while_full"]["sent"] > calls * 2 * 50
    assert result["outcomes"]["recorded_into_the_full_disk"] == {"partial, disk_full": calls}
    assert result["left_open_while_full"] > 0, "closing was tried while there was no room"
    assert result["alarms"]["row_in_memory"] > 0, "so was filing"
