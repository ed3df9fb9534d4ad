"""When a subject access request is due (UK GDPR article 12(3), P20). Pure: dates in, dates out.

One calendar month, from the latest of receipt, the identity information that was asked for, and the fee that was asked
for. The time in which the council waits for a clarification is left out. Two months more where that is told, with the
reasons, within the first. A last day that is no working day moves to the next one that is.
"""

import calendar
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

WARN_AFTER_DAYS = 28
MONTHS, EXTENDED_MONTHS = 1, 3

WorkingDay = Callable[[date], bool]
"""Tells whether the council works on a day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Something that was asked of the requester: when, and when it came; None while it has not."""

    asked_on: date
    came_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineFacts:
    """What the deadline depends on.

    Attributes:
        received_on: The day the request came, in whatever form.
        identity: Information about who they are, if it was asked for.
        fee: A fee, if one was asked for.
        clarifications: Questions about what they want, in the order in which they were asked.
        is_extended: Whether the extension was told in time.
    """

    received_on: date
    identity: Wait | None = None
    fee: Wait | None = None
    clarifications: Sequence[Wait] = ()
    is_extended: bool = False


def begins_on(course: DeadlineFacts) -> date | None:
    """Return the day from which the month counts; None while identity or fee has not come."""
    days = [course.received_on]
    for wait in (course.identity, course.fee):
        if wait is not None and wait.came_on is None:
            return None
        if wait is not None and wait.came_on is not None:
            days.append(wait.came_on)
    return max(days)


def waited_days(course: DeadlineFacts, today: date) -> int:
    """Return for how many days the council waited for clarifications after the month had begun; none counts twice."""
    start = begins_on(course)
    if start is None:
        return 0
    waiting: set[date] = set()
    for wait in course.clarifications:
        first, last = max(wait.asked_on, start), wait.came_on or today
        waiting.update(first + timedelta(days=n) for n in range((last - first).days))
    return len(waiting)


def due_on(course: DeadlineFacts, today: date, is_working_day: WorkingDay) -> date | None:
    """Return the last day to answer, as things stand today.

    Args:
        course: What happened so far.
        today: Moves the day while a clarification is awaited.
        is_working_day: Of the council; bank holidays are none.

    Returns:
        None while identity or fee has not come: the month has not begun.
    """
    start = begins_on(course)
    if start is None:
        return None
    months = EXTENDED_MONTHS if course.is_extended else MONTHS
    day = months_after(start, months) + timedelta(days=waited_days(course, today))
    while not is_working_day(day):
        day += timedelta(days=1)
    return day


def extend_by(course: DeadlineFacts, today: date, is_working_day: WorkingDay) -> date | None:
    """Return the last day on which an extension can be told: that of the month without one; None as `due_on`."""
    first = DeadlineFacts(
        received_on=course.received_on, identity=course.identity, fee=course.fee, clarifications=course.clarifications
    )
    return due_on(first, today, is_working_day)


def warn_on(course: DeadlineFacts, today: date) -> date | None:
    """Return the day on which somebody is to be warned that time runs out; None as `due_on`."""
    start = begins_on(course)
    if start is None:
        return None
    days = WARN_AFTER_DAYS + waited_days(course, today)
    if course.is_extended:
        days += (months_after(start, EXTENDED_MONTHS) - months_after(start, MONTHS)).days
    return start + timedelta(days=days)


def months_after(day: date, months: int) -> date:
    """Return the same day some months later, or the last day of that month where there is none such."""
    year, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + year, month + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))
