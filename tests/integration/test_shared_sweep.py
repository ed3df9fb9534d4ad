"""Two nodes sweep one index: each recording is deleted once, by whichever, and its file by the node that has it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.postgres import PostgresServer
from recorder.recordings.resurrection_guard import SweepBusyError
from recorder.retention.sweep_safeguards import SweepStoppedError
from recorder.retention.sweep_sharing import refresh_copy
from recorder.retention.sweep_state import NAME, OWN_SWEPT, SWEPT, alarms_of, read_state
from storage.deletion import Shredder
from storage.tombstones import FILES_REMOVED
from tests.helpers.shared_sweep_site import DAY, TwoHomes, start, two_homes
from tests.helpers.sweep_site import GONE, NOW, PRESENT


@pytest.fixture
def two(tmp_path: Path, postgres: PostgresServer, url_of_tables: str) -> Iterator[TwoHomes]:
    with two_homes(tmp_path, postgres.new_database(like=url_of_tables)) as made:
        yield made


def test_each_node_removes_its_own_files_and_says_so_once(two: TwoHomes) -> None:
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


def test_the_index_is_swept_once_a_day_and_each_machine_by_itself(two: TwoHomes) -> None:
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


def test_periods_in_force_and_stops_are_the_sites(two: TwoHomes) -> None:
    north, south = two.north, two.south
    north.sweep(periods={**north.sweeper(NOW).periods, "retention_days": 30})
    assert north.sweeper(NOW).file.load().in_force == south.sweeper(NOW).file.load().in_force
    sweeper = south.sweeper(NOW, {**south.sweeper(NOW).periods, "retention_days": 20})
    assert [one.days for one in sweeper.confirm_shorter("dora")] == [20]
    loaded = north.sweeper(NOW, sweeper.periods).file.load()
    assert loaded.in_force is not None
    assert loaded.in_force["retention_days"] == 20


def test_a_clock_that_is_not_the_databases_stops_the_sweep(two: TwoHomes) -> None:
    due = two.north.record(NOW - 91 * DAY)
    sweeper = two.north.sweeper(NOW)
    assert sweeper.sharing is not None
    object.__setattr__(sweeper.sharing, "clock", lambda: NOW - timedelta(hours=2))
    with pytest.raises(SweepStoppedError, match="set the wrong one right"):
        sweeper.run()
    assert two.north.traces(due) == PRESENT


def test_another_that_sweeps_is_waited_for(two: TwoHomes) -> None:
    sweeper = two.north.sweeper(NOW)
    assert sweeper.sharing is not None
    with sweeper.sharing.turn() as lease:
        assert lease is not None
        with pytest.raises(SweepBusyError, match="north is sweeping already"):
            two.south.sweep()
        with pytest.raises(SweepBusyError):
            two.south.sweeper(NOW).confirm_shorter("dora")


def test_a_stop_that_was_settled_elsewhere_is_no_alarm_here(two: TwoHomes, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_failure_on_this_machine_alone_stays_an_alarm(two: TwoHomes, monkeypatch: pytest.MonkeyPatch) -> None:
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
