"""A sweep of two nodes is interrupted: the other takes over, a hold is placed meanwhile, the database goes away."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from benchmarks.postgres import PostgresServer
from recorder.recordings.resurrection_guard import SweepBusyError
from recorder.retention.call_deletion import CALLS_DELETED
from recorder.retention.sweep_sharing import NOT_DONE
from recorder.retention.sweep_state import SWEPT, read_state
from storage import leases as leases_module
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from storage.database import Database
from storage.deletion import Done, Shredder
from storage.errors import DatabaseError, NotFoundError
from storage.shared_deletion import SettledDeletion, SharedDeletion
from storage.tombstones import DELETED, NOT_DELETED
from tests.helpers.shared_sweep_site import DAY, TwoHomes, start, two_homes
from tests.helpers.sweep_site import GONE, NOW, PRESENT, SweepSite, agreed

Stop = Callable[[pytest.MonkeyPatch, SweepSite, Callable[[], None]], None]


@pytest.fixture
def two(tmp_path: Path, postgres: PostgresServer, url_of_tables: str) -> Iterator[TwoHomes]:
    with two_homes(tmp_path, postgres.new_database(like=url_of_tables)) as made:
        yield made


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
def test_a_holder_that_was_stopped_does_nothing_twice(
    two: TwoHomes, monkeypatch: pytest.MonkeyPatch, stop: Stop
) -> None:
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


def test_a_hold_that_was_placed_meanwhile_keeps_the_recording(two: TwoHomes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep checked the holds, was stopped, and a hold was placed on another machine."""
    due = two.north.record(NOW - 91 * DAY)
    _before_it_writes(monkeypatch, two.north, _once(lambda: two.south.hold(due, NOW)))
    assert two.north.sweep()["held"] == 1
    assert two.north.traces(due) == PRESENT
    assert two.deleted() == []


def test_a_hold_waits_for_a_deletion_and_is_refused(two: TwoHomes, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_the_database_goes_away_in_the_middle_of_a_sweep(two: TwoHomes, monkeypatch: pytest.MonkeyPatch) -> None:
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
