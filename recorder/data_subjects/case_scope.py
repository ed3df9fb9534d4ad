"""Scope of a case: how wide its hold by search may be, and for how long. Pure (P20)."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from recorder.permissions import Act, DeniedError, Fault, Person, Refusal
from recorder.rules.authorisation import may
from storage.rows import time_to_json
from storage.types import Search

LONGEST_NARROW = timedelta(hours=1)
"""A search by operator is narrow if its period is no longer than this: "about three o'clock on Tuesday"."""
WIDE_FOR = timedelta(days=14)
"""How long a wider search holds recordings before the data protection officer must narrow or confirm it."""


def is_empty(search: Search) -> bool:
    """Tell whether a search has no criteria, so that every call would fit."""
    return not any((search.started_from, search.started_to, search.operator, search.extension, search.number))


def is_narrow(search: Search) -> bool:
    """Tell whether a search is narrow: by number, or by operator within a day and hour."""
    if search.number:
        return True
    start, end = search.started_from, search.started_to
    if not search.operator or start is None or end is None:
        return False
    return start < end <= start + LONGEST_NARROW


def check_count(search: Search, fitting: int, expected: int | None) -> None:
    """Check that the person knows how many recordings a wide search would hold.

    Args:
        search: Search of the case.
        fitting: How many recordings fit.
        expected: How many the person agreed to hold, or None.

    Raises:
        DeniedError: They did not agree, or more fit now; the message says how many.
    """
    if is_narrow(search) or (expected is not None and fitting <= expected):
        return
    raise DeniedError(
        Fault.TOO_LATE,
        f"{fitting} recordings fit this search, which is wider than a number, or an officer with a day and an hour. "
        f"Give more details, or say that {fitting} are to be held: for {WIDE_FOR.days} days, until the data "
        "protection officer has narrowed or confirmed it. Nothing was done yet.",
    )


def check_scoping(person: Person) -> None:
    """Check that a person may narrow or confirm what a case holds.

    Raises:
        DeniedError: They may not.
    """
    if isinstance(may(person, Act.SCOPE_CASE), Refusal):
        raise DeniedError(Fault.NOT_ALLOWED, "Only the data protection officer narrows or confirms what a case holds.")


def wanted(search: Search) -> Mapping[str, Any]:
    """Return a search as details of an entry; without the number, which is text that can expire."""
    return {
        "from": time_to_json(search.started_from), "to": time_to_json(search.started_to),
        "operator": search.operator, "extension": search.extension, "by_number": search.number is not None,
    }  # fmt: skip


def in_words(search: Search) -> str:
    """Return the part of a search that is text that can expire."""
    return f"number {search.number}" if search.number else ""
