"""Two nodes sweep one index: each recording is deleted once, by whichever, and its file by the node that has it."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from benchmarks.postgres import PostgresServer
from recorder.common.child_process import NotNeeded
from recorder.common.home import Home
from recorder.config.node_options import NodeOptions
from recorder.config.settings import Config
from recorder.recordings.agreement import look
from recorder.recordings.fsck import Checker
from recorder.recordings.recovery import recover_all
from recorder.recordings.resurrection_guard import SweepBusyError, alone, destroy_returned
from recorder.retention import file_removing
from recorder.retention.call_deletion import CALLS_DELETED
from recorder.retention.file_removing import FileRemoving
from recorder.retention.sweep_safeguards import SweepStoppedError
from recorder.retention.sweep_sharing import NOT_DONE, refresh_copy
from recorder.retention.sweep_state import NAME, OWN_SWEPT, SWEPT, alarms_of, read_state
from storage import leases as leases_module
from storage.agreement import Agreement
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from storage.database import Database, sqlite_url
from storage.deletion import Done, Shredder
from storage.errors import DatabaseError, NotFoundError
from storage.file_removals import FileRemovals
from storage.fsck import Kind
from storage.shared_deletion import SettledDeletion, SharedDeletion
from storage.tables import leases as _leases
from storage.tombstones import DELETED, FILES_REMOVED, NOT_DELETED, Tombstone
from storage.types import RecordingId
from tests.helpers.sweep_site import NOW, PRESENT, SweepSite, agreed

DAY = timedelta(days=1)
GONE = {"row": False, "file": False, "key": False, "tombstone": True}


class Two:
    """Two homes on one index."""

    def __init__(self, folder: Path, url: str) -> None:
        self.url = url
        self.north = SweepSite(folder, url, name="north", node="north")
        self.south = SweepSite(folder, url, name="south", node="south")
        self.south.count = 1000
        with self.north.database.begin() as connection:
            for name in ("north", "south"):
                connection.exec_driver_sql(
                    "INSERT INTO nodes (name, fingerprint, address, version, state, calls, capacity) "
                    f"VALUES ('{name}', '', '', '', '', 0, 0)"
                )

    def forget_turn(self) -> None:
        """Let the lease be free, as after its time; and let the last sweep be long ago."""
        with self.south.database.begin() as connection:
            connection.execute(_leases.update().values(until_us=0, done_us=None))

    def waiting(self) -> dict[str, int]:
        return {one.node: one.count for one in FileRemovals(self.north.database).waiting()}

    def deleted(self) -> list[str]:
        """Return every recording that the audit logs say was deleted, as often as they say it."""
        found: list[str] = []
        for site in (self.north, self.south):
            taken_back = {entry["details"]["entry"] for entry in site.acts(NOT_DELETED)}
            for entry in site.acts(DELETED):
                if entry["n"] not in taken_back:
                    found += [one["id"] for one in entry["details"]["recordings"]]
        return sorted(found)

    def close(self) -> None:
        self.north.close()
        self.south.close()


@pytest.fixture
def two(tmp_path: Path, postgres: PostgresServer, url_of_tables: str) -> Iterator[Two]:
    made = Two(tmp_path, postgres.new_database(like=url_of_tables))
    try:
        yield made
    finally:
        made.close()


def start(site: SweepSite) -> list[RecordingId]:
    """Do what a node does at its start before it answers."""
    return destroy_returned(site.home, site.vault, site.database, lambda: NOW, node=site.node_name)


def test_each_node_removes_its_own_files_and_says_so_once(two: Two) -> None:
    north, south = two.north, two.south
    here, there, kept = north.record(NOW - 91 * DAY), south.record(NOW - 91 * DAY), south.record(NOW - 89 * DAY)
    counts = north.sweep()
    assert (counts["recordings"], counts["files_elsewhere"]) == (2, 1)
    assert north.traces(here) == GONE
    assert south.traces(there) == {**GONE, "file": True, "key": True}, "nobody else can remove it"
    assert two.waiting() == {"south": 1}
    assert start(south) == [there]
    assert start(south) == []
    assert south.traces(there) == GONE
    assert south.traces(kept) == PRESENT
    assert two.waiting() == {}
    assert two.deleted() == sorted([here, there])
    (entry,) = south.acts(FILES_REMOVED)
    assert entry["details"] == {"recordings": [there]}
    assert south.acts("recording.deleted_again") == []


def test_the_index_is_swept_once_a_day_and_each_machine_by_itself(two: Two) -> None:
    north, south = two.north, two.south
    due = north.record(NOW - 91 * DAY)
    for site in (north, south):
        site.now = NOW - 3000 * DAY
        site.audit.append("case.note", "olive", "", {}, "a text that is due")
    assert north.sweep()["texts"] == 1
    assert len(north.acts(SWEPT)) == 1
    more = south.record(NOW - 91 * DAY)
    south.sweep()
    assert south.traces(more) == PRESENT, "the index was swept already"
    assert south.acts(SWEPT) == []
    (own,) = south.acts(OWN_SWEPT)
    assert own["details"]["counts"]["texts"] == 1
    assert two.deleted() == [due]
    state = read_state(south.home.state / "retention.json")
    assert state is not None
    assert state.last_success == NOW
    assert alarms_of(state, NOW + DAY, since=NOW) == {}
    two.forget_turn()
    south.sweep(NOW + DAY)
    assert two.deleted() == sorted([due, more])


def test_periods_in_force_and_stops_are_the_sites(two: Two) -> None:
    north, south = two.north, two.south
    north.sweep(periods={**north.sweeper(NOW).periods, "retention_days": 30})
    assert north.sweeper(NOW).file.load().in_force == south.sweeper(NOW).file.load().in_force
    sweeper = south.sweeper(NOW, {**south.sweeper(NOW).periods, "retention_days": 20})
    assert [one.days for one in sweeper.confirm_shorter("dora")] == [20]
    loaded = north.sweeper(NOW, sweeper.periods).file.load()
    assert loaded.in_force is not None
    assert loaded.in_force["retention_days"] == 20


def test_a_clock_that_is_not_the_databases_stops_the_sweep(two: Two) -> None:
    due = two.north.record(NOW - 91 * DAY)
    sweeper = two.north.sweeper(NOW)
    assert sweeper.sharing is not None
    object.__setattr__(sweeper.sharing, "clock", lambda: NOW - timedelta(hours=2))
    with pytest.raises(SweepStoppedError, match="set the wrong one right"):
        sweeper.run()
    assert two.north.traces(due) == PRESENT


def test_another_that_sweeps_is_waited_for(two: Two) -> None:
    sweeper = two.north.sweeper(NOW)
    assert sweeper.sharing is not None
    with sweeper.sharing.turn() as lease:
        assert lease is not None
        with pytest.raises(SweepBusyError, match="north is sweeping already"):
            two.south.sweep()
        with pytest.raises(SweepBusyError):
            two.south.sweeper(NOW).confirm_shorter("dora")


def test_each_home_has_a_number_of_its_own_in_the_index(two: Two) -> None:
    """What tells a restored index would else say so at each start of another node."""
    for site in (two.north, two.south, two.south, two.north):
        assert look(site.home.state, site.database, site.audit, NOW) is None
    with two.north.database.begin() as connection:
        connection.execute(sa.text("UPDATE agreements SET count = count - 1"))
    mark = look(two.north.home.state, two.north.database, two.north.audit, NOW)
    assert mark is not None
    assert "the index is older than the rest" in mark.why[0]


def test_the_number_of_a_site_that_moved_is_taken_over_and_back(two: Two, tmp_path: Path) -> None:
    moved, home = two.north.database, two.north.node.fingerprint
    with moved.begin() as connection:
        connection.execute(sa.text("INSERT INTO schema_version (id, version) VALUES (2, 7)"))
    number = Agreement(moved, home)
    assert number.count() == 7
    number.set(8)
    assert (number.count(), Agreement(moved, "another").count()) == (8, None)
    file = Database(sqlite_url(tmp_path / "back.sqlite"))
    with file.begin() as connection:
        connection.execute(sa.text(f"INSERT INTO agreements (home, count) VALUES ('{home}', 8)"))
    back = Agreement(file, home)
    assert back.count() == 8
    back.set(9)
    assert back.count() == 9
    file.close()


Stop = Callable[[pytest.MonkeyPatch, SweepSite, Callable[[], None]], None]


def _once(act: Callable[[], object]) -> Callable[[], None]:
    left = [act]

    def first() -> None:
        if left:
            left.pop()()

    return first


def _before_it_writes(patch: pytest.MonkeyPatch, north: SweepSite, meanwhile: Callable[[], None]) -> None:
    real = SharedDeletion.settle

    def settle(self: SharedDeletion, *args: Any) -> SettledDeletion:
        if self.node == "north":
            meanwhile()
        return real(self, *args)

    patch.setattr(SharedDeletion, "settle", settle)


def _after_entry(act: str) -> Stop:
    def stop(patch: pytest.MonkeyPatch, north: SweepSite, meanwhile: Callable[[], None]) -> None:
        real = AuditLog.append

        def append(self: AuditLog, *args: Any, **named: Any) -> AuditEntry:
            entry = real(self, *args, **named)
            if entry.act == act and self is north.audit:
                meanwhile()
            return entry

        patch.setattr(AuditLog, "append", append)

    return stop


_with_its_entry_written = _after_entry(DELETED)
_with_calls_entry_written = _after_entry(CALLS_DELETED)


def _before_it_destroys(patch: pytest.MonkeyPatch, north: SweepSite, meanwhile: Callable[[], None]) -> None:
    real = Shredder._destroy_settled

    def destroy(self: Shredder, *args: Any) -> Done:
        if self.audit is north.audit:
            meanwhile()
        return real(self, *args)

    patch.setattr(Shredder, "_destroy_settled", destroy)


@pytest.mark.parametrize(
    "stop",
    [_before_it_writes, _with_its_entry_written, _with_calls_entry_written, _before_it_destroys],
    ids=["before it writes", "its entry written", "entry on calls written", "before it destroys"],
)
def test_a_holder_that_was_stopped_does_nothing_twice(two: Two, monkeypatch: pytest.MonkeyPatch, stop: Stop) -> None:
    """North is stopped somewhere, south takes over and sweeps all, north goes on."""
    north, south = two.north, two.south
    if stop is _with_its_entry_written:  # inside its transaction, which the server has to end
        monkeypatch.setattr(leases_module, "IDLE", "1s")
    monkeypatch.setattr("storage.old_calls.PAGE", 2)
    ids = [site.record(NOW - 91 * DAY) for site in (north, south, north, south, north)]
    missed = north.miss(NOW - 900 * DAY)
    sweeper = agreed(north.sweeper(NOW))

    def meanwhile() -> None:
        monkeypatch.setattr(leases_module, "IDLE", "10s")  # of south
        two.forget_turn()
        south.sweep()

    stop(monkeypatch, north, _once(meanwhile))
    with pytest.raises(SweepBusyError, match="another node has taken over sweep from north"):
        sweeper.run()
    assert two.deleted() == sorted(ids)
    assert missed not in north.ids()
    not_done = [entry["details"]["entry"] for entry in north.acts(NOT_DONE)]
    done = [entry for entry in north.acts(CALLS_DELETED) if entry["n"] not in not_done]
    assert len(done) + len(south.acts(CALLS_DELETED)) == 1
    assert [len(site.acts(SWEPT)) for site in (north, south)] == [0, 1]
    for site in (north, south):
        start(site)
    assert [site.traces(one) for one in ids for site in (north, south)] == [GONE] * 10
    assert two.waiting() == {}
    assert {entry["details"]["recordings"][0]["id"] for entry in north.acts(DELETED)} <= set(ids)
    state = read_state(north.home.state / "retention.json")
    assert state is not None
    assert not state.problem, "it is no fault of this node"
    for site in (north, south):
        assert site.audit.verify().bad is None
        assert site.acts("recording.deleted_again") == []


def test_a_hold_that_was_placed_meanwhile_keeps_the_recording(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep checked the holds, was stopped, and a hold was placed on another machine."""
    due = two.north.record(NOW - 91 * DAY)
    _before_it_writes(monkeypatch, two.north, _once(lambda: two.south.hold(due, NOW)))
    assert two.north.sweep()["held"] == 1
    assert two.north.traces(due) == PRESENT
    assert two.deleted() == []


def test_a_hold_waits_for_a_deletion_and_is_refused(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is placed on another machine while the sweep has read the holds and not yet deleted the row."""
    due = two.north.record(NOW - 91 * DAY)
    refused: list[str] = []

    def place() -> None:
        try:
            two.south.hold(due, NOW)
        except NotFoundError as error:
            refused.append(str(error))

    thread = threading.Thread(target=place)

    def meanwhile() -> None:
        thread.start()
        thread.join(0.5)
        assert thread.is_alive(), "it waits"

    _with_its_entry_written(monkeypatch, two.north, _once(meanwhile))
    two.north.sweep()
    thread.join(10)
    assert refused == ["The recording has just been deleted, so it cannot be held."]
    assert two.south.holds.of_recording(due) == []


def test_the_database_goes_away_in_the_middle_of_a_sweep(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [two.north.record(NOW - 91 * DAY) for _ in range(3)]
    monkeypatch.setattr("storage.old_calls.PAGE", 1)

    def cut() -> None:
        other = Database(two.url)
        with other.connect() as connection:
            connection.execute(
                sa.text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        other.close()

    with monkeypatch.context() as patch:
        _with_its_entry_written(patch, two.north, _once(cut))
        with pytest.raises(DatabaseError):
            two.north.sweep()
    assert [two.north.traces(one) for one in ids] == [PRESENT] * 3, "no key was destroyed without the tombstone"
    (entry,) = two.north.acts(NOT_DELETED)
    assert entry["details"]["recordings"] == [ids[0]]
    two.forget_turn()
    two.north.sweep()
    assert [two.north.traces(one) for one in ids] == [GONE] * 3
    assert two.deleted() == sorted(ids)


def test_a_node_that_was_away_for_a_week_does_nothing_twice(two: Two) -> None:
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


def test_a_removal_that_was_interrupted_is_told_once(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
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
    two: Two, caplog: pytest.LogCaptureFixture
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


def test_a_first_look_that_found_an_erasure_going_on_is_done_again(two: Two) -> None:
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


def test_a_stop_that_was_settled_elsewhere_is_no_alarm_here(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each home has a copy of the site's state, for health."""
    monkeypatch.setattr("recorder.retention.sweep_safeguards.MANY", 1)
    north, south = two.north, two.south
    for _ in range(2):
        north.record(NOW - 91 * DAY)
    with pytest.raises(SweepStoppedError):
        north.sweeper(NOW, most_share=1.0).run()
    assert read_state(north.home.state / NAME).stopped  # type: ignore[union-attr]
    two.forget_turn()
    south.sweep()
    sharing = north.sweeper(NOW).sharing
    assert sharing is not None
    refresh_copy(north.home.state, north.audit, sharing)
    state = read_state(north.home.state / NAME)
    assert state is not None
    assert (state.stopped, state.last_success) == ("", NOW)


def test_a_failure_on_this_machine_alone_stays_an_alarm(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    north, south = two.north, two.south
    north.sweep()
    with monkeypatch.context() as patch:
        patch.setattr(Shredder, "tidy", lambda *_: (_ for _ in ()).throw(OSError("the disk refuses")))
        with pytest.raises(OSError, match="refuses"):
            south.sweep(NOW + timedelta(minutes=1))
    sharing = south.sweeper(NOW).sharing
    assert sharing is not None
    for problem in ("the disk refuses", ""):
        refresh_copy(south.home.state, south.audit, sharing)
        state = read_state(south.home.state / NAME)
        assert state is not None
        assert state.problem == problem
        south.sweep(NOW + timedelta(minutes=2))


def test_a_recorder_by_itself_looks_for_nothing(tmp_path: Path) -> None:
    site = SweepSite(tmp_path)
    assert FileRemoving(site.home, site.database, None).health() == {"alarms": {}}
    site.close()


def test_the_files_of_other_nodes_are_not_missing_here(two: Two) -> None:
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


def test_a_tombstone_stays_until_the_file_is_gone(two: Two) -> None:
    north, south = two.north, two.south
    there = south.record(NOW - 91 * DAY)
    north.sweep()
    assert north.deletions.forget(before=NOW + DAY) == 0
    start(south)
    assert north.deletions.forget(before=NOW + DAY) == 1
    assert north.deletions.get(there) is None
    with north.database.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM file_removals")).scalar() == 0


def test_a_start_removes_what_was_deleted_before_it_recovers_or_answers(two: Two) -> None:
    north, south = two.north, two.south
    there = south.record(NOW - 91 * DAY)
    north.sweep()
    storage = replace(Config().storage, index_url=two.url)
    config = replace(Config(), storage=storage, node=NodeOptions(name="south"))
    assert recover_all(south.home, config, NOW) == []
    assert south.traces(there) == GONE
    assert two.waiting() == {}


def test_a_start_that_cannot_remove_yet_brings_no_row_of_a_deleted_recording_back(two: Two) -> None:
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
