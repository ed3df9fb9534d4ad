"""The file of a recording that one node deleted is removed by the node that has it, at its start or within a minute."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks.postgres import PostgresServer
from recorder.common.child_process import NotNeeded
from recorder.common.home import Home
from recorder.config.node_options import NodeOptions
from recorder.config.settings import Config
from recorder.recordings.fsck import Checker
from recorder.recordings.recovery import recover_all
from recorder.recordings.resurrection_guard import alone
from recorder.retention import file_removing
from recorder.retention.file_removing import FileRemoving
from storage.deletion import Shredder
from storage.fsck import Kind
from storage.tombstones import DELETED, FILES_REMOVED, Tombstone
from tests.helpers.shared_sweep_site import DAY, TwoHomes, start, two_homes
from tests.helpers.sweep_site import GONE, NOW, PRESENT, SweepSite


@pytest.fixture
def two(tmp_path: Path, postgres: PostgresServer, url_of_tables: str) -> Iterator[TwoHomes]:
    with two_homes(tmp_path, postgres.new_database(like=url_of_tables)) as made:
        yield made


def test_a_node_that_was_away_for_a_week_does_nothing_twice(two: TwoHomes) -> None:
    north, south = two.north, two.south
    days = (0, 3, 7)
    ids = [south.record(NOW - (90 - day) * DAY) for day in days]
    stays = south.record(NOW - 80 * DAY)
    for day in days:
        two.forget_turn()
        north.sweep(NOW + day * DAY)
    assert all(south.traces(one)["key"] for one in ids)
    assert sorted(start(south)) == sorted(ids)
    assert [south.traces(one) for one in ids] == [GONE] * 3
    assert south.traces(stays) == PRESENT
    south.sweep(NOW + 7 * DAY)
    assert two.deleted() == sorted(ids)
    assert south.acts(DELETED) == []
    (entry,) = south.acts(FILES_REMOVED)
    assert sorted(entry["details"]["recordings"]) == sorted(ids)


def test_a_removal_that_was_interrupted_is_told_once(two: TwoHomes, monkeypatch: pytest.MonkeyPatch) -> None:
    there = two.south.record(NOW - 91 * DAY)
    two.north.sweep()
    with monkeypatch.context() as patch:
        patch.setattr(Shredder, "_unlink_keys", lambda *_: (_ for _ in ()).throw(OSError("killed")))
        with pytest.raises(OSError, match="killed"):
            start(two.south)
    assert two.waiting() == {"south": 1}
    start(two.south)
    assert two.waiting() == {}
    assert two.south.traces(there) == GONE
    assert len(two.south.acts(FILES_REMOVED)) == 1


class Started:
    """Stands for the process that removes files; does the same at once."""

    def __init__(self, site: SweepSite) -> None:
        self.count = 0
        self._site = site

    def __call__(self, _: Home) -> NotNeeded:
        self.count += 1
        start(self._site)
        return NotNeeded(0)


def test_files_are_removed_within_a_minute_and_a_node_that_does_not_is_named(
    two: TwoHomes, caplog: pytest.LogCaptureFixture
) -> None:
    north, south = two.north, two.south
    at_north, at_south = Started(north), Started(south)
    watch = FileRemoving(north.home, north.database, "north", start=at_north)
    other = FileRemoving(south.home, south.database, "south", start=at_south)
    for _ in range(2):
        watch.look()
        other.look()
    assert (at_north.count, at_south.count) == (1, 1), "once at the start, in case the database was away then"
    there = south.record(NOW - 91 * DAY)
    north.sweep()
    watch.look()
    health = watch.health()
    assert health["alarms"] == {}
    assert [(one["node"], one["count"]) for one in health["files_waiting"]] == [("south", 1)]
    with north.database.begin() as connection:
        connection.execute(sa.text("UPDATE file_removals SET ordered_us = ordered_us - 86500000000"))
    watch.look()
    watch.look()
    assert watch.health()["alarms"] == {"files_not_removed": 1}
    assert caplog.text.count("node south has not removed its files") == 1
    assert at_north.count == 1
    other.look()
    assert at_south.count == 2
    assert south.traces(there) == GONE
    watch.look()
    assert watch.health() == {"alarms": {}, "files_waiting": []}


def test_a_first_look_that_found_an_erasure_going_on_is_done_again(two: TwoHomes) -> None:
    south = two.south
    south.home.config.write_text(f'[storage]\nindex_url = "{two.url}"\n')
    returned = south.record(NOW - 91 * DAY)
    file = next(south.home.recordings.rglob("*.rec"))
    content = file.read_bytes()
    two.north.sweep()
    assert start(south) == [returned]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)  # as a backup does
    codes: list[int] = []

    def run(home: Home) -> NotNeeded:
        codes.append(file_removing.main(home.root))
        return NotNeeded(codes[-1])

    watch = FileRemoving(south.home, south.database, "south", start=run)
    with alone(south.home.erasing_lock):
        watch.look()
    assert file.exists()
    watch.look()
    watch.look()
    assert (codes, file.exists()) == ([1, 0], False)


def test_a_recorder_by_itself_looks_for_nothing(tmp_path: Path) -> None:
    site = SweepSite(tmp_path)
    assert FileRemoving(site.home, site.database, None).health() == {"alarms": {}}
    site.close()


def test_the_files_of_other_nodes_are_not_missing_here(two: TwoHomes) -> None:
    north, south = two.north, two.south
    here, _ = north.record(NOW - DAY), south.record(NOW - DAY)
    with north.database.begin() as connection:
        connection.execute(sa.text(f"UPDATE nodes SET fingerprint = '{north.node.fingerprint}' WHERE name = 'north'"))

    def missing(site: SweepSite) -> list[str]:
        checker = Checker(
            home=site.home, vault=site.vault, database=site.database, audit=site.audit, now=lambda: NOW,
            is_live=False, is_quick=True,
        )  # fmt: skip
        return [one.where for one in checker.findings() if one.kind is Kind.NO_CONTAINER]

    assert missing(north) == []
    for path in north.vault.files_of(here):
        path.unlink()
    assert missing(north) == [here]


def test_a_tombstone_stays_until_the_file_is_gone(two: TwoHomes) -> None:
    north, south = two.north, two.south
    there = south.record(NOW - 91 * DAY)
    north.sweep()
    assert north.deletions.forget(before=NOW + DAY) == 0
    start(south)
    assert north.deletions.forget(before=NOW + DAY) == 1
    assert north.deletions.get(there) is None
    with north.database.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM file_removals")).scalar() == 0


def test_a_start_removes_what_was_deleted_before_it_recovers_or_answers(two: TwoHomes) -> None:
    north, south = two.north, two.south
    there = south.record(NOW - 91 * DAY)
    north.sweep()
    storage = replace(Config().storage, index_url=two.url)
    config = replace(Config(), storage=storage, node=NodeOptions(name="south"))
    assert recover_all(south.home, config, NOW) == []
    assert south.traces(there) == GONE
    assert two.waiting() == {}


def test_a_start_that_cannot_remove_yet_brings_no_row_of_a_deleted_recording_back(two: TwoHomes) -> None:
    north, south = two.north, two.south
    there = south.record(NOW - DAY)
    doomed = [Tombstone(id=there, deleted_at=NOW, rule="claim 0a1b2c3d")]
    assert set(north.sweeper(NOW).shredder.delete(doomed, rule="claim 0a1b2c3d").elsewhere) == {there}
    storage = replace(Config().storage, index_url=two.url)
    config = replace(Config(), storage=storage, node=NodeOptions(name="south"))
    with alone(south.home.erasing_lock):  # an erasure goes on here
        recover_all(south.home, config, NOW)
    assert south.traces(there)["row"] is False
    assert start(south) == [there]
    assert south.traces(there) == GONE
