"""`recorder recordings verify --due`: a slice each night, and what health has of it."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from recorder.cli import upkeep
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.recordings.verifying import DAMAGED, VerificationHealth, day_of, slice_of
from storage.types import RecordingId
from tests.helpers.due_home import DAY, add_recording
from tests.helpers.recorder_home import RecorderHome, recorder_home

SLICES = 4


@pytest.fixture
def home(tmp_path: Path) -> Iterator[RecorderHome]:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5002", is_started=False) as made:
        made.edit("verify_days = 30", f"verify_days = {SLICES}")
        yield made


def alarms(home: RecorderHome) -> set[str]:
    state = Home(home.root).state
    return set(VerificationHealth(state, lambda: SLICES, utc_now, utc_now() - timedelta(days=1)).look()["alarms"])


def test_each_night_has_its_slice_and_damage_is_an_alarm_until_it_is_mended(
    home: RecorderHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    recordings = [add_recording(home, DAY, n) for n in range(12)]
    at = [utc_now()]
    monkeypatch.setattr(upkeep, "utc_now", lambda: at[0])

    def night(code: int = 0) -> set[RecordingId]:
        done = home.run("recordings", "verify", "--due", "--json", "-C", str(home.root))
        assert done.returncode == code, done.stderr
        return {RecordingId(one["id"]) for one in json.loads(done.stdout)}

    def those_of(moment: datetime) -> set[RecordingId]:
        return {one for one in recordings if slice_of(one, SLICES) == day_of(moment) % SLICES}

    read = [night()]
    assert read[0] == those_of(at[0])
    for _ in range(SLICES - 1):
        at[0] += DAY
        read.append(night())
    assert set().union(*read) == set(recordings)
    assert sum(map(len, read)) == len(recordings), "none is read twice"
    assert alarms(home) == set(), "nothing is wrong"
    bad = sorted(recordings)[0]
    (path,) = Path(home.root, "recordings").rglob(f"{bad}.rec")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    at[0] += timedelta(days=SLICES)
    assert night(code=1) == set(recordings), "nights that were missed are made up for"
    assert DAMAGED in alarms(home)
    path.write_bytes(content)
    done = home.run("recordings", "verify", bad, "-C", str(home.root))
    assert (done.returncode, DAMAGED in alarms(home)) == (0, True), "one recording says nothing of the others"
    assert home.run("recordings", "verify", "--all", "-C", str(home.root)).returncode == 0
    assert DAMAGED not in alarms(home)


@pytest.mark.parametrize("words", [(), ("--all", "--due"), ("2026", "--due")])
def test_what_to_verify_is_said_in_one_way(home: RecorderHome, words: tuple[str, ...]) -> None:
    done = home.run("recordings", "verify", *words, "-C", str(home.root))
    assert (done.returncode, "give either an ID, --all or --due" in done.stderr) == (2, True)
