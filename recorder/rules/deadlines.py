"""When a subject access request is due (UK GDPR article 12(3), P20). Pure: dates in, dates out.

The period is one calendar month. It begins on the latest of receipt, the requested identity information, and the
requested fee. Days on which the council waits for a clarification do not count. Two months are added if the requester
is told so, with the reasons, within the first. A last day that is not a working day moves to the next one.
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
    """Something that the requester was asked for, and the day it came; None until then."""

    asked_on: date
    came_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlineFacts:
    """The facts that a deadline depends on.

    Attributes:
        received_on: The day the request came, in whatever form.
        identity: Information about who they are, if it was asked for.
        fee: A fee, if one was asked for.
        clarifications: Questions about what they want, in the order in which they were asked.
        is_extended: Whether the requester was told of the extension in time.
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
    """Return how many days the council waited for clarifications since the month began, each counted once."""
    start = begins_on(course)
    if start is None:
        return 0
    waiting: set[date] = set()
    for wait in course.clarifications:
        first, last = max(wait.asked_on, start), wait.came_on or today
        waiting.update(first + timedelta(days=n) for n in range((last - first).days))
    return len(waiting)


def due_on(course: DeadlineFacts, today: date, is_working_day: WorkingDay) -> date | None:
    """Return the last day to answer, as known today.

    Args:
        course: What happened so far.
        today: Moves the day while a clarification is awaited.
        is_working_day: Of the council; False on bank holidays.

    Returns:
        None while identity or fee is awaited: the month has not begun.
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
    """Return the last day to announce an extension: the due day without one. None as for `due_on`."""
    first = DeadlineFacts(
        received_on=course.received_on, identity=course.identity, fee=course.fee, clarifications=course.clarifications
    )
    return due_on(first, today, is_working_day)


def warn_on(course: DeadlineFacts, today: date) -> date | None:
    """Return the day on which to warn that the deadline is near; None as for `due_on`."""
    start = begins_on(course)
    if start is None:
        return None
    days = WARN_AFTER_DAYS + waited_days(course, today)
    if course.is_extended:
        days += (months_after(start, EXTENDED_MONTHS) - months_after(start, MONTHS)).days
    return start + timedelta(days=days)


def months_after(day: date, months: int) -> date:
    """Return the same day some months later, or the last day of that month if it has no such day."""
    year, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + year, month + 1
    return date(year, month, min(day.day, calendar.monthrange(year, month)[1]))
