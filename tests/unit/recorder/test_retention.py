"""When something is due, which periods hold, and when a sweep must stop: pure."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from recorder.retention.sweep_safeguards import (
    CLOCK_AHEAD,
    CLOCK_BACK,
    LONG_SILENCE,
    MANY,
    Stop,
    clock_stop,
    share_stop,
)
from recorder.retention.sweep_times import next_sweep
from recorder.rules.deletion import Candidate, SweepVerdict, due_at, earliest_start, verdict
from recorder.rules.retention_periods import days_of, periods, put_into_force
from recorder.rules.retention_schedule import FIXED, SCHEDULE, DataClass

NOW = datetime(2026, 11, 25, 3, tzinfo=UTC)
DAY = timedelta(days=1)
LONDON = ZoneInfo("Europe/London")
DAYS = {line.key: line.days for line in SCHEDULE.values()}


def call(age: timedelta, **changes: bool) -> Candidate:
    return Candidate(ended_at=NOW - age, service="housing", **{"is_recorded": True, **changes})


def test_every_class_has_a_line_with_an_owner_and_a_reason() -> None:
    assert set(SCHEDULE) == set(DataClass)
    for line in SCHEDULE.values():
        assert all((line.owner, line.why, line.what, line.since, line.key))
        assert line.days >= 1
    assert all((line.what, line.rule, line.owner, line.why) for line in FIXED)


def test_a_service_has_its_own_period_or_the_common_one() -> None:
    found = periods(DAYS, {"housing": 30, "planning": None})
    assert days_of(found, DataClass.RECORDINGS, "housing") == 30
    assert days_of(found, DataClass.RECORDINGS, "planning") == days_of(found, DataClass.RECORDINGS, "gone") == 90
    assert days_of(found, DataClass.UNRECORDED, "housing") == 90


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        (call(90 * DAY), SweepVerdict.DELETE),
        (call(90 * DAY - timedelta(microseconds=1)), SweepVerdict.NOT_DUE),
        (call(900 * DAY, is_held=True), SweepVerdict.HELD),
        (call(DAY, is_held=True), SweepVerdict.HELD),
        (call(900 * DAY, is_in_progress=True), SweepVerdict.IN_PROGRESS),
        (call(900 * DAY, is_in_progress=True, is_held=True), SweepVerdict.HELD),
        (call(30 * DAY, is_recorded=False), SweepVerdict.DELETE),
        (call(29 * DAY, is_recorded=False), SweepVerdict.NOT_DUE),
    ],
)
def test_verdict(candidate: Candidate, expected: SweepVerdict) -> None:
    found = periods({**DAYS, "unrecorded_days": 30}, {})
    assert verdict(candidate, found, NOW) is expected


def test_nothing_that_is_due_began_after_the_earliest_start() -> None:
    found = periods(DAYS, {"short": 7, "long": 900})
    assert earliest_start(found, NOW) == NOW - 7 * DAY
    for age in (6, 7, 89, 90, 899, 900):
        for service in ("short", "long", "other"):
            one = Candidate(ended_at=NOW - age * DAY, service=service, is_recorded=True)
            assert due_at(one, found) > NOW or one.ended_at <= earliest_start(found, NOW)


def test_a_longer_period_holds_at_once_and_a_shorter_one_when_it_is_confirmed() -> None:
    before = periods({**DAYS, "text_days": 700}, {"housing": 60, "gone": 365})
    wanted = periods({**DAYS, "text_days": 600}, {"housing": 70, "new": 30})
    found, shorter = put_into_force(wanted, before, is_confirmed=False)
    assert found["service/housing"] == 70
    assert found["text_days"] == 700
    assert found["service/gone"] == 365, "calls of a service that is not configured any more"
    assert found["service/new"] == 90, "measured by the common period"
    assert [(one.name, one.days, one.in_force) for one in shorter] == [
        ("text_days", 600, 700), ("retention_days of service 'new'", 30, 90),
    ]  # fmt: skip
    confirmed, same = put_into_force(wanted, before, is_confirmed=True)
    assert (confirmed["text_days"], confirmed["service/new"]) == (600, 30)
    assert same == shorter
    assert put_into_force(wanted, confirmed, is_confirmed=False) == (confirmed, [])
    unsaid, waiting = put_into_force(wanted, None, is_confirmed=False)
    assert (unsaid["text_days"], unsaid["service/new"]) == (730, 90), "nothing says what held: the schedule did"
    assert [one.key for one in waiting] == ["text_days", "service/housing", "service/new"]


def test_a_clock_may_be_a_little_behind_what_was_seen_and_no_more() -> None:
    assert clock_stop(NOW, [None, None]) is None
    assert clock_stop(NOW, [NOW + CLOCK_BACK, None, NOW - DAY]) is None
    stopped = clock_stop(NOW, [NOW + CLOCK_BACK + timedelta(seconds=1), NOW])
    assert stopped is not None
    assert stopped.why is Stop.CLOCK
    assert "confirm-clock" in stopped.sentence


@pytest.mark.parametrize(
    ("due", "gone_today", "kept", "silence", "is_stopped"),
    [
        (0, 0, 1000, DAY, False),
        (100, 0, 1000, DAY, False),
        (101, 0, 1000, DAY, True),
        (101, 0, 1000, None, True),
        (60, 40, 960, DAY, False),
        (60, 41, 959, DAY, True),
        (MANY, 0, MANY, DAY, False),
        (MANY, 0, MANY, CLOCK_AHEAD + timedelta(seconds=1), True),
        (MANY, 1, MANY, DAY, True),
        (100, 0, 1000, CLOCK_AHEAD + DAY, False),
        (0, 1000, 0, DAY, False),
    ],
)
def test_share(due: int, gone_today: int, kept: int, silence: timedelta | None, is_stopped: bool) -> None:
    stopped = share_stop(
        due=due, others=7, gone_today=gone_today, kept=kept, most_share=10.0, shortest_days=90, silence=silence
    )
    assert (stopped is not None) is is_stopped
    if stopped is not None:
        assert stopped.why is Stop.SHARE
        assert "--dry-run" in stopped.sentence
        assert ("clock has jumped" in stopped.sentence) is (silence is not None and silence > CLOCK_AHEAD)


def test_the_natural_share_of_three_days_may_go_whatever_is_configured() -> None:
    def is_stopped(due: int) -> bool:
        found = share_stop(due=due, others=0, gone_today=0, kept=1000, most_share=1.0, shortest_days=30, silence=DAY)
        return found is not None

    assert not is_stopped(100)
    assert is_stopped(101)


@pytest.mark.parametrize(("due", "others", "is_stopped"), [(0, 1, True), (1, 0, True), (0, 0, False)])
def test_after_a_long_silence_nothing_at_all_goes_without_a_word(due: int, others: int, is_stopped: bool) -> None:
    def stopped(silence: timedelta) -> bool:
        found = share_stop(
            due=due, others=others, gone_today=0, kept=1000, most_share=10.0, shortest_days=90, silence=silence
        )
        assert found is None or (found.why is Stop.SHARE and "clock has jumped" in found.sentence)
        return found is not None

    assert stopped(LONG_SILENCE + timedelta(seconds=1)) is is_stopped
    assert not stopped(LONG_SILENCE)


@pytest.mark.parametrize(
    ("now", "last", "expected"),
    [
        ("2026-11-25T12:00Z", "2026-11-25T03:10Z", "2026-11-26T03:20Z"),
        ("2026-11-25T01:00Z", "2026-11-24T03:20Z", "2026-11-25T03:20Z"),
        ("2026-07-01T12:00Z", "2026-07-01T02:20Z", "2026-07-02T02:20Z"),
        ("2026-10-24T12:00Z", "2026-10-24T02:20Z", "2026-10-25T03:20Z"),
        ("2026-03-28T12:00Z", "2026-03-28T03:20Z", "2026-03-29T02:20Z"),
        ("2026-11-25T03:21Z", "2026-11-25T03:20Z", "2026-11-26T03:20Z"),
        ("2026-11-25T21:00Z", "2026-11-25T20:59Z", "2026-11-27T03:20Z"),
        ("2026-11-25T12:00Z", None, "2026-11-25T12:10Z"),
        ("2026-11-25T12:00Z", "2026-11-20T03:20Z", "2026-11-25T12:10Z"),
        ("2026-11-25T01:00Z", "2036-01-01T03:20Z", "2026-11-25T03:20Z"),
    ],
    ids=["day", "night", "summer", "autumn", "spring", "just", "by-hand", "never", "left-out", "clock"],
)
def test_next_sweep(now: str, last: str | None, expected: str) -> None:
    found = next_sweep(
        datetime.fromisoformat(now), None if last is None else datetime.fromisoformat(last), at=time(3), zone=LONDON,
        jitter=timedelta(minutes=20),
    )  # fmt: skip
    assert found == datetime.fromisoformat(expected)
