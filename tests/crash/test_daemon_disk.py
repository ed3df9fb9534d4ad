"""Disk full, keys gone, index locked: calls go on, what was kept is told apart from what was not."""

import errno
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.helpers.exactness import heard_frames, is_gapless, kept_of
from tests.helpers.exchange import Exchange, exchange
from tests.helpers.recorder_home import eventually

SMALL_DISK = (
    "unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
    'mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"',
)  # fmt: skip
"""Runs a command with a disk of its own, 64 kB small, in the place of a folder; takes no privilege."""
QUICK = (("look_back_s = 5.0", "look_back_s = 1.5"), ("erase_s = 3.0", "erase_s = 0.2"))


@pytest.mark.slow
def test_a_full_disk_stops_no_call_and_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    with exchange(tmp_path, edits=QUICK, is_started=False) as lines:
        home = lines.home
        home.start(before=(*SMALL_DISK, str(home.root / "recordings")))
        talk = lines.call()
        recording = talk.join()
        joined_s = time.monotonic()
        eventually(lambda: home.health()["alarms"].get("disk_full"), "the disk is full")
        assert "can no longer be written" in home.said
        full_s = time.monotonic()
        talk.talk_for(1)
        assert is_gapless(heard_frames(talk.left, talk.right, since_s=joined_s)), "the conversation goes on"
        disk = Path(f"/proc/{home.pid}/root{home.root / 'recordings'}")
        fill(disk / "filler")
        other = lines.call()
        other.join()
        eventually(lambda: len(heard_frames(other.left, other.right)) > 5, "the parties of a new call hear each other")
        row = talk.hang_up()
        assert (row["id"], row["outcome"], row["reason"]) == (recording, "partial", "disk_full")
        nothing = other.hang_up()
        assert (nothing["outcome"], nothing["reason"], nothing["path"]) == ("failed", "disk_full", None)
        left_over = {path.name for path in disk.rglob("*") if path.is_file()}
        assert f"{nothing['id']}.rec" not in left_over
        assert "Traceback" not in home.said
        shutil.copytree(disk, tmp_path / "saved", ignore=shutil.ignore_patterns("filler"))
        home.stop()
        shutil.copytree(tmp_path / "saved", home.root / "recordings", dirs_exist_ok=True)
        recovered = home.json("recover")
        assert all(one["ok"] for one in recovered)
        verified = {one["id"]: one for one in home.json("verify", "--all")}
        assert verified[recording]["ok"]
        assert not verified[recording]["is_complete"]
        assert home.row_of(talk.number)["reason"] == "disk_full", "a restart does not say that it was the daemon"
        left, right, _ = home.copy(recording)
        for kept in (kept_of(left, talk.left), kept_of(right, talk.right)):
            assert len(kept.spans) == 1, "what was kept is whole"
            assert kept.bytes_between(0.0, full_s - 4) > 4000


def fill(path: Path) -> None:
    """Write until the disk that a file is on has no room left."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Exchange]:
    with exchange(tmp_path, edits=QUICK) as made:
        yield made


def test_without_a_key_nothing_is_kept_and_the_call_goes_on(lines: Exchange) -> None:
    home = lines.home
    epochs = home.root / "keys" / "epochs"
    epochs.rename(home.root / "epochs-away")
    talk = lines.call()
    talk.join()
    joined_s = time.monotonic()
    talk.talk_for(0.4)
    eventually(lambda: len(heard_frames(talk.left, talk.right, since_s=joined_s)) > 10, "the parties hear each other")
    assert is_gapless(heard_frames(talk.left, talk.right, since_s=joined_s))
    row = talk.hang_up()
    assert (row["outcome"], row["path"]) == ("failed", None)
    assert row["reason"] in ("key_missing", "storage_fault")
    assert home.health()["status"] == "alarm"
    assert not list((home.root / "recordings").rglob("*.*"))
    (home.root / "epochs-away").rename(epochs)
    again = lines.call()
    again.join()
    again.talk_for(0.4)
    assert again.hang_up()["outcome"] == "recorded", "it works again without a restart"


@pytest.mark.slow
@pytest.mark.long
def test_a_locked_index_delays_a_row_and_loses_none(lines: Exchange) -> None:
    home = lines.home
    with closing(sqlite3.connect(home.root / "index.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        talk = lines.call()
        recording = talk.join()
        talk.talk_for(0.4)
        talk.first.hang_up()
        talk.first.wait_ended()
        talk.left.hush()
        talk.right.hush()
        second = lines.call()
        second.join()
        joined_s = time.monotonic()
        second.talk_for(0.4)
        eventually(lambda: len(heard_frames(second.left, second.right, since_s=joined_s)) > 10, "calls go on")
        assert is_gapless(heard_frames(second.left, second.right, since_s=joined_s))
        eventually(lambda: home.health()["alarms"].get("index_unavailable"), "it is an alarm")
        other.execute("ROLLBACK")
    second.first.hang_up()
    second.first.wait_ended()
    row = home.row_of(second.number)  # a database that failed is left in peace for some seconds
    assert row["outcome"] == "recorded"
    home.stop()
    home.start()
    row = home.row_of(talk.number)
    assert (row["id"], row["outcome"]) == (recording, "recorded")
    assert all(one["ok"] for one in home.json("verify", "--all"))
