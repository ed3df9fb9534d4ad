"""Pages for signing in through an OpenID provider, and for connecting an account to it.

A page leads browsers on instead of a redirect: `form-action` would block a redirect to the provider, and a browser that
comes from there sends no Strict cookies after a redirect. The routes that talk to the provider are coroutines, so that
a slow provider uses no thread that a pause needs.
"""

import logging
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from recorder.access.account_rows import PeopleError
from recorder.access.attempts import SignInRefusal, SignInRefused
from recorder.access.database import AuditNote
from recorder.access.openid.answers import AnswerRefusedError, ProviderDownError
from recorder.access.openid.provider import Provider
from recorder.access.openid.starts import Start
from recorder.common.problems import ProblemError
from recorder.config.openid_options import CALLBACK_PATH
from recorder.rules.signing_in import SECOND_FACTOR_ROLES, OpenIdIdentity
from recorder.web.account_pages import NOT_RIGHT, account_page
from recorder.web.first_steps import after_first_factor, begin, note_try, out_of_date, wanted_page
from recorder.web.forms import refused_at
from recorder.web.parts import Console, ConsoleParts, PageChanger, Text

_log = logging.getLogger(__name__)

router = APIRouter(include_in_schema=False)

_DOWN = (
    "The sign-in service is not answering",
    "Wait a minute and try again, or sign in with your account name and password. You can pause with the keys on your "
    "phone without signing in. If it happens again, tell ICT: the console's log says what is wrong.",
)
_NOT_BELIEVED = (
    "You are not signed in",
    "The sign-in service sent an answer that could not be checked. Try again. If it happens again, tell ICT: the "
    "console's log says what is wrong.",
)
_OUT_OF_DATE = (
    "This sign-in is out of date",
    "You started it in another browser or window, it took longer than 10 minutes, or it was used already. Start again.",
)
_CANCELLED = ("You are not signed in", "The sign-in service did not sign you in. You can try again.")
_REFUSALS = {
    SignInRefusal.UNKNOWN: (
        "You do not have an account",
        "You signed in correctly, but you do not have a call recorder account. Ask an administrator of the call "
        "recorder for one, and give them the reference below.",
    ),
    SignInRefusal.DISABLED: (
        "Your account is closed",
        "You signed in correctly, but your call recorder account was closed. If you still need one, ask an "
        "administrator of the call recorder for a new one.",
    ),
    SignInRefusal.LOCKED: (
        "Your account is locked",
        "You signed in correctly, but there were too many wrong passwords or codes for your call recorder account. "
        "Try again in an hour, or ask an administrator of the call recorder.",
    ),
    SignInRefusal.OTHER_IDENTITY: (
        "This account is connected to somebody else",
        "You signed in correctly, but the call recorder account with your name is connected to another person. If it "
        "is yours and you were given a new work account, ask an administrator of the call recorder to disconnect it.",
    ),
    SignInRefusal.NOT_CONNECTED: (
        "Connect your account first",
        "You signed in correctly. Your call recorder account gives you power over others, so you must connect it "
        "yourself. Sign in with your account name and password, then connect your work account under Your account.",
    ),
}


@router.post("/sign-in/openid")
async def leave(request: Request, console: Console, csrf: Text = "") -> Response:
    """Send a browser to the provider."""
    provider = _provider(console)
    if (again := out_of_date(request, console, csrf)) is not None:
        return again
    return await _to_provider(console, provider, Start(wanted=wanted_page(request, console)))


class ProviderAnswer(BaseModel):
    """The provider's answer in the URL: a code, or an error."""

    state: str = Field(default="", max_length=200)
    code: str = Field(default="", max_length=4096)
    error: str = Field(default="", max_length=200)
    iss: str | None = Field(default=None, max_length=2000)


@router.get(CALLBACK_PATH)
async def come_back(request: Request, console: Console, answer: Annotated[ProviderAnswer, Query()]) -> Response:
    """Handle the provider's answer: sign the person in, or connect their account."""
    provider = _provider(console)
    cookie = request.cookies.get(console.gate.cookies.openid)
    if cookie is None:  # not begun here; not logged, as anybody could fill the log
        return _stopped(console, _OUT_OF_DATE, status=403)
    start = console.starts.take(answer.state, cookie)
    if start is None:
        return await run_in_threadpool(_not_taken, request, console, "openid_state", _OUT_OF_DATE)
    if answer.error or not answer.code:
        return await run_in_threadpool(_not_taken, request, console, "openid_cancelled", _CANCELLED)
    try:
        identity = await provider.identify(start, answer.code, answer.iss)
    except ProviderDownError as problem:
        return _down(console, problem)
    except AnswerRefusedError as problem:
        _log.warning("sign-in through the OpenID provider refused: %s", problem)
        return await run_in_threadpool(_not_taken, request, console, "openid_answer", _NOT_BELIEVED)
    finish = _connect if start.account is not None else _sign_in
    return await run_in_threadpool(finish, request, console, start, identity)


@router.post("/account/connect")
async def connect(request: Request, console: Console, caller: PageChanger, password: Text = "") -> Response:
    """Send a person to the provider to connect their account; needs the password."""
    provider, session, name = _provider(console), caller.session, caller.actor.actor
    assert session is not None
    people, rules = console.deps.people, console.deps.sign_in
    async with console.gate.turns:
        result = await run_in_threadpool(people.verify, name, password)
    await run_in_threadpool(note_try, request, console, result.note)
    if isinstance(result, SignInRefused):
        wrong = refused_at("password", NOT_RIGHT, form="connect")
        return await run_in_threadpool(partial(account_page, console, caller, form=wrong, status=403))
    if result.person.roles & SECOND_FACTOR_ROLES and not rules.counts_as_proven(is_proven=session.is_proven):
        unproven = refused_at("", "Sign in with the code from your authenticator app first.", form="connect")
        return await run_in_threadpool(partial(account_page, console, caller, form=unproven, status=403))
    return await _to_provider(console, provider, Start(account=name, session=session.key))


def _provider(console: ConsoleParts) -> Provider:
    if console.deps.provider is None:
        raise ProblemError(404, "Signing in by an OpenID provider is not configured: [openid] issuer.")
    return console.deps.provider


async def _to_provider(console: ConsoleParts, provider: Provider, start: Start) -> Response:
    try:
        address = await provider.address(start)
    except ProviderDownError as problem:
        return _down(console, problem)
    console.starts.keep(start)
    answer = _lead(console, address)
    console.gate.cookies.set_openid(answer, start.browser)
    return answer


def _sign_in(request: Request, console: ConsoleParts, start: Start, identity: OpenIdIdentity) -> Response:
    result = console.deps.identities.recognise(identity)
    if isinstance(result, SignInRefused):
        note_try(request, console, result.note)
        return _stopped(console, _REFUSALS[result.refusal], status=403, subject=identity.subject)
    for each in result.notes:
        note_try(request, console, each)
    lead = partial(_lead, console)
    if identity.has_second_factor:
        answer = begin(console, result.person, is_proven=True, wanted=start.wanted, lead=lead)
    else:
        answer = after_first_factor(
            console, result.person, takes_code=result.takes_code, wanted=start.wanted, lead=lead
        )
    return _arrived(console, answer)


def _connect(request: Request, console: ConsoleParts, start: Start, identity: OpenIdIdentity) -> Response:
    assert start.account is not None
    assert start.session is not None
    if not console.deps.sessions.lasts(start.session):
        return _not_taken(request, console, "openid_state", _OUT_OF_DATE)
    try:
        done = console.deps.identities.connect(start.account, identity, by=start.account)
    except PeopleError as error:
        return _arrived(console, _stopped(console, ("Your account is not connected", str(error)), status=409))
    note_try(request, console, done)
    return _arrived(console, _lead(console, "/account"))


def _not_taken(request: Request, console: ConsoleParts, why: str, words: tuple[str, str]) -> Response:
    details = {"why": why, "by": "openid"}
    note_try(request, console, AuditNote(act="people.sign_in_refused", subject="unknown", details=details))
    return _stopped(console, words, status=403)


def _down(console: ConsoleParts, problem: ProviderDownError) -> Response:
    issuer = console.deps.provider.options.issuer if console.deps.provider else None
    _log.error("sign-in through the OpenID provider %s is not possible: %s; run recorder site-check", issuer, problem)
    return _stopped(console, _DOWN, status=503)


def _stopped(console: ConsoleParts, words: tuple[str, str], *, status: int, subject: str = "") -> Response:
    title, detail = words
    return console.renderer.page(
        "sign_in_stopped.html", None, status=status, title=title, detail=detail, subject=subject
    )


def _lead(console: ConsoleParts, address: str) -> Response:
    return console.renderer.page("lead_on.html", None, address=address)


def _arrived(console: ConsoleParts, answer: Response) -> Response:
    """Delete the cookies of the OpenID sign-in."""
    console.gate.cookies.clear(answer, console.gate.cookies.openid)
    console.gate.cookies.clear(answer, console.gate.cookies.sign_in)
    return answer
