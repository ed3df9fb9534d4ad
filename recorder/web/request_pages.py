"""Pages for access requests: the list, the decisions, and the form on a recording's page."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated

from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from recorder.access.listening import asking
from recorder.access.listening.appointing import acknowledge, read_emergency
from recorder.audit.audit_service import incomplete
from recorder.common.problems import ProblemError
from recorder.notifications.kinds import NotificationKind
from recorder.permissions import Act, Person
from recorder.rules.requesting import (
    GRANT_DAYS,
    MOST_GRANT_DAYS,
    MOST_RECORDINGS,
    AccessKind,
    Category,
    RequestState,
    RequestWish,
    categories_for,
)
from recorder.web.auth import ConsoleCaller
from recorder.web.call_names import CallNames
from recorder.web.forms import EMPTY, FieldErrors, Sent, TypedForm
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, Text
from recorder.web.recording_view import again, recording_page
from recorder.web.settling import settle
from storage.types import RecordingId

router = APIRouter(include_in_schema=False)
_Word = Annotated[str, Form(max_length=40)]
_Ids = Annotated[str, Form(max_length=20_000)]
Chosen = Annotated[tuple[Annotated[str, Query(max_length=60)], ...], Query(max_length=MOST_RECORDINGS)]
"""Recordings that were ticked in a list."""

DONE: Mapping[str, str] = {
    "asked": "Your request has been sent.",
    "grant": "The request is granted.",
    "decline": "The request is declined.",
    "withdraw": "Your request is withdrawn.",
    "acknowledge": "Acknowledged.",
}
"""What was done, by the code in an address after the act."""


@router.get("/requests")
def requests(console: Console, caller: PageReader, done: str = "") -> HTMLResponse:
    """Show the requests that wait for this person's decision, and their own."""
    hearing, person = console.deps.hearing, _person(caller)
    everybodys = asking.seen(hearing, person)
    approvers = hearing.approvers
    is_protector = person.is_proven and person.name in approvers.protectors
    return console.renderer.page(
        "requests.html", caller, problem="", done=DONE.get(done, ""), names=CallNames(console.deps, person),
        now=console.deps.now(), mine=hearing.requests.of_account(person.name),
        to_decide=asking.to_decide(hearing, person),
        is_decider=console.renderer.can(person, Act.DECIDE) or approvers.is_deputy(person),
        others=[one for one in everybodys if one.account != person.name and one.state is not RequestState.WAITING],
        emergencies=hearing.emergencies.open() if is_protector else [],
    )  # fmt: skip


@router.get("/requests/new")
def new_request(console: Console, caller: PageReader, recording: Chosen = ()) -> HTMLResponse:
    """Show the form that asks for access to recordings."""
    return _new(console, caller, " ".join(recording), EMPTY)


@router.get("/requests/{request_id}")
def request(console: Console, request_id: str, caller: PageReader) -> HTMLResponse:
    """Show one request, with the form to decide on it."""
    return _one(console, caller, request_id)


@router.post("/requests")
def ask(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, caller: PageChanger, sent: Sent, recordings: _Ids = "", category: _Word = "", leave: _Word = "",
    reason: Text = "", reference: Text = "",
) -> Response:  # fmt: skip
    """Ask for access to recordings by their ids."""
    wanted = [RecordingId(word) for word in re.split(r"[\s,]+", recordings) if word]
    try:
        _ask(console, caller, wanted, category, leave, reason, reference)
    except ProblemError as error:
        if error.status not in (403, 409, 422):
            raise
        return _new(console, caller, recordings, sent.named("request").refused(error), status=error.status)
    return RedirectResponse("/requests?done=asked", 303)


@router.post("/recordings/{recording_id}/request")
def ask_for(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, recording_id: str, caller: PageChanger, sent: Sent, category: _Word = "", leave: _Word = "",
    reason: Text = "", reference: Text = "",
) -> Response:  # fmt: skip
    """Ask for access to a page's recording.

    Elected members, who cannot see the page before a grant, are sent to their requests.
    """
    try:
        _ask(console, caller, [RecordingId(recording_id)], category, leave, reason, reference)
    except ProblemError as error:
        return again(console, caller, recording_id, error, Act.ASK, form=sent.named("request"))
    if not console.renderer.can(_person(caller), Act.VIEW):
        return RedirectResponse("/requests", 303)
    said = "Your request has been sent. You can listen here once it is granted."
    return recording_page(console, caller, recording_id, said=said)


@router.post("/requests/{request_id}/{decision}")
def decide(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, request_id: str, decision: str, caller: PageChanger, sent: Sent, words: Text = "",
    days: _Word = "", whole_call: _Word = "",
) -> Response:  # fmt: skip
    """Grant, decline or withdraw a request."""
    hearing, actor = console.deps.hearing, caller.actor
    acts: dict[str, Callable[[], object]] = {
        "grant": lambda: asking.decide(
            hearing, actor, request_id, granted=True, words=words, days=_days(days), is_whole=bool(whole_call)
        ),
        "decline": lambda: asking.decide(hearing, actor, request_id, granted=False, words=words),
        "withdraw": lambda: asking.withdraw(hearing, actor, request_id),
    }
    if decision not in acts:
        raise ProblemError(404, "If you typed the web address, check that it is correct.")

    try:
        acts[decision]()
    except ProblemError as error:
        if error.status != 422:
            raise
        form = sent.named(f"decide-{request_id}").refused(error)
        return _one(console, caller, request_id, status=error.status, form=form)
    settle(console, request_id, NotificationKind.REQUEST_WAITS)
    return RedirectResponse(f"/requests?done={decision}", 303)


@router.get("/emergencies/{emergency_id}")
def emergency(console: Console, emergency_id: str, caller: PageReader) -> HTMLResponse:
    """Show a break-glass access."""
    return _emergency(console, caller, emergency_id)


@router.post("/emergencies/{emergency_id}/acknowledge")
def take_note(console: Console, emergency_id: str, caller: PageChanger) -> Response:
    """Acknowledge a break-glass access."""
    acknowledge(console.deps.hearing, caller.actor, emergency_id)
    settle(console, emergency_id, NotificationKind.EMERGENCY)
    return RedirectResponse("/requests?done=acknowledge", 303)


def _ask(  # noqa: PLR0917 - as they are sent
    console: ConsoleParts, caller: ConsoleCaller, recordings: list[RecordingId], category: str, leave: str, reason: str,
    reference: str,
) -> None:  # fmt: skip
    errors = FieldErrors()
    if category not in {*Category}:
        errors["category"] = "Select what you need the recordings for."
    if leave not in {*AccessKind}:
        errors["leave"] = "Select whether to listen, or to listen and take copies."
    errors.check()
    wish = RequestWish(
        recordings=tuple(recordings), category=Category(category), reason=reason, leave=AccessKind(leave),
        reference=reference,
    )  # fmt: skip
    asking.ask(console.deps.hearing, caller.actor, wish)


def _days(typed: str) -> int | None:
    if not typed.strip():
        return None
    if not (typed.strip().isascii() and typed.strip().isdigit()):
        raise incomplete(f"Enter a number of days from 1 to {MOST_GRANT_DAYS}.", "days")
    return int(typed)


def _new(
    console: ConsoleParts, caller: ConsoleCaller, recordings: str, form: TypedForm, *, status: int = 200
) -> HTMLResponse:
    """Return the page that asks, which names the recordings if the person may know them."""
    person = _person(caller)
    calls = CallNames(console.deps, person).calls(dict.fromkeys(re.split(r"[\s,]+", recordings.strip())))
    are_known = all(one.is_known for one in calls[:MOST_RECORDINGS]) and len(calls) <= MOST_RECORDINGS
    return console.renderer.page(
        "request_new.html", caller, status=status, form=form, calls=calls if are_known else [], typed=recordings,
        categories=categories_for(person),
    )  # fmt: skip


def _one(
    console: ConsoleParts, caller: ConsoleCaller, request_id: str, *, status: int = 200, form: TypedForm = EMPTY
) -> HTMLResponse:
    hearing, person = console.deps.hearing, _person(caller)
    request = asking.read_request(hearing, person, request_id)
    return console.renderer.page(
        "request.html", caller, status=status, form=form, request=request, names=CallNames(console.deps, person),
        done="", is_mine=request.account == person.name, days=GRANT_DAYS, most_days=MOST_GRANT_DAYS,
        may_decide=any(one.id == request.id for one in asking.to_decide(hearing, person)),
        is_over=request.state is RequestState.GRANTED and not request.gives(AccessKind.LISTEN, console.deps.now()),
    )  # fmt: skip


def _emergency(console: ConsoleParts, caller: ConsoleCaller, emergency_id: str) -> HTMLResponse:
    one = read_emergency(console.deps.hearing, caller.actor, emergency_id)
    names = CallNames(console.deps, _person(caller))
    return console.renderer.page("emergency.html", caller, one=one, names=names, problem="")


def _person(caller: ConsoleCaller) -> Person:
    assert caller.person is not None, "pages know sessions only, and those are people's"
    return caller.person
