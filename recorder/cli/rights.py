"""`recorder claims`: data subjects' requests for restriction, objection and erasure, and decisions on them."""

from typing import Annotated, Any

import typer

from recorder.cli import completion
from recorder.cli.case_repositories import act_on_cases
from recorder.cli.context import CommandContext, PersonContext
from recorder.cli.erase import whole_id
from recorder.cli.hold import day_from, day_in_words
from recorder.cli.options import ReasonOption
from recorder.cli.output import fail
from recorder.cli.results.cases import WrittenLetter
from recorder.data_subjects import case_deadlines, casework
from recorder.data_subjects.case_entries import CaseRepositories
from recorder.data_subjects.claim_letters import ClaimLetter, claim_letter
from recorder.data_subjects.letters import NotYetError
from recorder.permissions import Person
from recorder.retention.restricting import (
    ClaimChange,
    ClaimWish,
    change_claim,
    claim_of,
    claim_to_json,
    read_claims,
    write_claim,
)
from recorder.retention.rights import MOST_USE_DAYS, ClaimEvent
from recorder.rules.wording import words_for
from storage.retention_types import Claim, ClaimState, Right

ClaimArgument = Annotated[
    str, typer.Argument(metavar="CLAIM", help="From `recorder claims list`.", autocompletion=completion.claims)
]
GroundOption = Annotated[
    str, typer.Option("--ground", metavar="WORD", help="Legal ground; an invalid one lists the valid ones.")
]
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


def ask(
    context: PersonContext,
    recording: Annotated[
        str, typer.Argument(metavar="ID", help="A recording's id.", autocompletion=completion.recordings)
    ],
    right: Annotated[Right, typer.Option("--right", help="The right that is claimed.")],
    ground: GroundOption = "",
    requester: Annotated[str, typer.Option("--requester", metavar="NAME", help="Who asks.")] = "",
    reason: ReasonOption = "",
    case: Annotated[str, typer.Option("--case", metavar="REF", help="The case's reference.")] = "",
    on: Annotated[
        str | None,
        typer.Option("--on", metavar="DATE", help="The day the request came, like 28/11/2026.", show_default="today"),
    ] = None,
) -> None:
    """Enter a data subject's request about a recording. A restriction or objection restricts its use at once."""
    wish = ClaimWish(
        right=right, ground=ground, requester=requester, reason=reason, case_reference=case, received_on=day_from(on)
    )

    def act(repos: CaseRepositories, person: Person) -> dict[str, Any]:
        claims = casework.claim_repositories(repos)
        return _json(repos, write_claim(claims, person, whole_id(repos.hearing.index, recording), wish))

    done = act_on_cases(context, act, what="a claim")
    restricted = "; its use is restricted" if done["is_restricted"] else ""
    context.tell(done, f"claim {done['id']} on {done['recording']}{restricted}; due on {day_in_words(done['due_on'])}")


def uphold(context: PersonContext, claim: ClaimArgument, reason: ReasonOption = "", ground: GroundOption = "") -> None:
    """Uphold a request. Needs the data protection officer or deputy."""
    _step(context, claim, ClaimChange(event=ClaimEvent.UPHOLD, words=reason, ground=ground))


def decline(context: PersonContext, claim: ClaimArgument, reason: ReasonOption = "", ground: GroundOption = "") -> None:
    """Decline a request, with a --ground and the reasons."""
    _step(context, claim, ClaimChange(event=ClaimEvent.DECLINE, words=reason, ground=ground))


def lift(context: PersonContext, claim: ClaimArgument, reason: ReasonOption = "", ground: GroundOption = "") -> None:
    """Lift an upheld request. Tell the requester first (`letter ... lifting`)."""
    _step(context, claim, ClaimChange(event=ClaimEvent.LIFT, words=reason, ground=ground))


def withdraw(
    context: PersonContext, claim: ClaimArgument, reason: ReasonOption = "", ground: GroundOption = ""
) -> None:
    """Record that the requester withdrew the request."""
    _step(context, claim, ClaimChange(event=ClaimEvent.WITHDRAW, words=reason, ground=ground))


def _step(context: CommandContext, claim: str, step: ClaimChange) -> None:
    done = _changed(context, claim, step)
    context.tell(done, f"claim {claim}: {words_for(ClaimState, done['state'])}")


def allow_use(
    context: PersonContext,
    claim: ClaimArgument,
    days: Annotated[int, typer.Option("--days", min=1, max=MOST_USE_DAYS, help="Length of the permission, days.")],
    ground: GroundOption = "",
    reason: ReasonOption = "",
) -> None:
    """Permit people with access to use a restricted recording for some days (UK GDPR article 18(2))."""
    step = ClaimChange(event=ClaimEvent.ALLOW_USE, words=reason, ground=ground, days=days)
    done = _changed(context, claim, step)
    context.tell(done, f"{done['recording']} may be used until {done['use_until']}")


def list_claims(
    context: PersonContext,
    all_: Annotated[bool, typer.Option("--all", help="Include those that are over.")] = False,
) -> None:
    """List requests that are in force or wait for a decision."""

    def act(repos: CaseRepositories, person: Person) -> list[dict[str, Any]]:
        return [_json(repos, one) for one in read_claims(casework.claim_repositories(repos), person, is_open=not all_)]

    found = act_on_cases(context, act, what="a claim")
    lines = [{**one, "restricted": "restricted" if one["is_restricted"] else ""} for one in found]
    context.print_rows(found, _COLUMNS, empty="there are no claims" if all_ else "no claim is open", lines=lines)


def letter(
    context: PersonContext,
    claim: ClaimArgument,
    which: Annotated[ClaimLetter, typer.Argument(metavar="acknowledgement|decision|lifting")],
) -> None:
    """Print the text of a letter to the requester."""

    def act(repos: CaseRepositories, person: Person) -> str:
        claims = casework.claim_repositories(repos)
        read_claims(claims, person, is_open=True)
        found = claim_of(claims, claim)
        due = case_deadlines.claim_due(repos, found)
        return claim_letter(which, found, site=context.config.site.name, today=repos.today, due=due)

    try:
        text = act_on_cases(context, act, what="a claim")
    except NotYetError as error:
        fail(str(error))
    context.print_text(WrittenLetter(about=claim, letter=str(which), text=text), text)


def _changed(context: CommandContext, claim: str, step: ClaimChange) -> dict[str, Any]:
    def act(repos: CaseRepositories, person: Person) -> dict[str, Any]:
        return _json(repos, change_claim(casework.claim_repositories(repos), person, claim, step))

    return act_on_cases(context, act, what="a claim")


def _json(repos: CaseRepositories, claim: Claim) -> dict[str, Any]:
    due_on = case_deadlines.claim_due(repos, claim).isoformat()
    return {**claim_to_json(claim, repos.holds.now()), "due_on": due_on}
