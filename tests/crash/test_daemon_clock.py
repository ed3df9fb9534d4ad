"""The clock is stepped under a daemon: ids stay unique, lengths are true, nothing is deleted."""

import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.rows import time_from_json
from tests.helpers.exchange import Exchange, exchange
from tests.helpers.recorder_home import ROOT

HOUR_S, DAY_S = 3600, 86_400
QUICK = (("look_back_s = 5.0", "look_back_s = 1.5"), ("erase_s = 3.0", "erase_s = 0.2"))


class Clock:
    """A wall clock that can be stepped, for programs that are started with it."""

    def __init__(self, folder: Path) -> None:
        self._file, shim = folder / "offset", folder / "clock.so"
        self._file.write_bytes(bytes(8))
        source = Path(__file__).with_name("clock.c")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(shim), str(source)], check=True)
        self.environment = {"LD_PRELOAD": str(shim), "CLOCK_OFFSET": str(self._file)}

    @property
    def before(self) -> tuple[str, ...]:
        """What a command begins with that goes by this clock."""
        return ("env", *(f"{name}={value}" for name, value in self.environment.items()))

    def step(self, to_s: int) -> None:
        """Set how far it is off."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("<q", to_s))


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


@pytest.fixture
def lines(tmp_path: Path, clock: Clock) -> Iterator[Exchange]:
    with exchange(tmp_path / "site", edits=QUICK, is_started=False) as made:
        made.home.start(before=clock.before)
        yield made


@pytest.mark.slow
def test_a_clock_that_is_stepped_changes_no_length_and_no_id_and_deletes_nothing(lines: Exchange, clock: Clock) -> None:
    rows = []
    for before_s, during_s in ((0, 2 * DAY_S), (0, -HOUR_S), (-2 * DAY_S, 0)):
        clock.step(before_s)
        talk = lines.call()
        talk.join()
        talk.talk_for(0.3)
        clock.step(during_s)
        talk.talk_for(0.3)
        rows.append(talk.hang_up())
    assert len({row["id"] for row in rows}) == len(rows)
    for row in rows:
        assert row["outcome"] == "recorded"
        assert 0.5 < row["duration_s"] < 15, "by the calls' own clock"
        started, ended = time_from_json(row["started_at"]), time_from_json(row["ended_at"])
        assert started is not None
        assert ended is not None
        assert 0 <= (ended - started).total_seconds() < 60, "a call does not end before it began, nor days later"
    home = lines.home
    clock.step(3650 * DAY_S)
    swept = subprocess.run(
        [sys.executable, "-m", "recorder.retention.sweep_process", str(home.root)],
        cwd=ROOT, env={**os.environ, **clock.environment}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (swept.returncode, "clock" in swept.stderr) == (3, True), swept.stderr
    assert len(home.json("find")) == len(rows)
    assert [one["ok"] for one in home.json("verify", "--all")] == [True] * len(rows)
