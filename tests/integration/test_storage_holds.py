"""Holds in a real database: what stands, what is due, what rows of the index show, how they come back from the log."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from storage.audit import AuditLog
from storage.database import Database, sqlite_url
from storage.errors import AuditUnavailableError, HoldStateError, NotFoundError
from storage.hold_journal import (
    PLACED,
    REINSTATED,
    RELEASED,
    REVIEWED,
    changed_details,
    placed_details,
    replay_holds,
    settling,
    steady,
)
from storage.holds import TABLE, HoldEvent, Holds, check
from storage.index import Index
from storage.old_calls import OldCalls
from storage.retention_types import Hold, HoldKind, HoldState
from storage.rows import row_from_json, row_to_json
from storage.tables import holds as table
from storage.types import RecordingId, Search
from tests.helpers.storage_home import ID, row

NOW = datetime(2026, 11, 25, 9, tzinfo=UTC)
TODAY = NOW.date()
DAY = timedelta(days=1)


def hold(number: int = 1, *, recording: str = ID, review_on: date = TODAY + 90 * DAY, **changes: object) -> Hold:
    made = Hold(
        id=f"{number:08x}", recording=RecordingId(recording), kind=HoldKind.COMPLAINT, reason="Mrs Ä. complained",
        case_reference="C-17", owner="lea", placed_by="mona", placed_at=NOW, review_on=review_on,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def released(one: Hold, *, at: datetime = NOW) -> Hold:
    return replace(one, released_by="dora", released_at=at, grace_until=at + 14 * DAY)


def recording(number: int) -> RecordingId:
    return RecordingId(f"20261124T093000Z-2001-{number:06x}")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(sqlite_url(tmp_path / "index.sqlite"))
    yield database
    database.close()


@pytest.fixture
def holds(database: Database) -> Holds:
    return Holds(database)


def test_what_is_placed_is_there_as_it_was(holds: Holds) -> None:
    placed = hold(against=("mona", "Olive Officer"))
    holds.place(placed)
    assert holds.get(placed.id) == placed
    holds.place(replace(placed, reason="another"))
    assert holds.of_recording(ID) == [placed]
    with pytest.raises(NotFoundError, match="no such hold"):
        holds.get("ffffffff")
    assert holds.of_recording(recording(7)) == []


def test_what_stands(holds: Holds) -> None:
    holds.place(released(hold(1, placed_at=NOW - 20 * DAY), at=NOW - 14 * DAY))
    assert holds.keeping(ID, NOW) == []
    holds.place(released(hold(2, placed_at=NOW - 20 * DAY), at=NOW - 14 * DAY + timedelta(microseconds=1)))
    assert [h.id for h in holds.keeping(ID, NOW)] == ["00000002"]
    holds.place(hold(3))
    assert [h.id for h in holds.keeping(ID, NOW)] == ["00000002", "00000003"]
    assert [h.id for h in holds.of_recording(ID)] == ["00000001", "00000002", "00000003"]
    assert [h.id for h in holds.all_in_effect(NOW)] == ["00000002", "00000003"]


def test_many_are_asked_at_once_and_streamed(holds: Holds) -> None:
    holds.save(hold(number, recording=recording(number)) for number in range(1100))
    holds.save(hold(5000 + number, recording=recording(number)) for number in range(10))
    holds.save([released(hold(9000, recording=recording(9000)), at=NOW - 30 * DAY)])
    assert list(holds.held_ids(NOW)) == [recording(number) for number in range(1100)]
    asked = [recording(number) for number in [*range(800, 1900), 9000]]
    assert holds.held_among(asked, NOW) == {recording(number) for number in range(800, 1100)}
    assert holds.held_among([], NOW) == set()


def test_due_for_review(holds: Holds) -> None:
    holds.save(
        [
            hold(1, review_on=TODAY),
            hold(2, review_on=TODAY - 9 * DAY),
            hold(3, review_on=TODAY + DAY),
            released(hold(4, review_on=TODAY - DAY)),
        ]
    )
    assert [h.id for h in holds.due_for_review(TODAY)] == ["00000002", "00000001"]
    assert [h.id for h in holds.due_for_review(TODAY, limit=1)] == ["00000002"]


def test_saving_changes_but_a_reason_once_stored(holds: Holds) -> None:
    first = hold()
    assert holds.save([first]) == 1
    assert holds.save([first]) == 0
    assert holds.save([replace(released(first), reason="")]) == 1
    assert holds.get(first.id) == released(first)
    assert holds.save([first]) == 1
    assert holds.get(first.id) == first


@pytest.mark.parametrize("event", list(HoldEvent))
@pytest.mark.parametrize("state", list(HoldState))
def test_the_life_of_a_hold(state: HoldState, event: HoldEvent) -> None:
    made = {
        HoldState.ACTIVE: hold(),
        HoldState.GRACE: released(hold(), at=NOW - 13 * DAY),
        HoldState.OVER: released(hold(), at=NOW - 14 * DAY),
    }[state]
    expected = {
        (HoldState.ACTIVE, HoldEvent.RELEASE),
        (HoldState.ACTIVE, HoldEvent.REVIEW),
        (HoldState.GRACE, HoldEvent.REINSTATE),
    }
    assert set(TABLE) == expected
    if (state, event) in expected:
        check(made, event, NOW)
    else:
        with pytest.raises(HoldStateError, match=made.id):
            check(made, event, NOW)


# --- rows of the index


def test_rows_show_the_kinds_that_stand(database: Database, holds: Holds) -> None:
    clock = [NOW]
    index = Index(database, now=lambda: clock[0])
    index.save(row_from_json({**row(), "holds": ["evidence"]}))
    assert index.get(ID).holds == (), "they are not what somebody wrote into the row"
    holds.save([hold(1), hold(2), released(hold(3, kind=HoldKind.SAR)), hold(4, recording=recording(9))])
    for found in (index.get(ID), index.get(ID[:-2]), index.find(Search())[0], next(index.each(Search()))):
        assert found.holds == ("complaint", "sar")
        assert row_to_json(found)["holds"] == ["complaint", "sar"]
    index.save(replace(index.get(ID), service="benefits"))
    clock[0] = NOW + 14 * DAY
    assert index.get(ID).holds == ("complaint",)
    holds.save([released(hold(1)), released(hold(2))])
    assert index.get(ID).holds == ()


def test_a_page_of_rows_asks_for_its_holds_once_and_by_index(database: Database, holds: Holds) -> None:
    index = Index(database)
    index.save_many(row_from_json(row(recording(number))) for number in range(300))
    holds.save(hold(number, recording=recording(number)) for number in range(0, 300, 3))
    asked: list[tuple[str, Any]] = []

    def listen(_c: object, _k: object, statement: str, parameters: Any, *_: object) -> None:
        asked.append((statement, parameters))

    sa.event.listen(database._made, "before_cursor_execute", listen)
    found = index.find(Search(limit=200))
    sa.event.remove(database._made, "before_cursor_execute", listen)
    assert sum(bool(one.holds) for one in found) == 66
    ours = [(statement, parameters) for statement, parameters in asked if "FROM holds" in statement]
    assert len(ours) == 1
    with database.connect() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {ours[0][0]}", ours[0][1]).all()
        assert any("USING INDEX holds_by_recording" in str(step) for step in plan), plan
        for query, name in (
            (sa.select(table.c.recording).where(table.c.recording == ID), "holds_by_recording"),
            (table.select().where(table.c.review_on <= "2026-11-25").order_by(table.c.review_on), "holds_by_review"),
        ):
            text = str(query.compile(database._made, compile_kwargs={"literal_binds": True}))
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}").all()
            assert any(name in str(step) for step in plan), plan


# --- the audit log


@pytest.fixture
def audit(tmp_path: Path) -> AuditLog:
    return AuditLog(tmp_path / "audit")


def journal(audit: AuditLog) -> list[Hold]:
    """Write a day of holds into the audit log only; returns them as they are at its end."""
    kept, gone, back = hold(1, against=("mona",)), hold(2, recording=recording(2)), hold(3, kind=HoldKind.SAR)
    for one in (kept, gone, back):
        audit.append(PLACED, one.placed_by, one.recording, placed_details(one), text=one.reason)
    audit.append("recording.view", "dora", ID)
    for one in (gone, back):
        audit.append(RELEASED, "dora", one.recording, changed_details(one, released(one), NOW), text="done")
    audit.append(REINSTATED, "lea", ID, changed_details(released(back), back, NOW + DAY), text="too early")
    later = replace(kept, review_on=date(2027, 5, 1), owner="dora")
    audit.append(REVIEWED, "dora", ID, changed_details(kept, later, NOW + DAY), text="still open")
    audit.append(RELEASED, "dora", ID, {"hold": "ffffffff", "at": "2026-11-25T09:00:00Z"})
    return [later, back, released(gone)]


def test_everything_comes_back_from_the_audit_log_alone(holds: Holds, audit: AuditLog) -> None:
    expected = journal(audit)
    assert replay_holds(audit.entries(), holds, text=audit.text) == 3
    assert [*holds.of_recording(ID), *holds.of_recording(recording(2))] == expected
    assert replay_holds(audit.entries(), holds, text=audit.text) == 0
    for line in (audit._folder / "audit.log").read_text().splitlines():
        assert "complained" not in line, "free text lies apart, so that it can expire"


def test_a_reason_that_expired_does_not_come_back_and_is_kept_where_it_still_is(holds: Holds, audit: AuditLog) -> None:
    expected = journal(audit)
    holds.place(hold(1, against=("mona",)))
    for entry in audit.entries():
        audit.forget_texts([entry])
    assert replay_holds(audit.entries(), holds, text=audit.text) == 3
    assert holds.get("00000001") == expected[0]
    assert holds.get("00000003").reason == ""


def test_what_a_killed_act_left_is_replayed_before_anybody_looks(tmp_path: Path, holds: Holds, audit: AuditLog) -> None:
    state, one = tmp_path / "state", hold()
    with steady(state, holds, audit), settling(state):
        audit.append(PLACED, one.placed_by, one.recording, placed_details(one), text=one.reason)
        holds.place(one)
    assert sorted(p.name for p in state.iterdir()) == ["holds.lock"]
    second = hold(2)
    with suppress(ZeroDivisionError), steady(state, holds, audit), settling(state):
        audit.append(PLACED, second.placed_by, second.recording, placed_details(second), text=second.reason)
        raise ZeroDivisionError
    assert holds.of_recording(ID) == [one]
    with steady(state, holds, audit):
        assert holds.of_recording(ID) == [one, second]
    assert sorted(p.name for p in state.iterdir()) == ["holds.lock"]


def test_while_the_audit_log_is_damaged_nobody_knows_what_is_held(
    tmp_path: Path, holds: Holds, audit: AuditLog
) -> None:
    state = tmp_path / "state"
    journal(audit)
    with suppress(ZeroDivisionError), steady(state, holds, audit), settling(state):
        raise ZeroDivisionError
    path = tmp_path / "audit" / "audit.log"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0].replace(b"mona", b"dora"), *lines[1:]]))
    with pytest.raises(AuditUnavailableError, match="line 1"), steady(state, holds, audit):
        pytest.fail("nothing may be deleted now")
    assert holds.of_recording(ID) == []
    path.write_bytes(b"".join(lines))
    with steady(state, holds, audit):
        assert len(holds.of_recording(ID)) == 2


def test_what_is_due_and_not_held_is_counted(tmp_path: Path) -> None:
    """The backlog of the sweep: recordings past their day, apart from those that a placed hold keeps."""
    index = Index(sqlite_url(tmp_path / "due.sqlite"))
    due, later = "2026-11-25T08:59:59Z", "2026-11-25T09:00:01Z"
    given: list[dict[str, Any]] = [
        {"retention_due": due}, {"retention_due": due}, {"retention_due": due}, {"retention_due": later},
        {"retention_due": due, "outcome": "no_conversation"}, {"retention_due": due, "outcome": "partial"},
    ]  # fmt: skip
    for number, fields in enumerate(given, 1):
        index.save(row_from_json(row(recording(number), **fields)))
    holds = Holds(index.database)
    holds.place(hold(1, recording=recording(1)))
    holds.save([released(hold(2, recording=recording(2)), at=NOW - 15 * DAY)])
    assert OldCalls(index.database).count_due(NOW) == 3, "2 (its grace is over), 3 and 6"
    assert OldCalls(index.database).count_due(NOW + DAY) == 4
    index.close()
