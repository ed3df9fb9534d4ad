"""What pages of signing in share: the form, its tie to one browser, and what comes after the first factor.

Each step that goes on begins a session with a new secret: nobody can fix one beforehand.
"""

import hmac
import secrets
from collections.abc import AsyncIterator, Callable

from fastapi import Depends, Request
from fastapi.responses import RedirectResponse
from starlette.responses import Response

from recorder.access.database import AuditNote
from recorder.access.sessions import SessionKind
from recorder.access.totp import new_secret
from recorder.permissions import Person
from recorder.web.agent_pages import first_page
from recorder.web.parts import Console, ConsoleParts

CODE_PAGE, ENROL_PAGE = "/sign-in/code", "/sign-in/authenticator"

Lead = Callable[[str], Response]
"""Makes the answer that leads a browser to a page."""


async def _turn(console: Console) -> AsyncIterator[None]:
    async with console.gate.turns:
        yield


in_turn = Depends(_turn, scope="function")  # over before the answer is sent, which takes as long as they like
"""A password is checked by this route."""


def see_other(page: str) -> Response:
    """Lead a browser to a page."""
    return RedirectResponse(page, 303)


def sign_in_page(console: ConsoleParts, *, name: str = "", error: str | None = None, status: int = 200) -> Response:
    """Return the form, tied to this browser."""
    secret = secrets.token_urlsafe(32)
    provider = console.deps.provider
    page = console.renderer.page(
        "sign_in.html", None, status=status, name=name, error=error, form_csrf=secret,
        openid=provider.options if provider else None,
    )  # fmt: skip
    console.gate.set_sign_in_cookie(page, secret)
    return page


def out_of_date(request: Request, console: ConsoleParts, csrf: str, *, name: str = "") -> Response | None:
    """Return the form anew when what was sent is not of the one that this browser was given; else None."""
    tied = request.cookies.get(console.gate.sign_in_cookie, "")
    if tied and hmac.compare_digest(tied.encode(), csrf.encode()):
        return None
    return sign_in_page(console, name=name, error="The sign-in page was out of date. Try again.", status=403)


def after_first_factor(console: ConsoleParts, person: Person, *, takes_code: bool, lead: Lead = see_other) -> Response:
    """Ask for the second factor, have it set up, or begin the session without."""
    if takes_code:
        return start_second(console, person, CODE_PAGE, lead=lead)
    if console.deps.sign_in.must_enrol(person):
        return start_second(console, person, ENROL_PAGE, lead=lead)
    return begin(console, person, is_proven=False, lead=lead)


def start_second(console: ConsoleParts, person: Person, page: str, *, lead: Lead = see_other) -> Response:
    """Begin the session that is good for the second factor alone."""
    enrolling = new_secret() if page == ENROL_PAGE else None
    secret = console.deps.sessions.start(person.name, kind=SessionKind.STARTING, enrolling=enrolling)
    answer = lead(page)
    console.gate.set_starting_cookie(answer, secret)
    return answer


def begin(console: ConsoleParts, person: Person, *, is_proven: bool, lead: Lead = see_other) -> Response:
    """Begin the session."""
    answer = lead(first_page(console, person))
    console.gate.set_cookie(answer, console.deps.sessions.start(person.name, is_proven=is_proven))
    return answer


def note_try(request: Request, console: ConsoleParts, note: AuditNote) -> None:
    """Write down that a sign-in, a password or a code was right, or that it was refused.

    Whoever is to pause must get in though the log cannot be written; nothing but live calls is shown to them then.
    """
    source = request.client.host if request.client else ""
    console.rules.note_late(note.act, note.subject, note.subject, {**note.details, "source": source})
