"""Common steps of signing in: the form, its tie to one browser, and what follows the first factor.

Each step starts a session with a new secret, so that nobody can fix one in advance.
"""

import hmac
import secrets
from collections.abc import AsyncIterator, Callable
from urllib.parse import unquote

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from recorder.access.database import AuditNote
from recorder.access.sessions import SessionKind
from recorder.access.totp import new_secret
from recorder.permissions import Person
from recorder.web.agent_pages import first_page
from recorder.web.forms import EMPTY, TypedForm, refused_at
from recorder.web.parts import Console, ConsoleParts, page_to_return_to

CODE_PAGE, ENROL_PAGE = "/sign-in/code", "/sign-in/authenticator"

Lead = Callable[[str], Response]
"""Makes the response that leads a browser to a page."""


async def _turn(console: Console) -> AsyncIterator[None]:
    async with console.gate.turns:
        yield


in_turn = Depends(_turn, scope="function")  # released before the response is sent, which a slow client can delay
"""Dependency of routes that check a password."""


def see_other(page: str) -> Response:
    """Redirect a browser to a page."""
    return RedirectResponse(page, 303)


def sign_in_page(
    console: ConsoleParts, *, name: str = "", error: str | None = None, status: int = 200, form: TypedForm = EMPTY
) -> Response:
    """Return the sign-in form, tied to this browser; with an error of the whole, or with those of a form."""
    secret = secrets.token_urlsafe(32)
    provider = console.deps.provider
    page = console.renderer.page(
        "sign_in.html", None, status=status, form=refused_at("name", error, name=name) if error else form,
        form_csrf=secret, openid=provider.options if provider else None,
    )  # fmt: skip
    console.gate.cookies.set_sign_in(page, secret)
    return page


def out_of_date(request: Request, console: ConsoleParts, csrf: str, *, name: str = "") -> Response | None:
    """Return the form again if what was sent belongs to another form; else None."""
    tied = request.cookies.get(console.gate.cookies.sign_in, "")
    if tied and hmac.compare_digest(tied.encode(), csrf.encode()):
        return None
    return sign_in_page(console, name=name, error="The sign-in page was out of date. Try again.", status=403)


def wanted_page(request: Request, console: ConsoleParts) -> str:
    """Return the page that the person wanted when they were asked to sign in; empty if there is none."""
    return page_to_return_to(request.app, unquote(request.cookies.get(console.gate.cookies.wanted, "")))


def after_first_factor(
    console: ConsoleParts, person: Person, *, takes_code: bool, wanted: str = "", lead: Lead = see_other
) -> Response:
    """Continue after the password: ask for the second factor, have it set up, or start the session."""
    if takes_code:
        return start_second(console, person, CODE_PAGE, lead=lead)
    if console.deps.sign_in.must_enrol(person):
        return start_second(console, person, ENROL_PAGE, lead=lead)
    return begin(console, person, is_proven=False, wanted=wanted, lead=lead)


def start_second(console: ConsoleParts, person: Person, page: str, *, lead: Lead = see_other) -> Response:
    """Start the session in which only the second factor can be given or set up."""
    enrolling = new_secret() if page == ENROL_PAGE else None
    secret = console.deps.sessions.start(person.name, kind=SessionKind.STARTING, enrolling=enrolling)
    answer = lead(page)
    console.gate.cookies.set_starting(answer, secret)
    return answer


def begin(
    console: ConsoleParts, person: Person, *, is_proven: bool, wanted: str = "", lead: Lead = see_other
) -> Response:
    """Start the session, and lead the person to the page that they wanted, or to their first page."""
    answer = lead(wanted or first_page(console, person))
    console.gate.cookies.set_session(answer, console.deps.sessions.start(person.name, is_proven=is_proven))
    console.gate.cookies.clear(answer, console.gate.cookies.wanted)
    return answer


def note_try(request: Request, console: ConsoleParts, note: AuditNote) -> None:
    """Log a successful or refused sign-in, password or code.

    If the log cannot be written, the entry follows later: people who pause must get in. They see only live calls then.
    """
    source = request.client.host if request.client else ""
    console.audit_service.note_late(note.act, note.subject, note.subject, {**note.details, "source": source})
