"""The sweep over real files, keys and a real database: what is due goes, all of it, and nothing else."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from recorder.recordings.agreement import MARK
from recorder.recordings.resurrection_guard import LOCK, SweepBusyError, alone
from recorder.retention.sweep_safeguards import Stop, SweepStoppedError
from recorder.retention.sweep_state import alarms_of
from recorder.rules.retention_schedule import DataClass
from storage.copy_list import CopyList, CopyMade, new_copy_id
from storage.erasures import is_open
from storage.errors import AuditUnavailableError
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState
from tests.helpers.sweep_site import GONE, NOW, PRESENT, SweepSite, agreed, default_periods

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
ONE_ENGINE = pytest.mark.parametrize(
    "ready_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)], indirect=True
)
"""For what asks the database nothing that tests of both engines in this file do not ask."""


@pytest.fixture
def site(tmp_path: Path, ready_url: str) -> Iterator[SweepSite]:
    made = SweepSite(tmp_path, ready_url)
    try:
        yield made
    finally:
        made.close()


def test_what_is_due_goes_with_file_key_and_row_and_leaves_a_tombstone(site: SweepSite) -> None:
    due, not_yet = site.record(NOW - 90 * DAY), site.record(NOW - 90 * DAY + SECOND)
    row = site.index.get(due)
    assert site.sweep() == {"recordings": 1, "bytes": row.bytes}
    assert site.traces(due) == GONE
    assert site.traces(not_yet) == PRESENT
    tombstone = site.deletions.get(due)
    assert tombstone is not None
    assert (tombstone.rule, tombstone.sha256) == ("retention", row.sha256)
    (entry,) = site.acts("recording.deleted")
    assert entry["subject"] == due
    assert entry["details"] == {
        "rule": "retention",
        "recordings": [{"id": due, "sha256": row.sha256, "bytes": row.bytes, "due": "2026-11-25T03:00:00Z"}],
    }
    (swept,) = site.acts("retention.swept")
    assert swept["details"]["counts"]["recordings"] == 1
    assert site.audit.verify().bad is None
    assert not (site.vault.root / "2026" / "08" / "27" / "k7" / f"{due}.rec").exists()


def test_what_has_come_back_is_found_by_its_day(site: SweepSite) -> None:
    """A day's range of ids is one of bytes, on both engines."""
    ids = [site.record(NOW.replace(hour=0) - 100 * DAY + after) for after in (SECOND, DAY, DAY + SECOND)]
    site.sweep()
    assert site.deletions.of_day(ids[0][:8]) == set(ids[:2])
    assert site.deletions.of_day(ids[2][:8]) == {ids[2]}
    kept = site.home.root / "keys" / "sealed" / "2026-08" / f"{ids[1]}.key"
    kept.write_bytes(b"from a backup")
    assert site.sweep(NOW + DAY) == {"deleted_again": 1}
    assert not kept.exists()


@ONE_ENGINE
def test_days_of_which_nothing_was_deleted_are_not_looked_up(site: SweepSite, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a look costs does not grow with the days that lie there."""
    gone = site.record(NOW - 90 * DAY)
    for days in range(3, 9):
        site.record(NOW - days * DAY)
    looked_up: list[str] = []
    real = site.deletions.of_day
    monkeypatch.setattr(site.deletions, "of_day", lambda day: looked_up.append(day) or real(day))  # type: ignore[func-returns-value]
    assert site.sweep()["recordings"] == 1
    assert looked_up == []
    folder = site.home.root / "recordings" / gone[:4] / gone[4:6] / gone[6:8] / "k7"
    folder.mkdir(parents=True)
    (folder / f"{gone}.rec").write_bytes(b"from a backup")
    assert site.sweep(NOW + DAY) == {"deleted_again": 1}
    assert looked_up == [gone[:8]]


@ONE_ENGINE
def test_a_day_that_is_swept_leaves_no_empty_folders(site: SweepSite) -> None:
    site.record(NOW - 200 * DAY)
    site.record(NOW - 200 * DAY, operator_key="k8")
    site.sweep()
    assert list(site.vault.root.iterdir()) == []


@ONE_ENGINE
def test_a_service_has_its_own_period(site: SweepSite) -> None:
    short, long = site.record(NOW - 31 * DAY, service="short"), site.record(NOW - 100 * DAY, service="long")
    other = site.record(NOW - 91 * DAY)
    site.sweep(short=30, long=365)
    assert [site.traces(one) for one in (short, long, other)] == [GONE, PRESENT, GONE]


def test_rows_of_unrecorded_calls_have_a_period_of_their_own(site: SweepSite) -> None:
    missed, recorded = site.miss(NOW - 31 * DAY), site.record(NOW - 31 * DAY)
    newer = site.miss(NOW - 29 * DAY)
    assert site.sweep(periods=default_periods(unrecorded_days=30)) == {"calls": 1}
    assert site.ids() == sorted([newer, recorded])
    assert not site.traces(missed)["row"]
    (entry,) = site.acts("calls.deleted")
    assert entry["details"]["services"] == {"housing": 1}
    assert missed not in str(entry), "a call of which nothing was kept leaves no trace"


def test_the_row_of_an_unrecorded_call_that_left_a_key_or_a_file_takes_them_along(site: SweepSite) -> None:
    recording = site.record(NOW - 91 * DAY)
    site.index.save(replace(site.index.get(recording), path=None, bytes=None, sha256=None))
    site.sweep()
    assert site.traces(recording) == GONE
    missed = site.miss(NOW - 91 * DAY)
    folder = site.home.root / "keys" / "sealed" / "2026-08"
    (folder / f"{missed}.key").write_bytes(b"opens nothing")
    site.sweep(NOW + DAY)
    assert list(folder.iterdir()) == []


DAMAGES = {
    "is no JSON": "'{\"id\":'",
    "is no object": "'[]'",
    "has no time": """replace(document, '"ended_at": "2', '"ended_at": "x')""",
    "is of another call": "replace(document, id, 'x')",
}
"""What a document becomes, in SQL."""


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_row_stays_and_keeps_nothing_else_from_going(
    site: SweepSite, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    damaged, due, missed = site.record(NOW - 100 * DAY), site.record(NOW - 100 * DAY), site.miss(NOW - 100 * DAY)
    with site.database.begin() as connection:
        assert (
            connection.execute(
                sa.text(f"UPDATE recordings SET document = {damage} WHERE id = :id"), {"id": damaged}
            ).rowcount
            == 1
        )
    assert site.sweeper(NOW).plan().damaged == [damaged]
    state = agreed(site.sweeper(NOW)).run()
    assert [site.traces(one) for one in (damaged, due)] == [PRESENT, GONE]
    assert missed not in site.ids()
    assert (state.counts["recordings"], state.counts["damaged_rows"]) == (1, 1)
    assert damaged in state.problem
    assert "recorder index check" in state.problem
    assert state.last_success == NOW, "all the rest was swept"
    assert alarms_of(state, NOW, since=NOW) == {"retention_failed": 1}
    assert f"recording {damaged}: kept, because its row" in caplog.text


def test_the_list_of_copies_goes_with_the_decisions_once_its_recording_is_gone(site: SweepSite) -> None:
    gone, held = site.record(NOW - 100 * DAY), site.record(NOW - 100 * DAY)
    site.hold(held, NOW - 50 * DAY)
    copies = CopyList(site.database)
    for recording in (gone, held):
        copies.begin(
            CopyMade(
                id=new_copy_id(), recording=recording, made_by="dora", made_at=NOW, format="wav", start_s=0.0, end_s=1.0
            )
        )
    site.sweep()
    site.sweep(NOW + 730 * DAY)
    assert len(copies.of_recording(gone)) == 1, "not a day too early"
    late = NOW + 730 * DAY + SECOND
    assert site.sweeper(late).plan().others[DataClass.DECISIONS] == 1
    assert site.sweep(late)["decisions"] == 1
    assert (copies.of_recording(gone), len(copies.of_recording(held))) == ([], 1)


def test_a_hold_beats_retention_until_its_grace_is_over(site: SweepSite) -> None:
    held, free = site.record(NOW - 100 * DAY), site.record(NOW - 100 * DAY)
    hold = site.hold(held, NOW - 99 * DAY)
    counts = site.sweep()
    assert (counts["recordings"], counts["held"]) == (1, 1)
    assert [site.traces(one) for one in (held, free)] == [PRESENT, GONE]
    site.release(hold, NOW)
    site.sweep(NOW + 13 * DAY)
    assert site.traces(held) == PRESENT
    site.sweep(NOW + 14 * DAY)
    assert site.traces(held) == GONE


def test_a_hold_that_only_the_audit_log_knows_beats_retention(site: SweepSite) -> None:
    """An index restored from a backup that is older than the hold."""
    held = site.record(NOW - 100 * DAY)
    site.hold(held, NOW - 99 * DAY, in_table=False)
    site.sweep()
    assert site.traces(held) == PRESENT
    assert [hold.reason for hold in site.holds.of_recording(held)] == ["they complained"]


def test_what_is_being_recorded_is_never_deleted(site: SweepSite) -> None:
    recording = site.record(NOW - 100 * DAY)
    (path,) = site.vault.files_of(recording)
    path.rename(path.with_suffix(".part"))
    assert site.sweep() == {"in_progress": 1}
    assert site.traces(recording) == PRESENT


def test_an_open_order_to_erase_is_settled_by_the_deletion(site: SweepSite) -> None:
    recording = site.record(NOW - 100 * DAY)
    order = ErasureOrder(
        id="0123abcd", recording=recording, start_s=0.0, end_s=None, kind=ErasureKind.CARD_DATA, ordered_by="olive",
        ordered_at=NOW, state=ErasureState.WAITING,
    )  # fmt: skip
    site.erasures.place(order)
    assert site.sweep()["orders_settled"] == 1
    assert not is_open(site.erasures.get(order.id))
    (entry,) = site.acts("erasure.done")
    assert entry["details"]["deleted"] is True


@ONE_ENGINE
def test_a_longer_period_holds_at_once_and_a_shorter_one_when_the_dpo_says_so(site: SweepSite) -> None:
    recording = site.record(NOW - 40 * DAY)
    site.sweep()
    for days in (120, 30):
        site.sweep(periods=default_periods(retention_days=days))
        assert site.traces(recording) == PRESENT
    state = site.sweeper(NOW).file.load()
    assert state.unconfirmed == ("retention_days is 30 days, 120 are in force",)
    assert alarms_of(state, NOW, since=NOW) == {"retention_shorter_unconfirmed": 1}
    (site.home.state / "retention.json").unlink()  # the audit log knows as well
    site.sweep(periods=default_periods(retention_days=30))
    assert site.traces(recording) == PRESENT
    sweeper = site.sweeper(NOW, default_periods(retention_days=30))
    assert [one.in_force for one in sweeper.confirm_shorter("dora")] == [120]
    assert site.acts("retention.in_force")[-1]["actor"] == "dora"
    site.sweep(periods=default_periods(retention_days=30))
    assert site.traces(recording) == GONE
    assert site.sweeper(NOW).file.load().unconfirmed == ()


@ONE_ENGINE
def test_a_rebuilt_index_is_not_swept_before_the_dpo_has_looked(site: SweepSite) -> None:
    recording = site.record(NOW - 100 * DAY)
    site.home.state.mkdir(exist_ok=True)
    mark = site.home.state / MARK
    mark.touch()
    with pytest.raises(SweepStoppedError) as stopped:
        site.sweep()
    assert stopped.value.why is Stop.RECONCILE
    assert site.traces(recording) == PRESENT
    assert alarms_of(site.sweeper(NOW).file.load(), NOW, since=NOW) == {"retention_stopped": 1}
    mark.unlink()
    site.sweep()
    assert site.traces(recording) == GONE
    assert alarms_of(site.sweeper(NOW).file.load(), NOW, since=NOW) == {}


@ONE_ENGINE
@pytest.mark.parametrize("ahead", [DAY, 4000 * DAY])
def test_a_clock_that_is_behind_what_was_seen_is_not_believed(site: SweepSite, ahead: timedelta) -> None:
    recording = site.record(NOW - 100 * DAY)
    site.record(NOW + ahead)
    with pytest.raises(SweepStoppedError) as stopped:
        site.sweep()
    assert stopped.value.why is Stop.CLOCK
    assert site.traces(recording) == PRESENT
    assert site.acts("recording.deleted") == []


@ONE_ENGINE
def test_a_clock_that_jumped_ahead_deletes_nothing_before_somebody_has_looked(site: SweepSite) -> None:
    ids = [site.record(NOW - (days % 80) * DAY) for days in range(1, 21)]
    site.sweep()
    jumped = NOW + 3650 * DAY
    for most_share in (5.0, 99.0):
        with pytest.raises(SweepStoppedError) as stopped:
            site.sweeper(jumped, most_share=most_share).run()
        assert stopped.value.why is Stop.SHARE
        assert "the clock has jumped" in str(stopped.value)
    assert {str(site.traces(one)) for one in ids} == {str(PRESENT)}
    with pytest.raises(SweepStoppedError, match="has seen 22 November 2036"):  # the refusal itself is in the audit log
        site.sweeper(NOW + DAY).run()
    site.record(jumped)
    assert agreed(site.sweeper(NOW + DAY)).confirm_clock("ines") == jumped - SECOND
    assert agreed(site.sweeper(NOW + DAY)).confirm_clock("ines") is None
    for _ in range(2):
        site.sweeper(NOW + DAY, most_share=5.0).run()
        (site.home.state / "retention.json").unlink()
    site.sweeper(NOW + DAY, most_share=5.0).run()
    assert alarms_of(site.sweeper(NOW + DAY).file.load(), NOW + DAY, since=NOW) == {}


@ONE_ENGINE
def test_a_clock_that_is_set_forward_in_small_steps_is_not_believed(site: SweepSite) -> None:
    ids = [site.record(NOW - days * DAY) for days in range(1, 90)]
    started, up_s = ["first"], [1000.0]

    def sweep(now: datetime) -> None:
        replace(site.sweeper(now, most_share=5.0), since_boot=lambda: (started[-1], up_s[-1])).run()

    for at in range(3):  # the machine goes on as the clock does
        sweep(NOW + at * DAY)
        up_s.append(up_s[-1] + DAY.total_seconds())
    here, before = NOW + 3 * DAY, len(site.ids())
    sweep(here + timedelta(hours=23))
    for ahead in (25, 50, 70):
        with pytest.raises(SweepStoppedError, match="set forward by"):
            sweep(here + timedelta(hours=ahead))
    assert before - len(site.ids()) <= 1, "what a virtual machine may have slept"
    stopped = replace(site.sweeper(NOW + 6 * DAY), since_boot=lambda: (started[-1], up_s[-1]))
    agreed(stopped).run()
    sweep(NOW + 6 * DAY + timedelta(hours=1))  # two people have looked
    started.append("second")
    up_s.append(10.0)
    sweep(NOW + 7 * DAY)
    assert len(site.ids()) == len(ids) - 7


def test_too_large_a_share_stops_the_sweep_until_a_person_lets_it_go_on(site: SweepSite) -> None:
    old = [site.record(NOW - 100 * DAY) for _ in range(60)]
    for _ in range(40):
        site.record(NOW - DAY)
    sweeper = site.sweeper(NOW, most_share=50.0)
    with pytest.raises(SweepStoppedError, match="60 of 100 recordings are due at once") as stopped:
        sweeper.run()
    assert stopped.value.why is Stop.SHARE
    assert len(site.ids()) == 100
    assert agreed(sweeper).run().counts["recordings"] == 60
    assert {str(site.traces(one)) for one in old} == {str(GONE)}


@ONE_ENGINE
def test_what_went_in_the_day_before_counts_too(site: SweepSite) -> None:
    for _ in range(40):
        site.record(NOW - 100 * DAY)
    for _ in range(60):
        site.record(NOW - 89 * DAY - timedelta(hours=12))
    agreed(site.sweeper(NOW, most_share=50.0)).run()  # nothing was recorded for a long time
    with pytest.raises(SweepStoppedError, match="and 40 went"):
        site.sweeper(NOW + timedelta(hours=13), most_share=50.0).run()
    assert len(site.ids()) == 60


@ONE_ENGINE
def test_two_sweeps_never_run_at_once(site: SweepSite) -> None:
    recording = site.record(NOW - 100 * DAY)
    problems: list[BaseException] = []

    def other() -> None:
        try:
            site.sweep()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            problems.append(error)

    with alone(site.home.state / LOCK):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(10)
        assert [type(one) for one in problems] == [SweepBusyError]
    assert site.traces(recording) == PRESENT
    site.sweep()
    assert site.traces(recording) == GONE


@ONE_ENGINE
def test_without_an_audit_log_nothing_is_deleted(site: SweepSite, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = site.record(NOW - 100 * DAY)
    site.sweep(NOW - 20 * DAY)
    append = site.audit.append

    def refuse(act: str, *values: object, **named: object) -> object:
        if act == "recording.deleted":
            raise AuditUnavailableError("no room")
        return append(act, *values, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(site.audit, "append", refuse)
    with pytest.raises(AuditUnavailableError):
        site.sweep()
    assert site.traces(recording) == PRESENT
    assert alarms_of(site.sweeper(NOW).file.load(), NOW, since=NOW)["retention_failed"] == 1


def test_after_a_sweep_no_byte_of_a_caller_is_left_in_the_home(tmp_path: Path) -> None:
    site = SweepSite(tmp_path)
    due, kept = site.record(NOW - 90 * DAY), site.record(NOW - 89 * DAY)
    site.index.save(replace(site.index.get(due), caller="0161 999 7777"))
    site.index.save(replace(site.index.get(kept), caller="0161 999 8888"))

    def said(number: bytes) -> list[str]:
        files = (path for path in site.home.root.rglob("*") if path.is_file())
        return [path.name for path in files if number in path.read_bytes()]

    assert said(b"1619997777"), "it would not be found"
    site.sweep()
    assert said(b"0161 999 7777") == said(b"1619997777") == []
    assert said(b"1619998888") == ["index.sqlite"]
    site.close()
