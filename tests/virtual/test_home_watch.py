"""Keys, index and history of alarms of a running daemon's home, taken away and given back."""

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.reading import read_config
from recorder.recordings.home_stores import open_index
from recorder.recordings.keyring import epoch_keys
from recorder.service.home_watch import BOOK, LOOK_S, HomeWatch, KeyHolderWatch, read_book
from storage.database import sqlite_url
from storage.epochs import month_of
from storage.errors import DatabaseError
from storage.index import Index
from storage.keys import NodeKeys
from storage.rows import row_from_json
from storage.types import RecordingId
from storage.vault import Vault
from tests.helpers.exchange import Exchange
from tests.helpers.recorder_home import ADMIN, eventually
from tests.helpers.storage_home import ID, row
from tests.helpers.virtual.exchange import exchange

ROW = row_from_json(row(path=None))


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Exchange]:
    with exchange(tmp_path) as running:
        yield running


def alarms(lines: Exchange) -> set[str]:
    """Return the alarms of health after the watch, which looks every 10 s, has looked once."""
    watch: HomeWatch = cast(Any, lines.home).daemon_now._daemon._home_watch
    watch.look()
    found: dict[str, int] = lines.home.live.get("/api/health").json()["alarms"]
    return set(found)


def test_the_index_is_away_and_comes_back_without_losing_a_row(
    lines: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recorder.calls.filing.RETRY_S", 0.0)  # its clock is not turned
    home = Home(lines.home.root)
    assert alarms(lines) == set()
    aside = home.root / "aside"
    aside.mkdir()
    files = [path for path in home.index.parent.glob("index.sqlite*") if not path.name.endswith("-lock")]
    for path in files:
        shutil.move(path, aside / path.name)
    assert alarms(lines) == {"index_unavailable"}
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(0.5)
    talk.first.hang_up()
    eventually((home.state / "rows" / f"{recording}.json").exists, "the row waits in a file")
    assert not home.index.exists(), "no empty index takes its place"
    for path in files:
        shutil.move(aside / path.name, path)
    eventually(lambda: not alarms(lines), "the row is filed late")
    assert lines.home.json("recordings", "show", recording, *lines.home.as_admin())["id"] == recording


def test_the_watch_looks_often_enough() -> None:
    assert LOOK_S * 2 < 25, "an alarm within 25 s, whatever the disk does once"


def test_a_month_and_all_keys_are_missed_and_found_again(lines: Exchange) -> None:
    keys, month = Home(lines.home.root).root / "keys", month_of(utc_now())
    public = keys / "epochs" / f"{month}.pub"
    content = public.read_bytes()
    public.unlink()
    assert "epoch_missing" in alarms(lines)
    public.write_bytes(content)
    assert not alarms(lines)
    keys.rename(keys.with_name("keys-away"))
    assert "keys_unreadable" in alarms(lines)
    keys.with_name("keys-away").rename(keys)
    assert not alarms(lines)
    ended = lines.home.json("alarms", "list")["ended"]
    assert {one["name"] for one in ended} == {"epoch_missing", "keys_unreadable"}


def test_the_key_holder_tells_of_a_private_key_and_the_daemon_has_the_alarm(lines: Exchange) -> None:
    home = Home(lines.home.root)
    config = read_config(home.config)
    keys = epoch_keys(home, config)
    watch = KeyHolderWatch(home, keys, Vault(home.root, NodeKeys.load(home.root)), utc_now)
    watch.look()
    private = keys.private_folder / f"{month_of(utc_now())}.key"
    private.rename(private.with_suffix(".away"))
    watch.look()
    assert alarms(lines) == {"private_keys_missing"}
    private.with_suffix(".away").rename(private)
    watch.look()
    assert not alarms(lines)


def test_a_named_person_acknowledges_an_alarm(lines: Exchange) -> None:
    home = lines.home
    public = home.root / "keys" / "epochs" / f"{month_of(utc_now())}.pub"
    public.rename(public.with_suffix(".away"))
    assert "epoch_missing" in alarms(lines)
    assert home.run("health", "-C", str(home.root)).returncode == 1
    words = ("alarms", "acknowledge", "epoch_missing", "--remark", "the console is being moved", "--for", "2")
    refused = home.run(*words, "-C", str(home.root))
    assert refused.returncode != 0, "nobody is named"
    assert home.run(*words[:3], "--remark", "x", *home.as_admin(), "-C", str(home.root)).returncode == 2
    unknown = home.run("alarms", "acknowledge", "disk_full", *words[3:], *home.as_admin(), "-C", str(home.root))
    assert "There is no alarm disk_full now" in unknown.stderr
    done = home.json(*words, *home.as_admin())
    assert (done["acknowledged"]["by"], done["lasts"]) == (ADMIN, True)
    said = home.run("health", "-C", str(home.root))
    assert (said.returncode, "Acknowledged by" in said.stderr) == (0, True), said.stderr
    health = home.live.get("/api/health").json()
    assert (health["status"], set(health["alarms"])) == ("ok", {"epoch_missing"})
    entries = home.json("audit", "show", *home.as_admin(), "--act", "alarm.acknowledged")
    assert entries[0]["details"]["remark"] == "the console is being moved"


def test_a_restart_keeps_the_history(lines: Exchange) -> None:
    home = Home(lines.home.root)
    public = home.root / "keys" / "epochs" / f"{month_of(utc_now())}.pub"
    public.rename(public.with_suffix(".away"))
    assert alarms(lines) == {"epoch_missing"}
    stored = json.loads((home.state / BOOK).read_text())
    assert [one["name"] for one in stored["standing"]] == ["epoch_missing"]
    found = read_book(home.state, utc_now)
    assert [(one.alarm.name, one.why) for one in found.ended()] == [("epoch_missing", "restarted")]


def test_a_database_file_that_is_gone_takes_no_rows_and_another_one_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "index.sqlite"
    with closing(Index(sqlite_url(path))) as index:
        index.save(ROW)
        index.database.truncate_log()
        shutil.copy(path, tmp_path / "backup.sqlite")
        path.rename(tmp_path / "away.sqlite")
        with pytest.raises(DatabaseError, match="was removed or its folder is not mounted"):
            index.save(ROW)
        with pytest.raises(DatabaseError, match="was removed"):
            index.get(ROW.id)
        assert not path.exists()
        (tmp_path / "backup.sqlite").rename(path)
        found: list[str] = []
        threads = [threading.Thread(target=lambda: found.append(index.get(ROW.id).id)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [ID] * 8


def test_a_home_with_recordings_and_without_its_index_is_not_given_an_empty_one(lines: Exchange) -> None:
    talk = lines.call()
    recording = talk.join()
    talk.talk_for(0.3)
    talk.hang_up()
    home = Home(lines.home.root)
    lines.home.stop()
    home.index.unlink()
    with pytest.raises(DatabaseError, match="is missing although there are recordings"):
        open_index(home, read_config(home.config))
    lines.home.start()
    assert alarms(lines) == {"index_unavailable"}
    assert not home.index.exists()
    lines.home.stop()
    lines.home.recorder("index", "rebuild", "-C", str(home.root))
    with closing(Index(sqlite_url(home.index))) as index:
        assert index.get(RecordingId(recording)).id == recording
