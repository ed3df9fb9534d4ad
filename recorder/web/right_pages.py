"""Pages for restriction, objection and erasure: the requests and the decisions."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from recorder.audit.audit_service import incomplete
from recorder.common.problems import ProblemError
from recorder.data_subjects import case_deadlines, casework
from recorder.data_subjects.claim_letters import ClaimLetter, claim_letter
from recorder.data_subjects.letters import NotYetError
from recorder.notifications.kinds import NotificationKind
from recorder.permissions import Act
from recorder.retention import rights
from recorder.retention.restricting import ClaimChange, ClaimWish, change_claim, claim_of, read_claims, write_claim
from recorder.retention.rights import ClaimEvent
from recorder.web.auth import ConsoleCaller
from recorder.web.case_forms import day_typed
from recorder.web.forms import EMPTY, Sent, TypedForm
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, Text
from recorder.web.settling import settle
from storage.retention_types import Claim, Right

router = APIRouter(include_in_schema=False)
_Word = Annotated[str, Form(max_length=40)]


@router.get("/rights")
def claims(console: Console, caller: PageReader) -> HTMLResponse:
    """Show the requests and decisions."""
    return _page(console, caller)


@router.post("/rights")
def write(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, caller: PageChanger, sent: Sent, recording: _Word = "", right: _Word = "", ground: _Word = "",
    requester: Text = "", reason: Text = "", case_reference: _Word = "", on: _Word = "",
) -> Response:  # fmt: skip
    """Enter a data subject's request about a recording."""

    def act() -> None:
        chosen, _, word = ground.partition("/")
        wish = ClaimWish(
            right=_right(right or chosen), ground=word or ground, requester=requester, reason=reason,
            case_reference=case_reference, received_on=day_typed(on),
        )  # fmt: skip
        write_claim(casework.claim_repositories(console.deps.cases), caller.actor, recording.strip(), wish)

    return _done(console, caller, act, sent.named("claim"))


@router.post("/rights/{claim_id}/{event}")
def change(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, claim_id: str, event: str, caller: PageChanger, sent: Sent, words: Text = "", ground: _Word = "",
    use_ground: _Word = "", days: _Word = "",
) -> Response:  # fmt: skip
    """Uphold, decline, lift or withdraw a request, or permit use of its recording for some days."""
    if event not in {*ClaimEvent} - {ClaimEvent.CARRY_OUT}:
        raise ProblemError(404, "If you typed the web address, check that it is correct.")

    def act() -> None:
        is_use = event == ClaimEvent.ALLOW_USE
        step = ClaimChange(
            event=ClaimEvent(event), words=words, ground=use_ground if is_use else ground,
            days=int(days) if days.isascii() and days.isdigit() else None,
        )  # fmt: skip
        change_claim(casework.claim_repositories(console.deps.cases), caller.actor, claim_id, step)
        settle(console, claim_id, NotificationKind.CLAIM_WAITS, NotificationKind.CLAIM_OVERDUE)

    return _done(console, caller, act, sent.named(f"claim-{claim_id}"))


@router.get("/rights/{claim_id}/letter/{which}")
def letter(console: Console, claim_id: str, which: str, caller: PageReader) -> Response:
    """Show the text of a letter to the requester."""
    repos = console.deps.cases
    if which not in {*ClaimLetter}:
        raise ProblemError(404, "If you typed the web address, check that it is correct.")
    read_claims(casework.claim_repositories(repos), caller.actor, is_open=True)
    claim = claim_of(casework.claim_repositories(repos), claim_id)
    try:
        text = claim_letter(
            ClaimLetter(which),
            claim,
            site=console.deps.site,
            today=repos.today,
            due=case_deadlines.claim_due(repos, claim),
        )
    except NotYetError as error:
        raise ProblemError(409, str(error)) from error
    return console.renderer.page("letter.html", caller, text=text, back="/rights")


def _right(word: str) -> Right:
    try:
        return Right(word)
    except ValueError as error:
        raise incomplete("Choose what is asked.", "right") from error


def _done(console: ConsoleParts, caller: ConsoleCaller, act: Callable[[], None], form: TypedForm) -> Response:
    try:
        act()
    except ProblemError as error:
        if error.status == 503:
            raise
        return _page(console, caller, problem=error.detail, status=error.status, form=form.refused(error))
    return RedirectResponse("/rights", 303)


def _page(
    console: ConsoleParts, caller: ConsoleCaller, *, problem: str = "", status: int = 200, form: TypedForm = EMPTY
) -> HTMLResponse:
    repos = console.deps.cases
    found = read_claims(casework.claim_repositories(repos), caller.actor, is_open=False)
    assert caller.person is not None, "pages know sessions only, and those are people's"
    approvers = repos.hearing.approvers
    shown = [_shown(console, caller, one, rights.deciders(one, approvers)) for one in found]
    return console.renderer.page(
        "rights.html", caller, status=status, problem=problem, form=form, claims=shown, grounds=rights.GROUNDS,
        refusals=rights.REFUSALS, uses=rights.USES, most_days=rights.MOST_USE_DAYS,
        may_write=console.renderer.can(caller.person, Act.WRITE_CLAIM),
    )  # fmt: skip


def _shown(console: ConsoleParts, caller: ConsoleCaller, claim: Claim, deciders: frozenset[str]) -> dict[str, object]:
    """Return a request as the page shows it, with the events that this person may enter."""
    assert caller.person is not None
    repos = console.deps.cases
    is_decider = caller.person.name in deciders
    offered = [
        event
        for state, event in rights.TABLE[claim.right]
        if state is claim.state and event is not ClaimEvent.CARRY_OUT and (is_decider or event is ClaimEvent.WITHDRAW)
    ]
    return {
        "claim": claim, "due": case_deadlines.claim_due(repos, claim), "offered": offered,
        "is_restricted": rights.why_restricted([claim], console.deps.now()) is not None,
        "is_used": rights.allows_use(claim, console.deps.now()),
    }  # fmt: skip
