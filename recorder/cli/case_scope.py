"""Which recordings a case has: searched, narrowed, confirmed, matched or dismissed."""

from typing import Annotated, Any

import typer

from recorder.cli.case_books import CaseArgument, act_on_cases
from recorder.cli.context import CommandContext, PersonJsonContext
from recorder.cli.records import (
    ExtensionOption,
    FromOption,
    NumberOption,
    OperatorOption,
    ToOption,
    search_from,
)
from recorder.cli.shared import (
    ReasonOption,
)
from recorder.data_subjects import casework, scoping
from recorder.data_subjects.case_entries import CaseRepositories
from recorder.permissions import Person
from storage.rows import row_to_json
from storage.types import RecordingRow, Search


def search(
    context: PersonJsonContext,
    case: CaseArgument,
    from_: FromOption = None,
    to: ToOption = None,
    operator: OperatorOption = None,
    extension: ExtensionOption = None,
    number_file: NumberOption = None,
) -> None:
    """Search for a case; what was looked for and how much was found goes into its log, and what was found is held.

    It is held until you match it or dismiss it.
    """
    wanted = searched(context, from_, to, operator, extension, number_file)

    def act(repos: CaseRepositories, person: Person) -> list[RecordingRow]:
        return list(casework.search_for(repos, person, case, wanted))

    found = [row_to_json(row) for row in act_on_cases(context, act)]
    columns = [("id", "Recording"), ("started_at", "When"), ("operator", "Operator"), ("caller", "Caller")]
    context.print_rows(found, columns, empty="no recording matches; that is in the case's log too")


def searched(
    context: CommandContext,
    from_: str | None,
    to: str | None,
    operator: str | None,
    extension: str | None,
    number_file: str | None,
) -> Search:
    """Return the search that the options of a command ask for, in the site's zone; or leave."""
    return search_from(context.zone, from_, to, operator, extension, number_file)


def narrow(
    context: PersonJsonContext,
    case: CaseArgument,
    from_: FromOption = None,
    to: ToOption = None,
    operator: OperatorOption = None,
    extension: ExtensionOption = None,
    number_file: NumberOption = None,
    reason: ReasonOption = "",
) -> None:
    """Hold less than a case was opened with; the data protection officer does. The rest is held for 14 days yet."""
    wanted = searched(context, from_, to, operator, extension, number_file)

    def act(repos: CaseRepositories, person: Person) -> dict[str, Any]:
        return casework.case_to_json(repos, scoping.narrow_scope(repos, person, case, wanted, reason))

    done = act_on_cases(context, act)
    context.tell(done, f"case {case} holds {done['entries'][-1]['details']['found']} recordings from now on")


def confirm_scope(context: PersonJsonContext, case: CaseArgument, reason: ReasonOption = "") -> None:
    """Hold all that a case was opened with until it is over; the data protection officer does."""

    def act(repos: CaseRepositories, person: Person) -> dict[str, Any]:
        return casework.case_to_json(repos, scoping.confirm_scope(repos, person, case, reason))

    context.tell(act_on_cases(context, act), f"case {case} holds what it found until it is over")


def dismiss(
    context: PersonJsonContext,
    case: CaseArgument,
    recordings: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Recordings' whole ids.")] = None,
    rest: Annotated[bool, typer.Option("--rest", help="All that fits and is neither matched nor dismissed.")] = False,
    reason: ReasonOption = "",
) -> None:
    """Say that recordings which were found are not what a case asks for: it holds them for 14 days yet."""

    def act(repos: CaseRepositories, person: Person) -> dict[str, Any]:
        done = scoping.dismiss(repos, person, case, recordings or [], reason, is_rest=rest)
        return {**casework.case_to_json(repos, done), "scope": scoping.scope_to_json(repos, done)}

    done = act_on_cases(context, act)
    context.tell(done, f"case {case}: {len(done['scope']['undecided'])} recordings are left to match or dismiss")


def match(
    context: PersonJsonContext,
    case: CaseArgument,
    recordings: Annotated[list[str], typer.Argument(metavar="ID", help="Recordings' whole ids.")],
) -> None:
    """Take recordings into a case: each is held at once."""

    def act(repos: CaseRepositories, person: Person) -> dict[str, Any]:
        return casework.case_to_json(repos, casework.match(repos, person, case, recordings))

    done = act_on_cases(context, act)
    last = done["entries"][-1]
    gone = f"; not these - {last['text']}" if "gone" in last["details"] else ""
    context.tell(done, f"case {case} has {len(done['recordings'])} recordings; they are held{gone}")
