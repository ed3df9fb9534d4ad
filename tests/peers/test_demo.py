"""The demonstration, as `make demo ONCE=1` runs it, once with each phone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from recorder.demo.phones.kinds import PhoneKind
from tests.helpers.phones import PHONES
from tests.helpers.recorder_home import run_apart

pytestmark = [pytest.mark.peer, pytest.mark.slow]


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", PHONES)
def test_every_claim_is_true_with_each_phone(tmp_path: Path, kind: PhoneKind) -> None:
    """It takes 70 s on an idle machine: the notice and the conversation are as long as they are.

    CI runs the demonstration itself beside `make test`.
    """
    done = subprocess.run(
        [sys.executable, "-m", "recorder", "demo", "--once", "--phone", kind, "--output", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"the phones are {kind}" in done.stderr
    assert "FALSE" not in done.stderr
    assert done.stderr.count(" true ") == 11
    row = json.loads(done.stdout.splitlines()[-1])
    assert row["outcome"] == "recorded"
    assert row["caller"] == "01632960123"
    assert soundfile.info(tmp_path / "recording.wav").channels == 2
    assert (tmp_path / "recording.png").stat().st_size > 10_000


def test_a_phone_that_nobody_knows(tmp_path: Path) -> None:
    done = run_apart("demo", "--once", "--phone", "cisco", "--output", str(tmp_path))
    assert done.returncode == 2
    assert "baresip" in done.stderr
