"""Pages for restriction, objection and erasure: the requests and the decisions."""

from collections.abc import Mapping
from datetime import date
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
from recorder.permissions import Act, Person
from recorder.retention import rights
from recorder.retention.restricting import (
    ClaimChange,
    ClaimRepositories,
    ClaimWish,
    change_claim,
    claim_of,
    read_claims,
    write_claim,
)
from recorder.retention.rights import ClaimEvent
from recorder.web.auth import ConsoleCaller
from recorder.web.call_names import CallNames
from recorder.web.case_forms import day_of
from recorder.web.forms import EMPTY, Sent, TypedForm
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, Text
from recorder.web.request_pages import Chosen
from recorder.web.settling import settle
from storage.retention_types import Claim, ClaimState, Right

router = APIRouter(include_in_schema=False)

DONE: Mapping[str, str] = {
    "written": "The request is recorded.",
    "uphold": "The request is upheld.",
    "decline": "The request is declined.",
    "lift": "The restriction has ended.",
    "withdraw": "The request is withdrawn.",
    "allow_use": "The recording may be used for the time you set.",
}
"""What was done, by the code in an address after the act."""
_Word = Annotated[str, Form(max_length=40)]


@router.get("/rights")
def claims(console: Console, caller: PageReader, done: str = "") -> HTMLResponse:
    """Show the requests, those that wait for a decision first."""
    repos = _repositories(console)
    found = [(one, _due(console, one)) for one in read_claims(repos, caller.actor, is_open=False)]
    return console.renderer.page(
        "rights.html", caller, problem="", done=DONE.get(done, ""), names=CallNames(console.deps, _person(caller)),
        waiting=sorted((one for one in found if one[0].state is ClaimState.ASKED), key=lambda one: one[1]),
        others=[one for one in found if one[0].state is not ClaimState.ASKED],
    )  # fmt: skip


@router.get("/rights/new")
def new_claim(console: Console, caller: PageReader, recording: Chosen = ()) -> HTMLResponse:
    """Show the form that records what a data subject asks for."""
    return _new(console, caller, next(iter(recording), ""), EMPTY)


@router.post("/rights")
def write(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, caller: PageChanger, sent: Sent, recording: _Word = "", right: _Word = "", ground: _Word = "",
    requester: Text = "", reason: Text = "", case_reference: _Word = "",
) -> Response:  # fmt: skip
    """Enter a data subject's request about a recording."""
    chosen, _, word = ground.partition("/")
    try:
        wish = ClaimWish(
            right=_right(right, chosen), ground=word or ground, requester=requester, reason=reason,
            case_reference=case_reference, received_on=day_of(sent),
        )  # fmt: skip
        claim = write_claim(_repositories(console), caller.actor, recording.strip(), wish)
    except ProblemError as error:
        if error.status not in (404, 409, 422):
            raise
        form = sent.named("claim").refused(_at_field(error, "recording"))
        return _new(console, caller, recording.strip(), form, status=error.status)
    return RedirectResponse(f"/rights/{claim.id}?done=written", 303)


@router.get("/rights/{claim_id}")
def claim(console: Console, claim_id: str, caller: PageReader, done: str = "") -> HTMLResponse:
    """Show one request."""
    return _page(console, caller, "claim.html", claim_id, done=DONE.get(done, ""))


@router.get("/rights/{claim_id}/{event}")
def event_page(console: Console, claim_id: str, event: str, caller: PageReader) -> HTMLResponse:
    """Show the form of a decision."""
    return _page(console, caller, "claim_event.html", claim_id, event=_event(event))


@router.post("/rights/{claim_id}/{event}")
def change(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, claim_id: str, event: str, caller: PageChanger, sent: Sent, words: Text = "", ground: _Word = "",
    use_ground: _Word = "", days: _Word = "",
) -> Response:  # fmt: skip
    """Uphold, decline, lift or withdraw a request, or permit use of its recording for some days."""
    kind = _event(event)
    step = ClaimChange(
        event=kind, words=words, ground=use_ground if kind is ClaimEvent.ALLOW_USE else ground,
        days=int(days) if days.isascii() and days.isdigit() else None,
    )  # fmt: skip
    try:
        change_claim(_repositories(console), caller.actor, claim_id, step)
    except ProblemError as error:
        if error.status != 422:
            raise
        form = sent.named(f"claim-{claim_id}").refused(error)
        return _page(console, caller, "claim_event.html", claim_id, event=kind, form=form, status=error.status)
    settle(console, claim_id, NotificationKind.CLAIM_WAITS, NotificationKind.CLAIM_OVERDUE)
    return RedirectResponse(f"/rights/{claim_id}?done={kind}", 303)


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
    return console.renderer.page("letter.html", caller, text=text, back=f"/rights/{claim_id}")


def _event(word: str) -> ClaimEvent:
    if word not in {*ClaimEvent} - {ClaimEvent.CARRY_OUT}:
        raise ProblemError(404, "If you typed the web address, check that it is correct.")
    return ClaimEvent(word)


def _right(word: str, chosen: str) -> Right:
    """Return the right that is asked for: sent by itself, or chosen together with its ground."""
    try:
        return Right(word or chosen)
    except ValueError as error:
        raise incomplete("Select what they are asking for.", "right" if word else "ground") from error


def _at_field(error: ProblemError, name: str) -> ProblemError:
    """Return a problem at a field, if it names none: what cannot be found was typed there."""
    return error if error.fields else ProblemError(error.status, error.detail, fields={name: error.detail})


def _new(
    console: ConsoleParts, caller: ConsoleCaller, recording: str, form: TypedForm, *, status: int = 200
) -> HTMLResponse:
    named = CallNames(console.deps, _person(caller)).call(recording) if recording else None
    options = [
        (f"{right}/{word}", right, text) for right, words in rights.GROUNDS.items() for word, text in words.items()
    ]
    return console.renderer.page(
        "claim_new.html", caller, status=status, form=form, call=named if named and named.is_known else None,
        recording=recording, grounds=options,
    )  # fmt: skip


def _page(
    console: ConsoleParts, caller: ConsoleCaller, template: str, claim_id: str, *, event: ClaimEvent | None = None,
    status: int = 200, form: TypedForm = EMPTY, done: str = "",
) -> HTMLResponse:  # fmt: skip
    person, repos = _person(caller), _repositories(console)
    read_claims(repos, person, is_open=True)
    claim = claim_of(repos, claim_id)
    offered = _offered(console, person, claim)
    if event is not None and event not in offered:
        raise ProblemError(409, "You cannot do this with the request now, or somebody else has to decide.")
    names, now = CallNames(console.deps, person), console.deps.now()
    return console.renderer.page(
        template, caller, status=status, form=form, claim=claim, offered=offered, event=event, done=done, names=names,
        call=names.call(claim.recording), due=_due(console, claim), ground=rights.GROUNDS[claim.right][claim.ground],
        refusals=rights.REFUSALS[claim.right], uses=rights.USES, most_days=rights.MOST_USE_DAYS,
        is_restricted=rights.why_restricted([claim], now) is not None, is_used=rights.allows_use(claim, now),
        letters=_letters(claim),
    )  # fmt: skip


def _offered(console: ConsoleParts, person: Person, claim: Claim) -> list[ClaimEvent]:
    """Return the events of a request that this person may enter now."""
    is_decider = person.name in rights.deciders(claim, console.deps.cases.hearing.approvers)
    may_write = console.renderer.can(person, Act.WRITE_CLAIM)
    return [
        event
        for state, event in rights.TABLE[claim.right]
        if state is claim.state
        and event is not ClaimEvent.CARRY_OUT
        and (may_write if event is ClaimEvent.WITHDRAW else is_decider)
    ]


def _letters(claim: Claim) -> list[ClaimLetter]:
    """Return the letters that there are by now."""
    found = [ClaimLetter.ACKNOWLEDGEMENT]
    if claim.state in (ClaimState.UPHELD, ClaimState.DECLINED, ClaimState.DONE):
        found.append(ClaimLetter.DECISION)
    if claim.right is Right.RESTRICTION and claim.state in (ClaimState.UPHELD, ClaimState.LIFTED):
        found.append(ClaimLetter.LIFTING)
    return found


def _due(console: ConsoleParts, claim: Claim) -> date:
    return case_deadlines.claim_due(console.deps.cases, claim)


def _repositories(console: ConsoleParts) -> ClaimRepositories:
    return casework.claim_repositories(console.deps.cases)


def _person(caller: ConsoleCaller) -> Person:
    assert caller.person is not None, "pages know sessions only, and those are people's"
    return caller.person
