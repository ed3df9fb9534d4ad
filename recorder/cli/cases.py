"""`recorder cases`: cases of subject access and disclosure, from opening to closing."""

from pathlib import Path
from typing import Annotated, Any

import typer

from recorder.cli import completion
from recorder.cli.accounts import accounts_of
from recorder.cli.case_repositories import CaseArgument, act_on_cases, case_repositories
from recorder.cli.case_scope import searched
from recorder.cli.context import KeysContext, PersonContext
from recorder.cli.errors import said_plainly
from recorder.cli.hold import day_from, day_in_words
from recorder.cli.options import ReasonOption
from recorder.cli.output import fail, print_json, print_table, say
from recorder.cli.records import (
    ExtensionOption,
    FromOption,
    NumberOption,
    OperatorOption,
    ToOption,
    act_signed_in,
)
from recorder.cli.results.cases import Transcript, WrittenLetter
from recorder.cli.tree import RecordedEvent
from recorder.common.problems import ProblemError
from recorder.data_subjects import case_deadlines, casework, scoping, transcripts
from recorder.data_subjects.case_entries import CaseRepositories
from recorder.data_subjects.custody import custody_of, custody_to_json
from recorder.data_subjects.letters import Letter, NotYetError, letter
from recorder.permissions import Person
from recorder.recordings.home_stores import open_reader
from recorder.rules.cases import CaseEvent, CaseKind, Decision, LegalGround
from recorder.rules.transcripts import MOST_BYTES, TranscriptError, TranscriptForm, uploaded
from recorder.rules.wording import words
from storage.index import Index

DayOption = Annotated[
    str | None, typer.Option("--on", metavar="DATE", help="The day it happened, like 28/11/2026.", show_default="today")
]
_COLUMNS = [
    ("id", "Case"),
    ("state", "State"),
    ("requester", "Requester"),
    ("due_on", "Due"),
    ("pressing", ""),
    ("handler", "Handler"),
    ("recordings", "Recordings"),
    ("decision", "Decision"),
]


def open_case(
    context: PersonContext,
    requester: Annotated[str, typer.Option("--requester", metavar="NAME", help="Who asks.")],
    form: Annotated[str, typer.Option("--form", help="How the request came: letter, email, telephone.")] = "",
    text: Annotated[
        str, typer.Option("--text", help="Details they gave (date, time, operator), and why they ask, if they said.")
    ] = "",
    disclosure: Annotated[
        LegalGround | None, typer.Option("--disclosure", help="Open a disclosure to others, on this legal ground.")
    ] = None,
    on: DayOption = None,
    from_: FromOption = None,
    to: ToOption = None,
    operator: OperatorOption = None,
    extension: ExtensionOption = None,
    number_file: NumberOption = None,
    hold: Annotated[
        int | None, typer.Option("--hold", metavar="N", help="Agree to hold N recordings, if the search is wide.")
    ] = None,
) -> None:
    """Open a case. Any form of request counts; a reason may be asked for but never required.

    Recordings that fit the number, times, operator and extension are held from now on. If the search is wider than a
    number, or an operator with a day and an hour, the command first says how many recordings fit.
    """
    kind = CaseKind.DISCLOSURE if disclosure else CaseKind.SUBJECT_ACCESS
    day = day_from(on)
    wanted = searched(context, from_, to, operator, extension, number_file)

    def act(repos: CaseRepositories, person: Person) -> dict[str, Any]:
        case = casework.open_case(
            repos, person, kind=kind, requester=requester, form=form, text=text, received_on=day, ground=disclosure,
            search=wanted, expected=hold,
        )  # fmt: skip
        return casework.case_to_json(repos, case)

    done = act_on_cases(context, act)
    due = f"; due on {day_in_words(done['due_on'])}" if done["due_on"] else ""
    context.tell(done, f"case {done['id']} is open{due}{_held_in_words(done['entries'][0]['details'])}")


def _held_in_words(details: dict[str, Any]) -> str:
    if "found" not in details:
        return "; nothing is held yet: search for recordings with `recorder cases search`"
    gone = f"; {details['deleted']} recordings of that time are already deleted" if details["deleted"] else ""
    return f"; {details['found']} recordings that fit are held{gone}"


def record(
    context: PersonContext,
    event: Annotated[RecordedEvent, typer.Argument(metavar="EVENT", help="What happened.")],
    case: CaseArgument,
    reason: ReasonOption = "",
    on: DayOption = None,
) -> None:
    """Record an event in a case: a fee paid, an identity checked, a copy handed over, the case closed."""
    day = day_from(on)

    def act(repos: CaseRepositories, person: Person) -> dict[str, Any]:
        return casework.case_to_json(
            repos, casework.add_event(repos, person, case, CaseEvent[event.name], text=reason, on=day)
        )

    done = act_on_cases(context, act)
    due = f"; due on {day_in_words(done['due_on'])}" if done["due_on"] and done["state"] != "closed" else ""
    context.tell(done, f"case {case}: {event.replace('-', ' ')}{due}")


def decide(
    context: PersonContext,
    case: CaseArgument,
    decision: Annotated[Decision, typer.Argument(metavar="disclose|partly|refuse")],
    reason: ReasonOption = "",
    balance: Annotated[
        str, typer.Option("--balance", metavar="TEXT", help="How privacy was balanced, if the identity is in doubt.")
    ] = "",
) -> None:
    """Decide a case that somebody else opened. After a disclosure its handler may listen and export for 30 days."""
    details = {"decision": str(decision), "balance": balance}

    def act(repos: CaseRepositories, person: Person) -> dict[str, Any]:
        done = casework.add_event(repos, person, case, CaseEvent.DECIDED, text=reason, details=details)
        return casework.case_to_json(repos, done)

    done = act_on_cases(context, act)
    context.tell(done, f"case {case} is decided: {words(decision)}")


def transcript(
    context: KeysContext,
    case: CaseArgument,
    recording: Annotated[
        str,
        typer.Argument(metavar="ID", help="Full id of a recording in the case.", autocompletion=completion.recordings),
    ],
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="F", help="The transcript: .txt, or .vtt with times."),
    ] = None,
) -> None:
    """Add a transcript to a case, or print the newest. Needs an access grant for the recording."""
    content = None if file is None else _content_of(file)

    def done(index: Index, person: Person) -> str:
        engine = accounts_of(context.home)
        repos = transcripts.TranscriptRepositories(
            cases=case_repositories(context, index), kept=transcripts.Transcripts(engine),
            open=lambda row: open_reader(context.home, context.config, row, passphrase_file=context.passphrase_file),
        )  # fmt: skip
        if content is None:
            return transcripts.read_of(repos, person, case, recording).written()
        transcripts.transcribe(repos, person, case, recording, content=content[0], form=content[1])
        return ""

    text = act_signed_in(context, "a case", done)
    document = Transcript(case=case, recording=recording, text=text if content is None else None)
    if content is None:
        context.print_text(document, text)
    else:
        context.tell(document, f"the transcript of {recording} was added to {case}")


def _content_of(file: Path) -> tuple[bytes, TranscriptForm]:
    try:
        with said_plainly(code=2), file.open("rb") as opened:
            return uploaded(file.name, opened.read(MOST_BYTES + 1))
    except TranscriptError as error:
        fail(str(error), 2)


def write_letter(
    context: PersonContext,
    case: CaseArgument,
    which: Annotated[Letter, typer.Argument(metavar="acknowledgement|extension|refusal|disclosure")],
) -> None:
    """Print the text of a letter to the requester."""

    def act(repos: CaseRepositories, person: Person) -> str:
        found = casework.read_case(repos, person, case)
        return letter(
            which, found, site=context.config.site.name, today=repos.today, due=case_deadlines.due(repos, found)
        )

    try:
        text = act_on_cases(context, act)
    except NotYetError as error:
        fail(str(error))
    context.print_text(WrittenLetter(about=case, letter=str(which), text=text), text)


def custody(
    context: PersonContext,
    case: CaseArgument,
    file: Annotated[
        list[Path] | None,
        typer.Option("--file", metavar="F", help="A file to identify as a copy that was handed over."),
    ] = None,
) -> None:
    """Show and verify the chain of custody of a case: who had what, and when. Exit 1 if log or files were changed."""

    def act(repos: CaseRepositories, person: Person) -> dict[str, Any]:
        with said_plainly(code=2, passing=ProblemError):  # a file that cannot be read is wrong usage
            return custody_to_json(custody_of(repos, person, case, file or ()))

    found = act_on_cases(context, act)
    if context.json:
        print_json(found)
    else:
        columns = [("number", "Entry"), ("at", "When"), ("who", "Who"), ("about", "About"), ("said", "What")]
        said_of = ("what", "text", "sha256")
        rows = [{**one, "said": "; ".join(one[key] for key in said_of if one[key])} for one in found["hands"]]
        print_table(rows, columns, empty="")
        log = found["audit_log"]
        said = "; ".join(log["problems"]) or f"unchanged, {log['entries']} entries, head {log['head']}"
        say(f"audit log: {said}")
        for one, proof in (*found["recordings"].items(), *found["copies"].items()):
            say(f"{one}: {proof['words']}{'; SHA-256 ' + proof['sha256'] if proof['sha256'] else ''}")
    if not found["is_proven"]:
        fail("the chain of custody is not proven; see the problems above")


def list_cases(context: PersonContext) -> None:
    """List cases, those due first at the top."""

    def act(repos: CaseRepositories, person: Person) -> list[dict[str, Any]]:
        return [casework.case_to_json(repos, case) for case in casework.list_cases(repos, person)]

    found = act_on_cases(context, act)
    lines = [
        {**one, "recordings": len(one["recordings"]), "pressing": "time runs out" if one["is_pressing"] else ""}
        for one in found
    ]
    context.print_rows(found, _COLUMNS, empty="there are no cases", lines=lines)


def show(context: PersonContext, case: CaseArgument) -> None:
    """Show a case and its entries."""

    def act(repos: CaseRepositories, person: Person) -> dict[str, Any]:
        found = casework.read_case(repos, person, case)
        return {**casework.case_to_json(repos, found), "scope": scoping.scope_to_json(repos, found)}

    found = act_on_cases(context, act)
    if context.json:
        print_json(found)
        return
    facts = [{"key": key, "value": value} for key, value in found.items() if key != "entries"]
    print_table(facts, [("key", ""), ("value", "")], empty="")
    columns = [("on", "Day"), ("step", "What"), ("by", "By"), ("text", "In words")]
    print_table(found["entries"], columns, empty="")
