"""The agent page: one large button that pauses the recording at an officer's phone. Works without a script."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from recorder.access.accounts import is_anothers_extension, usable_people
from recorder.access.acknowledging import is_asked, is_due
from recorder.access.database import AuditNote
from recorder.access.operator_names import MisnamedOperator
from recorder.access.reachability import AccountsAwayError
from recorder.audit.audit_service import incomplete
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Person, Role
from recorder.rules import wording
from recorder.rules.call_target import CallTarget, ExtensionTarget
from recorder.web.agent_view import PhoneState, PhoneView, phone_of
from recorder.web.auth import ConsoleCaller
from recorder.web.forms import EMPTY, Sent, TypedForm
from recorder.web.live_pages import SECOND_PLAYS
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, PageWatcher, signed_in
from recorder.web.retroactive_spans import SPANS, chosen_span, span_page

router = APIRouter(include_in_schema=False)

Ticked = Annotated[str, Form(max_length=10)]
Number = Annotated[str, Form(max_length=40)]

_FORGOTTEN = (
    "Your call is paused. The part you chose will be erased after the call. A second person has to confirm a long part."
)
_ELSEWHERE = ((Act.MANAGE_PEOPLE, "/people"), (Act.ASK, "/requests"))
"""First pages of people whose role sees no live calls."""


@router.get("/")
def home(console: Console, caller: PageReader) -> RedirectResponse:
    """Redirect to the person's first page: for a person at a recorded phone, the agent page."""
    return RedirectResponse(first_page(console, _person(caller)), 303)


def first_page(console: ConsoleParts, person: Person) -> str:
    """Return the path of a person's first page."""
    if person.extension is not None and Role.OFFICER in person.roles:
        return "/agent"
    if not console.renderer.can(person, Act.SEE_LIVE):
        return next((path for act, path in _ELSEWHERE if console.renderer.can(person, act)), "/account")
    try:
        return "/agent" if console.sign_ons.extensions(person) else "/live"
    except ProblemError:
        return "/live"


@router.get("/agent")
def agent(console: Console, caller: PageReader) -> HTMLResponse:
    """Show the agent page."""
    console.live.looks(caller.actor)
    return agent_page(console, caller)


@router.get("/agent/state")
def agent_state(console: Console, caller: PageWatcher) -> HTMLResponse:
    """Return the part of the page that changes, for its script. A call in progress keeps the session alive."""
    phone = _phone(console, caller)
    if phone.rows and caller.session is not None:
        with contextlib.suppress(AccountsAwayError):
            console.deps.sessions.keep(caller.session.key)
    return console.renderer.page("agent_state.html", caller, **_live_values(console, phone))


@router.get("/agent/last-call")
def last_call(console: Console, caller: PageWatcher) -> HTMLResponse:
    """Return what the page says of the person's last call, for its script."""
    console.live.looks(caller.actor)
    return console.renderer.page("agent_last_call.html", caller, last=console.last_calls.of(_person(caller)))


@router.get("/agent/changes")
async def agent_changes(request: Request, console: Console) -> StreamingResponse:
    """Send the page's script a beat while the daemon answers, and a message when the state changes."""

    async def watching() -> ConsoleCaller:
        return await run_in_threadpool(signed_in, request, console, is_activity=False)

    caller = await watching()
    extensions = await run_in_threadpool(console.sign_ons.extensions, _person(caller))
    return await console.watchers.stream(caller.actor.actor, console.pulse.watch(extensions), ask=watching)


@router.post("/agent/forgot")
def forgot(
    console: Console, caller: PageChanger, sent: Sent, span: Ticked = "", paused_at: Ticked = ""
) -> HTMLResponse:
    """Pause at once and ask how far back; with an answer, have that span erased."""
    now_s, actor = console.deps.now().timestamp(), caller.actor
    if span in dict(SPANS):
        seconds = chosen_span(span, paused_at, now_s)
        return _acted(
            console, caller, lambda target: console.live.pause_retroactively(actor, target, seconds, ""), _FORGOTTEN
        )
    form = sent
    if not paused_at:
        page = _acted(console, caller, lambda target: console.live.pause(actor, target, ""), "")
        if page.status_code >= 400:
            return page
        form, paused_at = EMPTY, str(int(now_s))
    state = wording.words(_phone(console, caller).standing)
    return span_page(
        console.renderer, caller, form, action="/agent/forgot", back="/agent", section="agent",
        told=f"State of the recording of your call: {state}.", paused_at=paused_at,
    )  # fmt: skip


@router.post("/agent/calls/{call}/opt-out-request")
def ask(console: Console, call: str, caller: PageChanger) -> HTMLResponse:
    """Raise an opt-out request with the managers."""
    try:
        console.opt_outs.ask(caller.actor, call, "")
    except ProblemError as error:
        return agent_page(console, caller, problem=error.detail, status=error.status)
    return agent_page(console, caller, said="A manager has been asked. The call is recorded until one of them decides.")


@router.post("/agent/calls/{call}/second-message")
def second_message(console: Console, call: str, caller: PageChanger) -> HTMLResponse:
    """Play the second message to the caller."""
    try:
        console.live.second_message(caller.actor, CallTarget(call), "")
    except ProblemError as error:
        return agent_page(console, caller, problem=error.detail, status=error.status)
    return agent_page(console, caller, said=SECOND_PLAYS)


@router.post("/agent/sign-on")
def sign_on(console: Console, caller: PageChanger, sent: Sent, extension: Number = "") -> HTMLResponse:
    """Sign the person on at an extension, or show the code to key there."""
    number, form = extension.strip(), sent.named("sign-on")
    if not number:
        missing = incomplete("Enter the extension of your phone.", "extension")
        return agent_page(console, caller, problem=missing.detail, status=422, form=form.refused(missing))
    try:
        is_anothers = is_anothers_extension(console.deps.people, _person(caller), number)
        answer = console.sign_ons.sign_on(caller.actor, number, is_anothers=is_anothers)
    except ProblemError as error:
        return agent_page(console, caller, problem=error.detail, status=error.status, form=form.refused(error))
    if "code" in answer:
        return agent_page(console, caller, code=answer)
    return agent_page(
        console, caller, said=f"You are signed on at extension {number}. Calls that begin there from now on are yours."
    )


@router.post("/agent/sign-off")
def sign_off(console: Console, caller: PageChanger, extension: Number = "") -> HTMLResponse:
    """Sign the person off from an extension."""
    try:
        console.sign_ons.sign_off(caller.actor, extension.strip())
    except ProblemError as error:
        return agent_page(console, caller, problem=error.detail, status=error.status)
    return agent_page(console, caller, said=f"You are signed off from extension {extension.strip()}.")


@router.post("/agent/told")
def told(console: Console, caller: PageChanger) -> HTMLResponse:
    """Store the person's acknowledgement that their calls are recorded."""
    person, deps = _person(caller), console.deps

    def enter(note: AuditNote) -> None:
        console.audit_service.note(note.act, person.actor, note.subject, note.details)

    try:
        deps.acknowledgements.acknowledge(person.name, deps.cases.today, enter=enter)
    except ProblemError as error:
        return agent_page(console, caller, problem=error.detail, status=error.status)
    return agent_page(console, caller, said="Thank you. The date has been recorded.")


@router.post("/agent/{act}")
def act(console: Console, act: str, caller: PageChanger) -> HTMLResponse:
    """Pause or resume without the page's script."""
    acts = {"pause": console.live.pause, "resume": console.live.resume}
    if act not in acts:
        raise ProblemError(404, "If you typed the web address, check that it is correct.")
    return _acted(console, caller, lambda target: acts[act](caller.actor, target, ""), "")


def _acted(
    console: ConsoleParts, caller: ConsoleCaller, do: Callable[[ExtensionTarget], dict[str, Any]], said: str
) -> HTMLResponse:
    try:
        person = _person(caller)
        _each(console.sign_ons.extensions(person, console.live.calls(person)), do)
    except ProblemError as error:
        return agent_page(console, caller, problem=error.detail, status=error.status)
    return agent_page(console, caller, said=said)


def _each(extensions: list[str], do: Callable[[ExtensionTarget], dict[str, Any]]) -> None:
    """Do something to each extension.

    An extension without a call is no error if another has one. A failure does not stop the others.
    """
    done, failed = 0, ProblemError(404, "You are not at an extension that is recorded.")
    for number in extensions:
        try:
            do(ExtensionTarget(number))
        except ProblemError as error:
            failed = error if failed.status == 404 else failed
        else:
            done += 1
    if not done or failed.status != 404:
        raise failed


def agent_page(
    console: ConsoleParts,
    caller: ConsoleCaller,
    *,
    said: str = "",
    problem: str = "",
    status: int = 200,
    code: Mapping[str, Any] | None = None,
    form: TypedForm = EMPTY,
) -> HTMLResponse:
    """Show the page; ``code`` is the code to key at a phone before the person is signed on there."""
    signed_on: list[dict[str, Any]] = []
    takeovers: list[dict[str, Any]] = []
    misnamed: list[MisnamedOperator] = []
    try:
        phone, signed_on = _phone(console, caller), console.sign_ons.signed_on(_person(caller))
        takeovers = console.sign_ons.takeovers(_person(caller))
        misnamed = console.sign_ons.misnamed(_person(caller), _people(console))
    except ProblemError as error:
        if error.status == 403:
            raise
        phone = PhoneView(standing=PhoneState.NOT_CONFIRMED)
        problem = problem or error.detail
    return console.renderer.page(
        "agent.html", caller, status=status, form=form, **_live_values(console, phone),
        last=console.last_calls.of(_person(caller)),
        must_acknowledge=_must_acknowledge(console, _person(caller), phone),
        said=said, problem=problem, spans=SPANS, code=code,
        signed_on=signed_on, takeovers=takeovers, misnamed=misnamed,
    )  # fmt: skip


def _live_values(console: ConsoleParts, phone: PhoneView) -> dict[str, Any]:
    """Return what the part of the page that changes is made of."""
    orders = console.last_calls.to_erase(phone.recordings)
    return {"phone": phone, "orders": orders, "now": console.deps.now()}


def _people(console: ConsoleParts) -> list[Person]:
    """Return everybody with an active account; nobody while accounts cannot be checked: the page can still pause."""
    try:
        return usable_people(console.deps.people)
    except AccountsAwayError:
        return []


def _must_acknowledge(console: ConsoleParts, person: Person, phone: PhoneView) -> bool:
    try:
        told_on = console.deps.acknowledgements.day_of(person.name)
    except AccountsAwayError:
        return False
    return is_asked(person, phone.extensions) and is_due(told_on, console.deps.cases.today)


def _phone(console: ConsoleParts, caller: ConsoleCaller) -> PhoneView:
    person = _person(caller)
    calls = console.live.calls(person)
    silent = [node.name for node in console.live.silent_nodes() if node.may_have_calls]
    return phone_of(console.sign_ons.extensions(person, calls), calls, silent=silent)


def _person(caller: ConsoleCaller) -> Person:
    assert caller.person is not None, "pages know sessions only, and those are people's"
    return caller.person
