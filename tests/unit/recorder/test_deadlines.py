"""When a subject access request is due: the examples of the Information Commissioner's guidance and their edges."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.rules.deadlines import (
    DeadlineFacts,
    Wait,
    begins_on,
    due_on,
    extend_by,
    months_after,
    waited_days,
    warn_on,
)

HOLIDAYS = {date(2026, 12, 25), date(2026, 12, 28), date(2027, 1, 1)}


def is_workday(day: date) -> bool:
    return day.weekday() < 5 and day not in HOLIDAYS


def day(text: str) -> date:
    return date.fromisoformat(text)


LATER = day("2027-06-01")


@pytest.mark.parametrize(
    ("received", "due"),
    [
        ("2026-09-03", "2026-10-05"),  # 3 October is a Saturday
        ("2026-09-02", "2026-10-02"),
        ("2027-01-29", "2027-03-01"),  # 29 February 2027 is not; 28 February is a Sunday
        ("2028-01-31", "2028-02-29"),
        ("2026-11-25", "2026-12-29"),  # Christmas Day, a weekend, a bank holiday
        ("2026-12-01", "2027-01-04"),
        ("2026-10-31", "2026-11-30"),
    ],
)
def test_a_calendar_month_and_no_holiday(received: str, due: str) -> None:
    assert due_on(DeadlineFacts(received_on=day(received)), LATER, is_workday) == day(due)


def test_it_begins_when_the_last_of_what_was_asked_for_has_come() -> None:
    asked = Wait(asked_on=day("2026-09-03"))
    course = DeadlineFacts(received_on=day("2026-09-01"), identity=asked)
    assert begins_on(course) is due_on(course, LATER, is_workday) is warn_on(course, LATER) is None
    came = Wait(asked_on=day("2026-09-03"), came_on=day("2026-09-09"))
    paid = Wait(asked_on=day("2026-09-03"), came_on=day("2026-09-15"))
    assert begins_on(DeadlineFacts(received_on=day("2026-09-01"), identity=came)) == day("2026-09-09")
    both = DeadlineFacts(received_on=day("2026-09-01"), identity=came, fee=paid)
    assert begins_on(both) == day("2026-09-15")
    assert due_on(both, LATER, is_workday) == day("2026-10-15")
    assert begins_on(DeadlineFacts(received_on=day("2026-09-01"), identity=came, fee=asked)) is None


def test_waiting_for_a_clarification_is_left_out() -> None:
    wait = Wait(asked_on=day("2026-09-10"), came_on=day("2026-09-14"))
    course = DeadlineFacts(received_on=day("2026-09-02"), clarifications=(wait,))
    assert waited_days(course, LATER) == 4
    assert due_on(course, LATER, is_workday) == day("2026-10-06")
    assert warn_on(course, LATER) == day("2026-10-04")
    twice = Wait(asked_on=day("2026-09-12"), came_on=day("2026-09-15"))
    assert waited_days(DeadlineFacts(received_on=day("2026-09-02"), clarifications=(wait, twice)), LATER) == 5


def test_while_it_is_awaited_the_day_moves() -> None:
    course = DeadlineFacts(received_on=day("2026-09-02"), clarifications=(Wait(asked_on=day("2026-09-10")),))
    assert due_on(course, day("2026-09-10"), is_workday) == day("2026-10-02")
    assert due_on(course, day("2026-09-21"), is_workday) == day("2026-10-13")


def test_what_was_awaited_before_the_month_began_does_not_count() -> None:
    course = DeadlineFacts(
        received_on=day("2026-09-01"),
        identity=Wait(asked_on=day("2026-09-01"), came_on=day("2026-09-10")),
        clarifications=(Wait(asked_on=day("2026-09-01"), came_on=day("2026-09-12")),),
    )
    assert waited_days(course, LATER) == 2


def test_an_extension_gives_two_months_more() -> None:
    course = DeadlineFacts(received_on=day("2026-09-02"), is_extended=True)
    assert due_on(course, LATER, is_workday) == day("2026-12-02")
    assert extend_by(course, LATER, is_workday) == day("2026-10-02")
    assert warn_on(course, LATER) == day("2026-11-30")


DAYS = st.dates(date(2020, 1, 1), date(2040, 1, 1))


@given(DAYS, st.integers(0, 60), st.booleans())
def test_never_before_the_month_is_over_and_always_a_working_day(
    received: date, waited: int, is_extended: bool
) -> None:
    wait = Wait(asked_on=received, came_on=received + timedelta(days=waited))
    course = DeadlineFacts(received_on=received, clarifications=(wait,), is_extended=is_extended)
    due = due_on(course, LATER, is_workday)
    assert due is not None
    assert is_workday(due)
    earliest = months_after(received, 3 if is_extended else 1) + timedelta(days=waited)
    assert timedelta() <= due - earliest <= timedelta(days=5)


@given(DAYS, st.integers(0, 40))
def test_months_after_stays_in_its_month(start: date, months: int) -> None:
    after = months_after(start, months)
    assert (after.year * 12 + after.month) - (start.year * 12 + start.month) == months
    assert after.day <= start.day
