"""Verification by slices: each recording in time, whatever nights were missed; and what health says of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from recorder.audit.reading import note_verified
from recorder.recordings.verifying import (
    AUDIT_DAMAGED,
    AUDIT_UNVERIFIED,
    DAMAGED,
    MOST_NAMED,
    UNVERIFIED,
    VerificationHealth,
    day_of,
    due_slices,
    note_slices,
    read_verified,
    slice_of,
)
from storage.audit_chain import AuditState
from storage.types import RecordingId

INTACT = AuditState(entries=3, head="ab", bad=None)
BORN = datetime(2026, 12, 7, 9, 0, tzinfo=UTC)
IDS = [RecordingId(f"20261207T0930{n % 60:02d}Z-2001-{n:06x}") for n in range(600)]


def alarms(state: Path, at: datetime) -> set[str]:
    return set(VerificationHealth(state, lambda: 30, lambda: at, BORN).look()["alarms"])


def test_every_recording_has_its_turn_within_the_days() -> None:
    read: set[RecordingId] = set()
    day = None
    for today in range(20_000, 20_007):
        turns = due_slices(day, today, 7)
        assert len(turns) == 1
        read |= {one for one in IDS if slice_of(one, 7) in turns}
        day = today
    assert read == set(IDS)
    shares = [sum(slice_of(one, 7) == n for one in IDS) for n in range(7)]
    assert max(shares) < 2 * min(shares), "no night has most of the work"


@pytest.mark.parametrize(
    ("last", "today", "due"),
    [
        (None, 20_000, {0}), (20_000, 20_000, {0}), (19_999, 20_000, {0}), (19_997, 20_000, {8, 9, 0}),
        (19_000, 20_000, set(range(10))), (20_500, 20_000, {0}),
    ],
)  # fmt: skip
def test_missed_nights_are_made_up_for(last: int | None, today: int, due: set[int]) -> None:
    assert due_slices(last, today, 10) == due


def test_what_was_never_done_is_missed_and_what_is_wrong_stays_until_it_is_read_again(tmp_path: Path) -> None:
    assert alarms(tmp_path, BORN + timedelta(days=2)) == set()
    assert alarms(tmp_path, BORN + timedelta(days=3)) == {UNVERIFIED, AUDIT_UNVERIFIED}
    bad = IDS[0]
    mine, others = slice_of(bad, 30), frozenset(range(30)) - {slice_of(bad, 30)}
    note_slices(tmp_path, BORN, frozenset({mine}), of=30, checked=20, problems={bad: "a frame was changed"})
    note_verified(tmp_path, INTACT, BORN, ["a copy differs"])
    assert alarms(tmp_path, BORN + timedelta(days=1)) == {DAMAGED, AUDIT_DAMAGED}
    note_slices(tmp_path, BORN + timedelta(days=1), others, of=30, checked=580, problems={})
    assert dict(read_verified(tmp_path).problems) == {bad: "a frame was changed"}
    note_verified(tmp_path, INTACT, BORN + timedelta(days=1))
    note_slices(tmp_path, BORN + timedelta(days=2), frozenset({mine}), of=30, checked=20, problems={})
    assert alarms(tmp_path, BORN + timedelta(days=3)) == set()
    assert read_verified(tmp_path).day == day_of(BORN) + 2


def test_few_problems_are_kept_by_name(tmp_path: Path) -> None:
    note_slices(tmp_path, BORN, frozenset(range(30)), of=30, checked=600, problems=dict.fromkeys(IDS, "gone"))
    assert len(read_verified(tmp_path).problems) == MOST_NAMED


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"at": 7, "day": 1, "checked": 1, "problems": {}}', "null"])
def test_a_file_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "verified.json").write_text(text)
    assert read_verified(tmp_path).at is None
