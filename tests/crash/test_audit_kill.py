"""Killed while it writes entries: what it told is there, the chain is whole, and no text is left that nobody names."""

import os
import random
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from storage.audit import AuditLog
from storage.audit_reading import newest_first
from storage.audit_texts import AuditTexts
from tests.crash.counted import Steps
from tests.crash.zygote import Zygote

KILLS = 12


def write_on(steps: Steps, folder: Path, told: int, delay_s: float) -> None:
    """Write entries and tell of each, until some time after so many of them, when an alarm ends this process."""
    log = AuditLog(folder)
    while True:
        entry = log.append("call.pause", "jo", "x" * 3000, {"n": 1}, text="why " * 500)
        steps.tell((entry.number, entry.hash))
        told -= 1
        if told == 0:
            signal.setitimer(signal.ITIMER_REAL, delay_s)  # nobody handles it: it ends a process anywhere


def write_last(_: Steps, folder: Path, where: str, when: str) -> None:
    """Write two entries, and die in a step of the second."""

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> None:
            if when == "after":
                real(*given)
            os.kill(os.getpid(), signal.SIGKILL)

        return call

    log = AuditLog(folder)
    log.append("call.pause", "jo", "", text="before")
    holder = AuditTexts if hasattr(AuditTexts, where) else os
    setattr(holder, where, dying(getattr(holder, where)))
    log.append("call.pause", "jo", "", text="the last one")


def test_a_killed_writer_leaves_a_whole_log(memory_path: Path, zygote: Zygote) -> None:
    dice = random.Random(20261125)
    log = AuditLog(memory_path / "audit")
    for kill in range(KILLS):
        killed = zygote.run(write_on, 0, log.folder, 1 + dice.randrange(5), dice.uniform(0.0001, 0.01))
        assert killed.code == -signal.SIGALRM, killed.problem
        number, digest = killed.said[-1]
        log.append("call.resume", "jo", "")  # moves aside what is torn
        state = log.verify()
        assert state.problems == [], f"kill {kill}"
        assert state.gone_texts == 0, f"kill {kill}: an entry without its text"
        assert not any(entry.details["is_whole"] for entry in state.moved_aside)
        told = next(entry for entry in newest_first(log.path) if entry.number == number)
        assert told.hash == digest, f"kill {kill}: what was told is not there"
        assert log.text(told) is not None


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["prepare", "write", "fdatasync", "settle"])
def test_killed_at_each_step_of_an_entry(memory_path: Path, zygote: Zygote, step: str, when: str) -> None:
    log = AuditLog(memory_path / "audit")
    killed = zygote.run(write_last, 0, log.folder, step, when)
    assert killed.code == -signal.SIGKILL, killed.problem
    log.append("call.resume", "jo", "", text="after")
    state = log.verify()
    assert (state.problems, state.moved_aside) == ([], ())
    is_written = step != "prepare" and (step, when) != ("write", "before")
    texts = ["before", *["the last one"] * is_written, "after"]
    assert [log.text(entry) for entry in log.entries()] == texts, "each entry has its text"
    with closing(sqlite3.connect(log.folder / "texts.sqlite")) as database:
        assert database.execute("SELECT count(*) FROM texts").fetchone() == (len(texts),)
        assert database.execute("SELECT count(*) FROM prepared").fetchone() == (0,), "a text that would not expire"
