"""Repositories for the commands on cases and rights requests."""

from collections.abc import Callable
from typing import Annotated, TypeVar

import typer

from recorder.cli import completion
from recorder.cli.accounts import accounts_of
from recorder.cli.context import CommandContext
from recorder.cli.hold import hold_repositories
from recorder.cli.records import (
    act_signed_in,
)
from recorder.cli.requests import access_repositories
from recorder.common.clock import utc_now
from recorder.data_subjects.case_entries import CaseRepositories
from recorder.data_subjects.case_repository import CaseRepository
from recorder.permissions import Person
from storage.index import Index

CaseArgument = Annotated[
    str,
    typer.Argument(metavar="CASE", help="From `recorder cases list`: SAR-2026-0001.", autocompletion=completion.cases),
]
_T = TypeVar("_T")


def act_on_cases(context: CommandContext, act: Callable[[CaseRepositories, Person], _T], *, what: str = "a case") -> _T:
    """Sign a person in and do something with the cases; exit with a message if it is refused.

    Args:
        context: The command.
        act: The act; the message of a ProblemError is printed.
        what: What the person asks for, for the message.
    """

    def done(index: Index, person: Person) -> _T:
        return act(case_repositories(context, index), person)

    return act_signed_in(context, what, done)


def case_repositories(context: CommandContext, index: Index) -> CaseRepositories:
    """Return the repositories for cases and rights requests."""
    return CaseRepositories(
        cases=CaseRepository(accounts_of(context.home), now=utc_now),
        hearing=access_repositories(context.home, index),
        holds=hold_repositories(context, index),
        timezone=context.config.site.timezone,
    )
