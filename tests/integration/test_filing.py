"""The database goes down and comes back: calls go on, and no row is lost, of whatever kind the call was."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.postgres import PASSWORD, PostgresServer
from recorder.calls.filing import RETRY_S, Filing
from storage import tables
from storage.database import Database
from storage.errors import DatabaseError
from storage.index import Index
from storage.rows import row_from_json
from storage.types import Outcome, RecordingId, RecordingRow, Search
from tests.helpers.exchange import Exchange, exchange
from tests.helpers.recorder_home import eventually
from tests.helpers.storage_home import ID, STARTED, row

ROW = replace(row_from_json(row()), ended_at=STARTED + timedelta(seconds=60), peaks=(b"\x01", b"\xff"))
LOUD = 'index_url = "off"  '


class Flaky:
    """An index whose database is down when told so."""

    def __init__(self) -> None:
        self.is_down = False
        self.tries = 0
        self.rows: dict[str, RecordingRow] = {}

    def save(self, row: RecordingRow) -> None:
        self.tries += 1
        if self.is_down:
            raise DatabaseError("the database is down", is_passing=True)
        self.rows[row.id] = row

    def save_late(self, row: RecordingRow) -> bool:
        self.save(row)
        return True


class Site:
    """A filing on a folder, its clock and its alarms."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "state" / "rows"
        self.now_s = 100.0
        self.alarms: Counter[str] = Counter()
        self.index = Flaky()
        self.filing = self.again()

    def again(self) -> Filing:
        return Filing(self.index, self.folder, alarm=lambda what: self.alarms.update([what]), clock=lambda: self.now_s)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def other(number: int) -> RecordingRow:
    return replace(ROW, id=RecordingId(f"20261124T0930{number:02d}Z-2001-0a1b2c"))


def test_a_row_waits_in_a_file_and_is_filed_when_it_is_time(site: Site) -> None:
    site.index.is_down = True
    site.filing.save(ROW)
    assert site.files() == [f"{ID}.json"]
    assert (site.folder / f"{ID}.json").stat().st_mode & 0o077 == 0
    site.index.is_down = False
    site.filing.catch_up()
    assert site.index.rows == {}, "the database was not left in peace"
    site.now_s += RETRY_S
    site.filing.catch_up()
    assert site.index.rows == {ID: ROW}
    assert (site.files(), site.filing.waiting) == ([], 0)
    assert site.alarms == {"index_unavailable": 1}


def test_a_database_that_hangs_is_not_asked_for_every_row(site: Site) -> None:
    site.index.is_down = True
    for number in range(5):
        site.filing.save(other(number))
    assert site.index.tries == 1
    site.now_s += RETRY_S
    site.filing.save(other(5))
    assert site.index.tries == 2
    assert site.filing.waiting == site.alarms["index_unavailable"] == 6


def test_what_another_process_left_is_filed_oldest_first(site: Site) -> None:
    site.index.is_down = True
    for number in (3, 1, 2):
        site.filing.save(other(number))
    site.index.is_down = False
    filing = site.again()
    assert filing.waiting == 3
    filing.catch_up()
    assert list(site.index.rows) == [other(n).id for n in (1, 2, 3)]
    assert site.files() == []


def test_a_row_that_is_saved_after_all_is_not_filed_twice(site: Site) -> None:
    site.index.is_down = True
    site.filing.save(replace(ROW, ended_at=None, reason="discarded"))
    site.index.is_down = False
    site.now_s += RETRY_S
    site.filing.save(ROW)
    assert (site.files(), site.filing.waiting) == ([], 0)
    assert site.index.rows == {ID: ROW}


def test_a_file_that_cannot_be_read_keeps_nothing_else_waiting(site: Site) -> None:
    site.index.is_down = True
    site.filing.save(other(1))
    site.filing.save(other(2))
    (site.folder / f"{other(1).id}.json").write_text("{")
    site.index.is_down = False
    site.now_s += RETRY_S
    site.filing.catch_up()
    assert list(site.index.rows) == [other(2).id]
    assert site.files() == [f"{other(1).id}.json"]
    assert site.filing.waiting == 0


def test_where_no_disk_takes_a_row_either_it_is_kept_in_memory_until_there_is_room(site: Site) -> None:
    site.folder.parent.write_text("in the way")
    site.index.is_down = True
    site.filing.save(ROW)
    site.filing.save(replace(ROW, reason="newer"))
    assert site.alarms == {"index_unavailable": 2, "row_in_memory": 2}
    assert site.filing.waiting == 1
    site.folder.parent.unlink()
    site.filing.save(other(1))
    assert site.files() == [f"{other(1).id}.json"]
    site.index.is_down = False
    site.now_s += RETRY_S
    site.filing.catch_up()
    assert list(site.index.rows.values()) == sorted([replace(ROW, reason="newer"), other(1)], key=lambda row: row.id)
    assert (site.files(), site.filing.waiting) == ([], 0)


def test_memory_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recorder.calls.filing._MOST_IN_MEMORY", 2)
    site.folder.parent.write_text("in the way")
    site.index.is_down = True
    for number in range(3):
        site.filing.save(other(number))
    assert site.alarms == {"index_unavailable": 3, "row_in_memory": 2, "row_lost": 1}
    assert site.filing.waiting == 2


def test_an_old_row_takes_the_place_of_no_newer_one_and_of_no_tombstone(database: Database) -> None:
    index = Index(database)
    assert index.save_late(ROW)
    index.save(replace(ROW, reason="erased since"))
    assert not index.save_late(ROW)
    assert index.get(ID).reason == "erased since"
    index.save(replace(ROW, ended_at=None, outcome=Outcome.BLOCKED, reason="discarded"))
    assert index.save_late(ROW)
    assert index.get(ID) == ROW
    index.remove(ID)
    with database.begin() as connection:
        connection.execute(tables.deletions.insert().values(id=ID, deleted_us=1, rule="period"))
    assert not index.save_late(ROW)
    assert index.count(Search()) == 0


@pytest.fixture(scope="module")
def server(cluster: Path) -> Iterator[PostgresServer]:
    made = PostgresServer(cluster=cluster)  # its own: it is stopped
    try:
        yield made
    finally:
        made.close()


def _calls(lines: Exchange) -> dict[str, str]:
    """Place a call that is recorded, one that is given up during the notice, and one that is discarded."""
    recorded = lines.call()
    recorded.join()
    recorded.talk_for(0.3)
    given_up = lines.call()
    given_up.first.wait_confirmed(8)
    given_up.first.hang_up()
    recorded.first.hang_up()
    for talk in (recorded, given_up):
        talk.first.wait_ended()
        talk.left.hush()
        talk.right.hush()
    return {recorded.number: "recorded", given_up.number: "no_conversation"}


def _filed(lines: Exchange) -> dict[str, Any]:
    return {row["caller"]: row["outcome"] for row in lines.home.rows()}


def test_a_server_that_stops_under_a_running_daemon_loses_no_row(tmp_path: Path, server: PostgresServer) -> None:
    edits = ((LOUD, f'index_url = "{server.new_database()}"  '),)
    with exchange(tmp_path, edits=edits) as lines:
        home = lines.home
        expected = _calls(lines)
        eventually(lambda: _filed(lines) == expected, "what came before is filed")
        server.stop()
        try:
            expected |= _calls(lines)
            waiting = home.root / "state" / "rows"
            eventually(lambda: len(list(waiting.glob("*.json"))) == 2, "two rows wait")
            assert home.health()["alarms"]["index_unavailable"] == 2
        finally:
            server.start()
        eventually(lambda: _filed(lines) == expected, "they are filed by themselves", timeout_s=20)
        assert list(waiting.iterdir()) == []

        server.stop()
        try:
            expected |= _calls(lines)
            eventually(lambda: len(list(waiting.glob("*.json"))) == 2, "two rows wait")
            home.kill()
            home.start()
            expected |= _calls(lines)
            eventually(lambda: len(list(waiting.glob("*.json"))) == 4, "four rows wait")
        finally:
            server.start()
        eventually(lambda: _filed(lines) == expected, "those of the daemon that was killed too", timeout_s=20)
        found = home.json("find")
        assert len(found) == len(expected) == 8
        assert PASSWORD not in home.said
        assert json.dumps(found).count("0163296") >= 8
