"""Pages for access requests: the list, the decisions, and the form on a recording's page."""

import re
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.responses import Response

from recorder.access.listening import asking
from recorder.access.listening.appointing import acknowledge, mark_absent
from recorder.audit.audit_service import incomplete
from recorder.common.problems import ProblemError
from recorder.notifications.kinds import NotificationKind
from recorder.permissions import Act, Person
from recorder.rules.requesting import GRANT_DAYS, MOST_GRANT_DAYS, AccessKind, Category, RequestState, RequestWish
from recorder.web.auth import ConsoleCaller
from recorder.web.forms import EMPTY, FieldErrors, Sent, TypedForm
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, Text
from recorder.web.recording_view import again, recording_page
from recorder.web.settling import settle
from storage.types import RecordingId

router = APIRouter(include_in_schema=False)
_Word = Annotated[str, Form(max_length=40)]
_Ids = Annotated[str, Form(max_length=20_000)]


@router.get("/requests")
def requests(console: Console, caller: PageReader) -> HTMLResponse:
    """Show the requests that wait for this person's decision, and their own."""
    return _page(console, caller)


@router.post("/requests")
def ask(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, caller: PageChanger, sent: Sent, recordings: _Ids = "", category: _Word = "", leave: _Word = "",
    reason: Text = "", reference: Text = "",
) -> Response:  # fmt: skip
    """Ask for access to recordings by their ids."""
    wanted = [RecordingId(word) for word in re.split(r"[\s,]+", recordings) if word]
    form = sent.named("request")
    return _done(console, caller, lambda: _ask(console, caller, wanted, category, leave, reason, reference), form)


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
    said = "Your request is on its way. You can listen here once it is granted."
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

    def act() -> None:
        acts[decision]()
        settle(console, request_id, NotificationKind.REQUEST_WAITS)

    return _done(console, caller, act, sent.named(f"decide-{request_id}"))


@router.post("/emergencies/{emergency_id}/acknowledge")
def take_note(console: Console, emergency_id: str, caller: PageChanger) -> Response:
    """Acknowledge a break-glass access."""

    def act() -> None:
        acknowledge(console.deps.hearing, caller.actor, emergency_id)
        settle(console, emergency_id, NotificationKind.EMERGENCY)

    return _done(console, caller, act)


@router.post("/team-leaders/{account}/absent")
def leave_to_others(console: Console, account: str, caller: PageChanger) -> Response:
    """Mark a team leader absent."""
    return _done(console, caller, lambda: mark_absent(console.deps.hearing, caller.actor, account, is_absent=True))


@router.post("/team-leaders/{account}/back")
def come_back(console: Console, account: str, caller: PageChanger) -> Response:
    """Mark a team leader present again."""
    return _done(console, caller, lambda: mark_absent(console.deps.hearing, caller.actor, account, is_absent=False))


def _ask(  # noqa: PLR0917 - as they are sent
    console: ConsoleParts, caller: ConsoleCaller, recordings: list[RecordingId], category: str, leave: str, reason: str,
    reference: str,
) -> None:  # fmt: skip
    errors = FieldErrors()
    if category not in {*Category}:
        errors["category"] = "Choose what you need the recordings for."
    if leave not in {*AccessKind}:
        errors["leave"] = "Choose whether to listen, or to listen and take copies."
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
        raise incomplete(f"For how many days: a number from 1 to {MOST_GRANT_DAYS}.", "days")
    return int(typed)


def _done(console: ConsoleParts, caller: ConsoleCaller, act: Callable[[], object], form: TypedForm = EMPTY) -> Response:
    try:
        act()
    except ProblemError as error:
        if error.status == 503:
            raise
        return _page(console, caller, problem=error.detail, status=error.status, form=form.refused(error))
    return RedirectResponse("/requests", 303)


def _page(
    console: ConsoleParts, caller: ConsoleCaller, *, problem: str = "", status: int = 200, form: TypedForm = EMPTY
) -> HTMLResponse:
    hearing, person = console.deps.hearing, _person(caller)
    everybodys = asking.seen(hearing, person)
    mine = hearing.requests.of_account(person.name)
    now = console.deps.now()
    approvers = hearing.approvers
    is_protector = person.is_proven and person.name in approvers.protectors
    return console.renderer.page(
        "requests.html", caller, status=status, problem=problem, form=form, mine=mine, categories=list(Category),
        to_decide=asking.to_decide(hearing, person), days=GRANT_DAYS, most_days=MOST_GRANT_DAYS,
        others=[one for one in everybodys if one.account != person.name and one.state is not RequestState.WAITING],
        good=frozenset(one.id for one in mine if one.gives(AccessKind.LISTEN, now)),
        emergencies=hearing.emergencies.open() if is_protector else [],
        leaders=sorted(approvers.leaders) if console.renderer.can(person, Act.MARK_ABSENT) else [],
        absent=approvers.absent,
    )  # fmt: skip


def _person(caller: ConsoleCaller) -> Person:
    assert caller.person is not None, "pages know sessions only, and those are people's"
    return caller.person
