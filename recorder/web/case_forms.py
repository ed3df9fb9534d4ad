"""Reads the forms of cases: days, ticked recordings, and the search for what somebody asks for."""

from collections.abc import Iterable
from datetime import date

from recorder.audit.audit_service import incomplete
from recorder.rules.cases import LegalGround
from recorder.rules.typed_dates import TypedDateError, date_typed, time_typed
from recorder.web.filters import read_form
from recorder.web.forms import FieldErrors, TypedForm, typed_day
from storage.types import Search

SEARCH_FIELDS = ("number", "operator", "extension", "from_date", "from_time", "to_date", "to_time")
"""The fields of a search; those that end in ``_date`` are date inputs."""


def day_of(form: TypedForm, name: str = "on") -> date | None:
    """Return the day of a form; None if nothing was typed.

    Raises:
        ProblemError: 422, it is no date.
    """
    errors, day = FieldErrors(), None
    with errors.of(name):
        day = typed_day(form, name)
    errors.check()
    return day


def day_typed(typed: str) -> date | None:
    """Return the day of one field; None if it is empty.

    Raises:
        ProblemError: 422, it is no date.
    """
    try:
        return date_typed(typed) if typed.strip() else None
    except TypedDateError as error:
        raise incomplete(f"{error}.", "on") from error


def search_typed(form: TypedForm, timezone: str) -> Search:
    """Return the search of a form, times in the site's time zone; empty if nothing was typed.

    Raises:
        ProblemError: 422, a field is wrong.
    """
    values, errors = {name: form.value(name).strip() for name in ("number", "operator", "extension")}, FieldErrors()
    for side in ("from", "to"):
        with errors.of(f"{side}_date"):
            day = typed_day(form, f"{side}_date")
            values[f"{side}_date"] = day.isoformat() if day else ""
        with errors.of(f"{side}_time"):
            clock = form.value(f"{side}_time").strip()
            values[f"{side}_time"] = f"{time_typed(clock):%H:%M}" if clock else ""
    errors.check()
    read = read_form(values, timezone)
    FieldErrors(read.errors).check()
    return read.search


def ground_typed(word: str) -> LegalGround | None:
    """Return a legal ground, None if empty.

    Raises:
        ProblemError: 422, there is no such ground.
    """
    try:
        return LegalGround(word) if word else None
    except ValueError as error:
        raise incomplete("Choose the legal ground from the list.", "ground") from error


def recordings_in(fields: Iterable[str]) -> list[str]:
    """Return the ids of recordings that were ticked, or typed with commas or spaces between them."""
    return [one for field in fields for one in field.replace(",", " ").split()]


def needs_one(recordings: list[str]) -> list[str]:
    """Return recordings that were ticked.

    Raises:
        ProblemError: 422, none was.
    """
    if not recordings:
        raise incomplete("Select a recording.", "recordings")
    return recordings
