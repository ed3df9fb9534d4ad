"""`recorder rights`: restriction, objection and erasure: asked by data subjects, written down, decided, lifted."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from recorder.cli.case_books import case_books
from recorder.cli.erase import whole_id
from recorder.cli.hold import day_from
from recorder.cli.records import act_signed_in
from recorder.cli.shared import (
    AsOption,
    HomeOption,
    JsonOption,
    PasswordOption,
    ReasonOption,
    fail,
    load_home,
    print_json,
    print_table,
    tell,
)
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.data_subjects import case_deadlines, casework
from recorder.data_subjects.case_entries import CaseBooks
from recorder.data_subjects.casework import CaseBooks
from recorder.data_subjects.claim_letters import ClaimLetter, claim_letter
from recorder.data_subjects.letters import NotYetError
from recorder.permissions import Person
from recorder.retention.restricting import (
    ClaimStep,
    ClaimWish,
    change_claim,
    claim_of,
    claim_to_json,
    read_claims,
    write_claim,
)
from recorder.retention.rights import MOST_USE_DAYS, ClaimEvent
from storage.index import Index
from storage.types import Claim, Right

rights = typer.Typer(
    no_args_is_help=True,
    help="Restriction, objection, erasure: what data subjects ask of a recording, and what was decided.",
)
ClaimArgument = Annotated[str, typer.Argument(metavar="CLAIM", help="From `recorder rights list`.")]
GroundOption = Annotated[str, typer.Option("--ground", metavar="WORD", help="As the law has them; see the refusal.")]
_COLUMNS = [
    ("id", "Claim"),
    ("recording", "Recording"),
    ("right", "Right"),
    ("ground", "Ground"),
    ("state", "State"),
    ("restricted", ""),
    ("due_on", "Due"),
    ("received_on", "Received"),
    ("asked_by", "Written by"),
    ("decided_by", "Decided by"),
]
_T = TypeVar("_T")


@rights.command("ask")
def ask(
    recording: Annotated[str, typer.Argument(metavar="ID", help="A recording's id.")],
    right: Annotated[Right, typer.Option("--right", help="What is asked.")],
    ground: GroundOption = "",
    requester: Annotated[str, typer.Option("--requester", metavar="NAME", help="Who asks.")] = "",
    reason: ReasonOption = "",
    case: Annotated[str, typer.Option("--case", metavar="REF", help="The case's reference.")] = "",
    on: Annotated[
        str | None, typer.Option("--on", metavar="DATE", help="The day it came, 2026-11-25.", show_default="today")
    ] = None,
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """Write down what a data subject asks of a recording. A restriction and an objection count at once."""
    wish = ClaimWish(
        right=right, ground=ground, requester=requester, reason=reason, case_reference=case, received_on=day_from(on)
    )

    def act(books: CaseBooks, person: Person) -> dict[str, Any]:
        claims = casework.claim_books(books)
        return _json(books, write_claim(claims, person, whole_id(books.hearing.index, recording), wish))

    done = _act(home, name, password_file, act)
    restricted = "; its use is restricted" if done["is_restricted"] else ""
    tell(done, f"claim {done['id']} on {done['recording']}{restricted}; due on {done['due_on']}", json=json)


def _step_command(word: str, event: ClaimEvent, words: str) -> None:
    def command(
        claim: ClaimArgument,
        reason: ReasonOption = "",
        ground: GroundOption = "",
        name: AsOption = None,
        password_file: PasswordOption = None,
        home: HomeOption = Path(),
        json: JsonOption = False,
    ) -> None:
        step = ClaimStep(event=event, words=reason, ground=ground)
        done = _changed(home, name, password_file, claim, step)
        tell(done, f"claim {claim} is {done['state']}", json=json)

    rights.command(word, help=words)(command)


_step_command("uphold", ClaimEvent.UPHOLD, "Uphold a claim: the data protection officer, or their deputy.")
_step_command("decline", ClaimEvent.DECLINE, "Decline a claim, on a --ground and with the reasons.")
_step_command("lift", ClaimEvent.LIFT, "Take back what was upheld; the requester is told first (`letter ... lifting`).")
_step_command("withdraw", ClaimEvent.WITHDRAW, "Write down that the requester took it back.")


@rights.command("allow-use")
def allow_use(
    claim: ClaimArgument,
    days: Annotated[int, typer.Option("--days", min=1, max=MOST_USE_DAYS, help="For how long.")],
    ground: GroundOption = "",
    reason: ReasonOption = "",
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """Let a restricted recording be used for some days by whoever has leave, on a ground of article 18(2)."""
    step = ClaimStep(event=ClaimEvent.ALLOW_USE, words=reason, ground=ground, days=days)
    done = _changed(home, name, password_file, claim, step)
    tell(done, f"{done['recording']} may be used until {done['use_until']}", json=json)


@rights.command("list")
def list_claims(
    all_: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
    json: JsonOption = False,
) -> None:
    """List claims from which something follows."""

    def act(books: CaseBooks, person: Person) -> list[dict[str, Any]]:
        return [_json(books, one) for one in read_claims(casework.claim_books(books), person, is_open=not all_)]

    found = _act(home, name, password_file, act)
    if json:
        print_json(found)
        return
    lines = [{**one, "restricted": "restricted" if one["is_restricted"] else ""} for one in found]
    print_table(lines, _COLUMNS, empty="there are no claims" if all_ else "no claim is open")


@rights.command("letter")
def letter(
    claim: ClaimArgument,
    which: Annotated[ClaimLetter, typer.Argument(metavar="acknowledgement|decision|lifting")],
    name: AsOption = None,
    password_file: PasswordOption = None,
    home: HomeOption = Path(),
) -> None:
    """Print the text of a letter to the requester."""
    _, config = load_home(home)

    def act(books: CaseBooks, person: Person) -> str:
        claims = casework.claim_books(books)
        read_claims(claims, person, is_open=True)
        found = claim_of(claims, claim)
        due = case_deadlines.claim_due(books, found)
        return claim_letter(which, found, site=config.site.name, today=books.today, due=due)

    try:
        typer.echo(_act(home, name, password_file, act), nl=False)
    except NotYetError as error:
        fail(str(error))


def _changed(
    home: Path, name: str | None, password_file: Path | None, claim: str, step: ClaimStep
) -> dict[str, Any]:  # fmt: skip
    def act(books: CaseBooks, person: Person) -> dict[str, Any]:
        return _json(books, change_claim(casework.claim_books(books), person, claim, step))

    return _act(home, name, password_file, act)


def _json(books: CaseBooks, claim: Claim) -> dict[str, Any]:
    due_on = case_deadlines.claim_due(books, claim).isoformat()
    return {**claim_to_json(claim, books.holds.now()), "due_on": due_on}


def _act(home: Path, name: str | None, password_file: Path | None, act: Callable[[CaseBooks, Person], _T]) -> _T:
    def done(place: Home, config: Config, index: Index, person: Person) -> _T:
        return act(case_books(place, config, index), person)

    return act_signed_in(home, name, password_file, "a claim", done)
