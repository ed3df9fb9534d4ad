"""Pauses per officer: every figure, from rows as the recorder files them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from recorder.permissions import Person, Role
from recorder.reports.pause_report import OfficerPauses, pauses_per_officer
from recorder.reports.reports import ReportRefusedError, period, teams_of
from storage.types import Outcome, RecordingId, RecordingRow, Segment, SegmentKind

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
ROW = RecordingRow(
    id=RecordingId("20261124T093000Z-2001-0a1b2c"), started_at=AT, ended_at=AT, direction="inbound", extension="2001",
    operator="Ann", service="Payments", caller="02079460000", called="2001", outcome=Outcome.RECORDED, reason="ended",
    duration_s=100.0, team="north",
)  # fmt: skip


def segments(*spans: tuple[float, SegmentKind, str]) -> tuple[Segment, ...]:
    """Return segments that follow one another, each given by its length."""
    found, at = [], 0.0
    for length, kind, reason in spans:
        found.append(Segment(start_s=at, end_s=at + length, kind=kind, reason=reason))
        at += length
    return tuple(found)


def talk(length: float) -> tuple[float, SegmentKind, str]:
    return length, SegmentKind.RECORDING, ""


def pause(length: float, reason: str = "agent") -> tuple[float, SegmentKind, str]:
    return length, SegmentKind.PAUSED, reason


def one(*rows: RecordingRow, forgot: dict[RecordingId, int] | None = None) -> OfficerPauses:
    (line,) = pauses_per_officer(rows, forgot or {})
    return line


def call(*spans: tuple[float, SegmentKind, str], **changes: Any) -> RecordingRow:
    return replace(ROW, segments=segments(*spans), **changes)


def test_share_number_and_longest_of_several_calls() -> None:
    line = one(
        call(talk(60), pause(10), talk(30)), call(talk(20), pause(30), talk(25), pause(5), talk(20)), call(talk(100))
    )
    assert (line.calls, line.call_s, line.paused_s, line.pauses, line.repeats) == (3, 300, 45, 3, 1)
    assert line.paused_share == 0.15
    assert line.longest_pause_s == 30
    assert line.never_resumed == 0


@pytest.mark.parametrize(
    ("reason", "count"),
    [
        ("agent", 1), ("agent,manager", 1), ("agent,hold", 1), ("agent,card_digits", 0), ("card_digits", 0),
        ("agent,payment_app:till", 0), ("payment_app:till", 0), ("manager", 0), ("", 0), ("payment_app:agent", 0),
    ],
)  # fmt: skip
def test_a_pause_without_a_payment_is_the_officers_alone(reason: str, count: int) -> None:
    assert one(call(talk(60), pause(10, reason), talk(30))).without_payment == count


def test_a_call_that_ended_while_paused_was_never_resumed_and_a_hold_is_no_pause() -> None:
    line = one(
        call(talk(60), pause(40)),
        call(talk(60), (40, SegmentKind.HOLD, "hold")),
        call(talk(60), pause(10), (30, SegmentKind.OPTED_OUT, ""), opted_out=True),
    )
    assert (line.never_resumed, line.pauses, line.opt_outs) == (1, 2, 1)


def test_a_discarded_call_counts_and_one_in_which_nobody_talked_does_not() -> None:
    line = one(
        call(duration_s=0.0, outcome=Outcome.BLOCKED, reason="discarded"),
        call(duration_s=0.0, outcome=Outcome.BLOCKED, reason="notice_not_heard"),
        call(duration_s=0.0, outcome=Outcome.NO_CONVERSATION, reason="busy"),
    )
    assert (line.calls, line.discarded, line.paused_share) == (1, 1, 0)


def test_what_was_forgotten_goes_to_the_officer_of_the_call() -> None:
    other = replace(ROW, id=RecordingId("20261124T093000Z-2002-0a1b2c"), operator="Bob")
    ann, bob = pauses_per_officer([ROW, other], {ROW.id: 2})
    assert (ann.operator, ann.forgot, bob.operator, bob.forgot) == ("Ann", 2, "Bob", 0)


def test_only_calls_of_the_teams_that_may_be_seen_count() -> None:
    rows = [ROW, replace(ROW, team="south"), replace(ROW, team="", operator="bob")]
    (line,) = pauses_per_officer(rows, {}, teams=frozenset({"north"}))
    assert (line.operator, line.calls, line.teams) == ("Ann", 1, {"north"})
    assert pauses_per_officer(rows, {}, teams=frozenset()) == []
    everybody = pauses_per_officer(rows, {})
    assert [(line.operator, line.calls) for line in everybody] == [("Ann", 2), ("bob", 1)]


def test_rows_are_read_once_and_not_kept() -> None:
    rows = iter([ROW, ROW])
    assert pauses_per_officer(rows, {})[0].calls == 2
    assert next(rows, None) is None


def test_no_number_is_in_the_report() -> None:
    text = str(one(call(talk(60), pause(10)), forgot={ROW.id: 1}).as_json())
    assert "0207946" not in text
    assert "2001" not in text


def test_the_period_is_four_weeks_from_midnight_in_the_sites_zone() -> None:
    zone = ZoneInfo("Europe/London")
    now = datetime(2026, 11, 10, 15, 0, tzinfo=UTC)
    start, end = period(None, None, now=now, zone=zone)
    assert end == now
    assert start == datetime(2026, 10, 12, 23, 0, tzinfo=UTC), "midnight of 13 October, in summer time"
    assert period(AT, None, now=now, zone=zone) == (AT, now)
    assert period(None, AT, now=now, zone=zone)[0] == datetime(2026, 10, 26 + 1, 0, 0, tzinfo=UTC)
    assert period(AT, AT + timedelta(1), now=now, zone=zone) == (AT, AT + timedelta(1))


def person(role: Role, *teams: str) -> Person:
    return Person(name="p", display_name="P", roles=frozenset({role}), teams=teams)


def test_who_sees_which_teams() -> None:
    manager = person(Role.MANAGER, "north", "east")
    assert teams_of(manager, None) == frozenset({"north", "east"})
    assert teams_of(manager, "east") == frozenset({"east"})
    with pytest.raises(ReportRefusedError, match="own teams"):
        teams_of(manager, "south")
    assert teams_of(person(Role.MANAGER), None) == frozenset()
    for role in (Role.TEAM_LEADER, Role.DPO, Role.ICT):
        assert teams_of(person(role), None) is None
        assert teams_of(person(role), "south") == frozenset({"south"})
    for role in (Role.OFFICER, Role.ADMIN, Role.MEMBER):
        with pytest.raises(ReportRefusedError, match="role does not allow"):
            teams_of(person(role, "north"), None)
