"""Pages of a person's own account: password, authenticator, sessions."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from recorder.access.attempts import SignInRefused
from recorder.access.passwords import RULES, weakness
from recorder.web.auth import ConsoleCaller
from recorder.web.first_steps import ENROL_PAGE, in_turn, note_try, start_second
from recorder.web.forms import EMPTY, TypedForm, refused_at
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, Text
from recorder.web.sign_in_pages import signed_out

router = APIRouter(include_in_schema=False)

NOT_RIGHT = "Your password is wrong, or your account is locked."


@router.get("/account")
def account(console: Console, caller: PageReader, changed: str = "") -> HTMLResponse:
    """Show a person's own account."""
    said = "Your password has been changed. Your other sessions have ended." if changed == "password" else ""
    return account_page(console, caller, said=said)


@router.get("/account/password")
def password_form(console: Console, caller: PageReader) -> HTMLResponse:
    """Show the form for a new password, with the rules."""
    return _password_page(console, caller)


@router.post("/account/password", dependencies=[in_turn])
def change_password(  # noqa: PLR0917 - FastAPI passes them by name
    request: Request, console: Console, caller: PageChanger, password: Text = "", new: Text = "", again: Text = ""
) -> Response:
    """Set a new password; needs the current one, which somebody at an abandoned browser does not know."""
    name, people = caller.actor.actor, console.deps.people
    problem = weakness(new, account=name) or (None if new == again else "The new passwords do not match.")
    if problem is not None:
        return _password_page(console, caller, form=refused_at("new", problem), status=422)
    checked = people.verify(name, password)
    if isinstance(checked, SignInRefused):
        note_try(request, console, checked.note)
        return _password_page(console, caller, form=refused_at("password", NOT_RIGHT), status=403)
    if new == password:
        same = refused_at("new", "Enter a password that is different from your current one.")
        return _password_page(console, caller, form=same, status=422)
    console.audit_service.note("people.set_password", name, name)
    people.set_password(name, new)  # ends every session, this one too
    console.gate.all_ended(name)
    console.recording_service.listens.close(name)
    assert caller.session is not None
    answer = RedirectResponse("/account?changed=password", 303)
    console.gate.cookies.set_session(answer, console.deps.sessions.start(name, is_proven=caller.session.is_proven))
    return answer


@router.post("/account/authenticator", dependencies=[in_turn])
def begin_authenticator(request: Request, console: Console, caller: PageChanger, password: Text = "") -> Response:
    """Set up an authenticator; needs the password, which somebody at an abandoned browser does not know."""
    name = caller.actor.actor
    if console.deps.second_factors.has(name):
        refused = refused_at("", "You have already set up an authenticator app.")
        return account_page(console, caller, form=refused, status=409)
    result = console.deps.people.verify(name, password)
    note_try(request, console, result.note)
    if isinstance(result, SignInRefused):
        return account_page(console, caller, form=refused_at("password", NOT_RIGHT), status=403)
    return start_second(console, result.person, ENROL_PAGE)


@router.post("/account/sign-out-everywhere")
def sign_out_everywhere(console: Console, caller: PageChanger) -> Response:
    """End all sessions of the person, including those of the shell."""
    name = caller.actor.actor
    ended = console.deps.sessions.end_all(name)
    console.gate.all_ended(name)
    console.recording_service.listens.close(name)
    console.audit_service.note_late("people.sign_out_everywhere", name, name, {"sessions": ended})
    return signed_out(console)


def account_page(
    console: ConsoleParts, caller: ConsoleCaller, *, said: str = "", form: TypedForm = EMPTY, status: int = 200
) -> HTMLResponse:
    """Return the page of a person's own account."""
    factors, name = console.deps.second_factors, caller.actor.actor
    return console.renderer.page(
        "account.html", caller, status=status, said=said, form=form, has_factor=factors.has(name),
        codes_left=factors.codes_left(name), openid=_openid(console, name),
    )  # fmt: skip


def _openid(console: ConsoleParts, name: str) -> dict[str, Any] | None:
    provider = console.deps.provider
    if provider is None:
        return None
    return {"issuer": provider.options.issuer, "connected": console.deps.identities.of(name)}


def _password_page(
    console: ConsoleParts, caller: ConsoleCaller, *, form: TypedForm = EMPTY, status: int = 200
) -> HTMLResponse:
    """Show the form. Passwords are never filled in again."""
    return console.renderer.page("password.html", caller, status=status, form=form, rules=RULES)
