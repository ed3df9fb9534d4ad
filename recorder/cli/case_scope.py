"""`recorder cases search`, `narrow`, `confirm-scope`, `dismiss` and `match`: the recordings of a case."""

from typing import Annotated, Any

import typer

from recorder.cli import completion
from recorder.cli.case_repositories import CaseArgument, act_on_cases
from recorder.cli.context import CommandContext, PersonContext
from recorder.cli.options import ReasonOption
from recorder.cli.records import (
    ExtensionOption,
    FromOption,
    NumberOption,
    OperatorOption,
    ToOption,
    search_from,
)
from recorder.data_subjects import casework, scoping
from recorder.data_subjects.case_entries import CaseRepositories
from recorder.permissions import Person
from storage.rows import row_to_json
from storage.types import RecordingRow, Search


def search(
    context: PersonContext,
    case: CaseArgument,
    from_: FromOption = None,
    to: ToOption = None,
    operator: OperatorOption = None,
    extension: ExtensionOption = None,
    number_file: NumberOption = None,
) -> None:
    """Search for recordings of a case. The search and its number of results are logged, and the results are held.

    They are held until you match or dismiss them.
    """
    wanted = searched(context, from_, to, operator, extension, number_file)

    def act(repos: CaseRepositories, person: Person) -> list[RecordingRow]:
        return list(casework.search_for(repos, person, case, wanted))

    found = [row_to_json(row) for row in act_on_cases(context, act)]
    columns = [("id", "Recording"), ("started_at", "When"), ("operator", "Operator"), ("caller", "Caller")]
    context.print_rows(found, columns, empty="no recording matches; the case has an entry for this search")


def searched(
    context: CommandContext,
    from_: str | None,
    to: str | None,
    operator: str | None,
    extension: str | None,
    number_file: str | None,
) -> Search:
    """Return the search that a command's options ask for, in the site's time zone; exit if one is invalid."""
    return search_from(context.zone, from_, to, operator, extension, number_file)


def narrow(
    context: PersonContext,
    case: CaseArgument,
    from_: FromOption = None,
    to: ToOption = None,
    operator: OperatorOption = None,
    extension: ExtensionOption = None,
    number_file: NumberOption = None,
    reason: ReasonOption = "",
) -> None:
    """Hold fewer recordings than the case was opened with. Needs the DPO. The others are held for 14 more days."""
    wanted = searched(context, from_, to, operator, extension, number_file)

    def act(repos: CaseRepositories, person: Person) -> dict[str, Any]:
        return casework.case_to_json(repos, scoping.narrow_scope(repos, person, case, wanted, reason))

    done = act_on_cases(context, act)
    context.tell(done, f"case {case} now holds {done['entries'][-1]['details']['found']} recordings")


def confirm_scope(context: PersonContext, case: CaseArgument, reason: ReasonOption = "") -> None:
    """Hold all recordings that the case was opened with, until the case is over. Needs the DPO."""

    def act(repos: CaseRepositories, person: Person) -> dict[str, Any]:
        return casework.case_to_json(repos, scoping.confirm_scope(repos, person, case, reason))

    context.tell(act_on_cases(context, act), f"case {case} holds the recordings it found until it is over")


def dismiss(
    context: PersonContext,
    case: CaseArgument,
    recordings: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Full ids of recordings.", autocompletion=completion.recordings),
    ] = None,
    rest: Annotated[bool, typer.Option("--rest", help="All that fit and are neither matched nor dismissed.")] = False,
    reason: ReasonOption = "",
) -> None:
    """Dismiss recordings that the case does not ask for. They are held for 14 more days."""

    def act(repos: CaseRepositories, person: Person) -> dict[str, Any]:
        done = scoping.dismiss(repos, person, case, recordings or [], reason, is_rest=rest)
        return {**casework.case_to_json(repos, done), "scope": scoping.scope_to_json(repos, done)}

    done = act_on_cases(context, act)
    context.tell(done, f"case {case}: {len(done['scope']['undecided'])} recordings remain to be matched or dismissed")


def match(
    context: PersonContext,
    case: CaseArgument,
    recordings: Annotated[
        list[str], typer.Argument(metavar="ID", help="Full ids of recordings.", autocompletion=completion.recordings)
    ],
) -> None:
    """Match recordings to a case, which holds them."""

    def act(repos: CaseRepositories, person: Person) -> dict[str, Any]:
        return casework.case_to_json(repos, casework.match(repos, person, case, recordings))

    done = act_on_cases(context, act)
    last = done["entries"][-1]
    gone = f"; except: {last['text']}" if "gone" in last["details"] else ""
    context.tell(done, f"case {case} has {len(done['recordings'])} recordings; they are held{gone}")
