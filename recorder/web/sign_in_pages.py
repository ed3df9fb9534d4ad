"""Pages for signing in: password, second factor, and setting up an authenticator.

Between password and second factor a browser has a session for these pages only (`first_steps`).
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import RedirectResponse
from markupsafe import Markup
from starlette.responses import Response

from recorder.access.account_rows import PeopleError
from recorder.access.attempts import REFUSED_SENTENCE, SignInRefusal, SignInRefused
from recorder.access.qr import svg_of
from recorder.access.second_factor import WRONG_CODE_SENTENCE
from recorder.access.totp import address_of, spaced
from recorder.web.agent_pages import first_page
from recorder.web.auth import ConsoleCaller
from recorder.web.first_steps import (
    CODE_PAGE,
    ENROL_PAGE,
    after_first_factor,
    begin,
    in_turn,
    note_try,
    out_of_date,
    sign_in_page,
    wanted_page,
)
from recorder.web.forms import EMPTY, refused_at, shown_again
from recorder.web.parts import Console, ConsoleParts, PageChanger, SignInNeededError, Text, page_to_return_to

router = APIRouter(include_in_schema=False)

_LOCKED = "Your account is locked after too many wrong attempts. Try again later, or ask an administrator."


# The password


@router.get("/sign-in")
def sign_in_form(request: Request, console: Console, wanted: Annotated[str, Query(alias="next")] = "") -> Response:
    """Show the sign-in form; scripts name the page that they left, which is led to afterwards."""
    page = page_to_return_to(request.app, wanted)
    if not page:
        return sign_in_page(console)
    answer = RedirectResponse("/sign-in", 303)
    console.gate.cookies.set_wanted(answer, page)
    return answer


@router.post("/sign-in", dependencies=[in_turn])
def sign_in(request: Request, console: Console, name: Text = "", password: Text = "", csrf: Text = "") -> Response:
    """Check a name and password; start a session, or ask for the second factor."""
    if (again := out_of_date(request, console, csrf, name=name)) is not None:
        return again
    if missing := _missing(name, password):
        form = shown_again({"name": name.strip()}, missing)
        return sign_in_page(console, form=form, status=422)  # it is no try, and locks nobody out
    provider = console.deps.provider
    result = console.deps.people.verify(name, password, if_connected=provider is None or provider.options.passwords_too)
    note_try(request, console, result.note)
    if isinstance(result, SignInRefused):
        return sign_in_page(console, name=name, error=REFUSED_SENTENCE, status=403)
    wanted = wanted_page(request, console)
    answer = after_first_factor(console, result.person, takes_code=result.takes_code, wanted=wanted)
    console.gate.cookies.clear(answer, console.gate.cookies.sign_in)
    return answer


def _missing(name: str, password: str) -> dict[str, str]:
    """Return a sentence for each field that is empty."""
    sentences = {"name": "Enter your account name.", "password": "Enter your password."}
    return {field: sentences[field] for field, typed in (("name", name.strip()), ("password", password)) if not typed}


# The second factor


def _starting(request: Request, console: Console) -> ConsoleCaller:
    caller = console.gate.starting(request)
    if caller is None:
        raise SignInNeededError
    return caller


def _starting_changer(
    console: Console, caller: Annotated[ConsoleCaller, Depends(_starting)], csrf: Text = ""
) -> ConsoleCaller:
    console.gate.check_csrf(caller, csrf)
    return caller


Starting = Annotated[ConsoleCaller, Depends(_starting)]
StartingChanger = Annotated[ConsoleCaller, Depends(_starting_changer)]


@router.get(CODE_PAGE)
def code_form(console: Console, caller: Starting) -> Response:
    """Ask for the code of the authenticator."""
    return console.renderer.page("sign_in_code.html", None, form_csrf=caller.csrf, form=EMPTY)


@router.post(CODE_PAGE)
def code(request: Request, console: Console, caller: StartingChanger, code: Text = "") -> Response:
    """Check the code, and start the session."""
    assert caller.session is not None
    if not code.strip():
        empty = refused_at("code", "Enter the code from your authenticator app, or a recovery code.")
        return console.renderer.page("sign_in_code.html", None, status=422, form_csrf=caller.csrf, form=empty)
    result = console.deps.second_factors.check(caller.session.account, code)
    note_try(request, console, result.note)
    if isinstance(result, SignInRefused):
        return _wrong(console, caller, result, "sign_in_code.html")
    console.deps.sessions.end(caller.session.key)
    answer = begin(console, result.person, is_proven=True, wanted=wanted_page(request, console))
    console.gate.cookies.clear(answer, console.gate.cookies.starting)
    return answer


def _wrong(console: ConsoleParts, caller: ConsoleCaller, result: SignInRefused, page: str, **about: Any) -> Response:  # noqa: ANN401
    """Show the form again; after too many tries start over, so that a password alone does not allow many codes."""
    assert caller.session is not None
    if result.refusal is SignInRefusal.WRONG_CODE:
        form = refused_at("code", WRONG_CODE_SENTENCE)
        return console.renderer.page(page, None, status=403, form_csrf=caller.csrf, form=form, **about)
    console.deps.sessions.end(caller.session.key)
    answer = sign_in_page(console, error=_LOCKED, status=403)
    console.gate.cookies.clear(answer, console.gate.cookies.starting)
    return answer


# Setting one up


@router.get(ENROL_PAGE)
def authenticator_form(console: Console, caller: Starting) -> Response:
    """Show the secret of a new authenticator as QR code and text, and ask for its first code."""
    if caller.session is None or caller.session.enrolling is None:
        return RedirectResponse(CODE_PAGE, 303)
    return console.renderer.page(
        "authenticator.html", None, form_csrf=caller.csrf, form=EMPTY, **_secret(console, caller)
    )


def _secret(console: ConsoleParts, caller: ConsoleCaller) -> dict[str, Any]:
    assert caller.session is not None
    assert caller.session.enrolling is not None
    secret, account = caller.session.enrolling, caller.session.account
    title = "QR code of the secret that follows as text"
    picture = svg_of(address_of(secret, account, f"{console.deps.site} call recorder"), title=title)
    return {"picture": Markup(picture), "secret": spaced(secret), "account": account}  # noqa: S704 - drawn by us


@router.post(ENROL_PAGE)
def set_authenticator(request: Request, console: Console, caller: StartingChanger, code: Text = "") -> Response:
    """Set up the authenticator, start the session, and show the recovery codes."""
    assert caller.session is not None
    if caller.session.enrolling is None:
        return RedirectResponse(CODE_PAGE, 303)
    person = caller.person
    assert person is not None
    try:
        result = console.deps.second_factors.enrol(person.name, caller.session.enrolling, code)
    except PeopleError:  # it was set up in another browser meanwhile
        return RedirectResponse("/sign-in", 303)
    note_try(request, console, result.note)
    if isinstance(result, SignInRefused):
        return _wrong(console, caller, result, "authenticator.html", **_secret(console, caller))
    secret = console.deps.sessions.start(person.name, is_proven=True)
    first = wanted_page(request, console) or first_page(console, person)
    page = console.renderer.page("recovery_codes.html", None, codes=result.codes, first=first)
    console.gate.cookies.clear(page, console.gate.cookies.wanted)
    console.gate.cookies.set_session(page, secret)
    console.gate.cookies.clear(page, console.gate.cookies.starting)
    return page


# Signing out


@router.post("/sign-out")
def sign_out(console: Console, caller: PageChanger) -> Response:
    """End the session."""
    assert caller.session is not None
    console.deps.sessions.end(caller.session.key)
    console.gate.ended(caller)
    console.recording_service.listens.close(caller.actor.actor)
    console.audit_service.note_late("people.sign_out", caller.actor.actor, caller.actor.actor)
    return signed_out(console)


def signed_out(console: ConsoleParts) -> Response:
    """Redirect to the sign-in page after the session has ended."""
    answer = RedirectResponse("/sign-in", 303)
    console.gate.cookies.clear(answer, console.gate.cookies.session)
    console.gate.cookies.clear(answer, console.gate.cookies.wanted)
    return answer


@router.get("/accessibility")
def accessibility(request: Request, console: Console) -> Response:
    """Show the accessibility statement, to anybody."""
    caller = console.gate.by_session(request, is_activity=False)
    return console.renderer.page("accessibility.html", caller)
