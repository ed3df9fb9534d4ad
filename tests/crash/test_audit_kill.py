"""Killed while it writes entries: what it told is there, the chain is whole, and no text is left that nobody names."""

import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from storage.audit import AuditLog

ROOT = Path(__file__).parents[2]
KILLS = 12
_WRITER = """
import sys
from pathlib import Path
from storage.audit import AuditLog
log = AuditLog(Path(sys.argv[1]))
while True:
    entry = log.append("call.pause", "jo", "x" * 3000, {"n": 1}, text="why " * 500)
    print(entry.number, entry.hash, flush=True)
"""

_DIES = """
import os, signal, sys
from pathlib import Path
from storage import audit_texts
from storage.audit import AuditLog

def dies(real, after):
    def call(*given):
        result = real(*given) if after else None
        os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call

log = AuditLog(Path(sys.argv[1]))
log.append("call.pause", "jo", "", text="before")
where, after = sys.argv[2], sys.argv[3] == "after"
holder = audit_texts.AuditTexts if hasattr(audit_texts.AuditTexts, where) else os
setattr(holder, where, dies(getattr(holder, where), after))
log.append("call.pause", "jo", "", text="the last one")
"""


def killed_after(folder: Path, told_lines: int, dice: random.Random) -> tuple[int, str]:
    """Kill a writer some time after it told of so many entries; returns number and hash of the last it told of."""
    command = [sys.executable, "-c", _WRITER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as writer:
        assert writer.stdout is not None
        told = [writer.stdout.readline() for _ in range(told_lines)]
        with contextlib.suppress(subprocess.TimeoutExpired):
            writer.wait(dice.uniform(0, 0.01))
        writer.kill()
        told += [line for line in writer.stdout if line.endswith("\n")]
    number, digest = told[-1].split()
    return int(number), digest


def test_a_killed_writer_leaves_a_whole_log(tmp_path: Path) -> None:
    dice = random.Random(20261125)
    log = AuditLog(tmp_path / "audit")
    for kill in range(KILLS):
        number, digest = killed_after(log.folder, 1 + dice.randrange(5), dice)
        log.append("call.resume", "jo", "")  # moves aside what is torn
        state = log.verify()
        assert state.problems == [], f"kill {kill}"
        assert state.gone_texts == 0, f"kill {kill}: an entry without its text"
        assert not any(entry.details["is_whole"] for entry in state.moved_aside)
        told = next(entry for entry in log.newest_first() if entry.number == number)
        assert told.hash == digest, f"kill {kill}: what was told is not there"
        assert log.text(told) is not None


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["prepare", "write", "fdatasync", "settle"])
def test_killed_at_each_step_of_an_entry(tmp_path: Path, step: str, when: str) -> None:
    log = AuditLog(tmp_path / "audit")
    done = subprocess.run([sys.executable, "-c", _DIES, str(log.folder), step, when], cwd=ROOT, check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    log.append("call.resume", "jo", "", text="after")
    state = log.verify()
    assert (state.problems, state.moved_aside) == ([], ())
    is_written = step != "prepare" and (step, when) != ("write", "before")
    texts = ["before", *["the last one"] * is_written, "after"]
    assert [log.text(entry) for entry in log.entries()] == texts, "each entry has its text"
    with closing(sqlite3.connect(log.folder / "texts.sqlite")) as database:
        assert database.execute("SELECT count(*) FROM texts").fetchone() == (len(texts),)
        assert database.execute("SELECT count(*) FROM prepared").fetchone() == (0,), "a text that would not expire"
