"""What the commands for cases, and for claims of data subjects, work with."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from recorder.access.database import open_people
from recorder.cli.hold import hold_books
from recorder.cli.records import (
    act_signed_in,
)
from recorder.cli.requests import hearing_books
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config import Config
from recorder.data_subjects.book import CaseBook
from recorder.data_subjects.case_entries import CaseBooks
from recorder.permissions import Person
from storage.index import Index

CaseArgument = Annotated[str, typer.Argument(metavar="CASE", help="From `recorder sar list`: SAR-2026-0001.")]
_T = TypeVar("_T")


def act_on_cases(
    home: Path, name: str | None, password_file: Path | None, act: Callable[[CaseBooks, Person], _T]
) -> _T:
    """Have a person sign in and do something with the cases, or leave with the sentence that says why not."""

    def done(place: Home, config: Config, index: Index, person: Person) -> _T:
        return act(case_books(place, config, index), person)

    return act_signed_in(home, name, password_file, "a case", done)


def case_books(place: Home, config: Config, index: Index) -> CaseBooks:
    """Return what cases, and claims of data subjects, are worked on with."""
    return CaseBooks(
        cases=CaseBook(open_people(place.people), now=utc_now), hearing=hearing_books(place, index),
        holds=hold_books(place, config, index), timezone=config.site.timezone,
    )  # fmt: skip
