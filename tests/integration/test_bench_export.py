"""An hour of a call is copied in the memory of a second."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import export

ROOT = Path(__file__).parents[2]


def measured(*words: str) -> tuple[int, dict[str, dict[str, int]]]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.export", "--json", *words],
        cwd=ROOT, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert found["machine"]["cores"] >= 1
    return done.returncode, {one["format"]: one for one in found["formats"]}


@pytest.mark.parametrize("form", ["g711", "wav", "flac"])
def test_one_format_is_measured(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert export.main(["--one", form, "--seconds", "20"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["format"] == form
    assert found["bytes"] > 0
    assert found["largest_chunk_bytes"] <= 32_000


@pytest.mark.long
def test_an_hour_takes_no_more_memory_than_seconds() -> None:
    code, found = measured("--seconds", "3600", "--formats", "g711", "wav", "--most-kib", "4096")
    assert code == 0
    # The officer's clock is fast: his last tick lies later in the file, and is heard when the call ended.
    assert found["g711"]["bytes"] == 58 + 3600 * 8003 * 2
    assert 0 <= found["wav"]["bytes"] - (44 + 3600 * 8000 * 4) < 64
    for one in found.values():
        assert one["memory_grown_kib"] < 4096
        assert one["largest_chunk_bytes"] <= 32_000


@pytest.mark.long
def test_encoders_keep_nothing_either_and_the_program_says_when_it_is_too_much() -> None:
    code, found = measured("--seconds", "60", "--formats", "flac", "mp3", "opus", "--most-kib", "4096")
    assert code == 0, found
    assert all(0 < one["memory_grown_kib"] + 1 < 4096 for one in found.values())
    code, _ = measured("--seconds", "20", "--formats", "wav", "--most-kib", "-1")
    assert code == 1


_FAT = """
import subprocess, sys
fat = b"x" * (200 << 20)
subprocess.run([sys.executable, "-c", "from benchmarks.machine import peak_kib; print(peak_kib())"], check=True)
"""


def test_the_memory_of_a_process_is_not_that_of_the_one_that_started_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FAT], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert 1000 < int(done.stdout) < 100_000
