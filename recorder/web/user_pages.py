"""Pages of accounts: the list, a page for each account, and one for each act. For administrators and who confirms."""

from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse
from starlette.responses import RedirectResponse, Response

from recorder.access.account_rows import PeopleError
from recorder.access.accounts import Account, combining_admin
from recorder.access.database import AuditNote
from recorder.access.granting import POWERFUL, Proposal, ProposedChange, who_confirms
from recorder.access.proposals import Enter
from recorder.audit.audit_service import incomplete
from recorder.common.problems import ProblemError
from recorder.permissions import Act, DeniedError, Person, Refusal, Role
from recorder.rules.authorisation import may
from recorder.rules.fault_status import FAULT_STATUS
from recorder.web.auth import ConsoleCaller
from recorder.web.forms import EMPTY, Sent, TypedForm
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, Text
from recorder.web.proposal_words import change_in_words

router = APIRouter(include_in_schema=False)

DONE = {
    "given": "The roles have been given.",
    "reset": "The authenticator has been removed.",
    "waits": f"This is waiting for {who_confirms(ProposedChange.GRANT)} to confirm it.",
    "confirmed": "You have confirmed the change. It is in effect now.",
    "declined": "You have declined the change. Nothing was changed.",
}
"""What was done, by the code in the address of the page that follows."""
OVER = "over"
"""The code for a proposal that cannot be decided any more."""


@router.get("/people")
def people(console: Console, caller: PageReader, done: str = "") -> HTMLResponse:
    """Show the accounts, and first the changes that wait for a second person."""
    return accounts_page(console, caller, done=DONE.get(done, ""), is_over=done == OVER)


@router.get("/people/{account}")
def one_account(console: Console, caller: PageReader, account: str, done: str = "") -> HTMLResponse:
    """Show an account."""
    check_sees(console, caller)
    return _act_page(console, caller, "user.html", _found(console, account), done=DONE.get(done, ""))


@router.get("/people/{account}/roles")
def roles_form(console: Console, caller: PageReader, account: str) -> HTMLResponse:
    """Show the form that gives roles."""
    console.audit_service.authorise(caller.actor, Act.MANAGE_PEOPLE, account)
    return _act_page(console, caller, "user_roles.html", _found(console, account))


@router.post("/people/{account}/roles")
def grant(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, account: str, caller: PageChanger, sent: Sent, reason: Text = "",
    role: Annotated[list[str] | None, Form()] = None,
) -> Response:  # fmt: skip
    """Add roles to an account, or propose that."""
    console.audit_service.authorise(caller.actor, Act.MANAGE_PEOPLE, account)
    roles = [Role(one) for one in role or () if one in set(Role)]
    if not roles:
        form = sent.refused(incomplete("Select a role.", "role"))
        return _act_page(console, caller, "user_roles.html", _found(console, account), form=form, status=422)
    known, enter = console.deps.proposals, enter_as(console, caller, reason)

    def ask() -> tuple[AuditNote, Proposal | None]:
        return known.grant(caller.actor.actor, account, roles, reason=reason, enter=enter)

    return _asked(console, caller, account, ask, sent, template="user_roles.html", done="given")


@router.get("/people/{account}/reset-authenticator")
def reset_form(console: Console, caller: PageReader, account: str) -> HTMLResponse:
    """Show the form that removes an authenticator."""
    console.audit_service.authorise(caller.actor, Act.MANAGE_PEOPLE, account)
    return _act_page(console, caller, "user_authenticator.html", _found(console, account))


@router.post("/people/{account}/reset-authenticator")
def reset_authenticator(console: Console, account: str, caller: PageChanger, sent: Sent, reason: Text = "") -> Response:
    """Remove an authenticator, or propose that."""
    console.audit_service.authorise(caller.actor, Act.MANAGE_PEOPLE, account)
    known, enter = console.deps.proposals, enter_as(console, caller, reason)

    def ask() -> tuple[AuditNote, Proposal | None]:
        return known.reset_authenticator(caller.actor.actor, account, reason=reason, enter=enter)

    return _asked(console, caller, account, ask, sent, template="user_authenticator.html", done="reset")


def _asked(
    console: ConsoleParts, caller: ConsoleCaller, account: str, ask: Callable[[], tuple[AuditNote, Proposal | None]],
    sent: TypedForm, *, template: str, done: str,
) -> Response:  # fmt: skip
    try:
        _, proposal = ask()
    except DeniedError as error:
        status = FAULT_STATUS[error.fault]
        fields = {error.field: str(error)} if error.field else None
        form = sent.refused(ProblemError(status, str(error), fields=fields))
        return _act_page(console, caller, template, _found(console, account), form=form, status=status)
    except PeopleError as error:
        found = _account(console, account)
        if found is None:
            return accounts_page(console, caller, problem=str(error), status=409)
        form = sent.refused(ProblemError(409, str(error)))
        return _act_page(console, caller, template, found, form=form, status=409)
    console.gate.all_ended(account)
    return RedirectResponse(f"/people/{quote(account, safe='')}?done={'waits' if proposal else done}", 303)


def accounts_page(
    console: ConsoleParts, caller: ConsoleCaller, *, done: str = "", problem: str = "", status: int = 200,
    is_over: bool = False,
) -> HTMLResponse:  # fmt: skip
    """Return the list of accounts.

    Args:
        console: The console.
        caller: Who asks.
        done: What was done, in a sentence.
        problem: What was refused, in a sentence.
        status: Of the response.
        is_over: Whether it says that a proposal cannot be decided any more.
    """
    check_sees(console, caller)
    known = console.deps.people
    return console.renderer.page(
        "users.html", caller, status=status, done=done, problem=problem, is_over=is_over, accounts=known.list(),
        waiting=console.deps.proposals.waiting(), change=change_in_words, names=names_of(console),
        unexplained=known.unexplained(),
        deputies=console.deps.hearing.approvers.deputies,
        deputy_needs_attention=bool(
            console.deps.hearing.appointments.unexplained(known)
            or console.deps.hearing.appointments.deputy_named_by_one()
        ),
        combined={one.name for one in combining_admin(known)},
    )  # fmt: skip


def _act_page(
    console: ConsoleParts, caller: ConsoleCaller, template: str, account: Account, *, form: TypedForm = EMPTY,
    status: int = 200, done: str = "",
) -> HTMLResponse:  # fmt: skip
    known, name = console.deps.people, account.person.name
    waiting = [one for one in console.deps.proposals.waiting() if one.account == name]
    return console.renderer.page(
        template, caller, status=status, form=form, done=done, account=account, path=f"/people/{quote(name, safe='')}",
        waiting=waiting, change=change_in_words,
        unexplained=known.unexplained().get(name, frozenset()), roles=list(Role), powerful=POWERFUL,
        is_combined=name in {one.name for one in combining_admin(known)},
        is_deputy=name in console.deps.hearing.approvers.deputies,
    )  # fmt: skip


def check_sees(console: ConsoleParts, caller: ConsoleCaller) -> None:
    """Refuse people who neither change accounts nor confirm changes; the audit log notes it."""
    person = person_of(caller)
    if isinstance(may(person, Act.MANAGE_PEOPLE), Refusal):
        console.audit_service.authorise(person, Act.CONFIRM_GRANT)


def enter_as(console: ConsoleParts, caller: ConsoleCaller, text: str = "") -> Enter:
    """Return what writes a note to the audit log in the caller's name."""
    by = caller.actor.actor
    return lambda note: console.audit_service.note(note.act, by, note.subject, note.details, text=text or None)


def names_of(console: ConsoleParts) -> dict[str, str]:
    """Return how each account is called, by its name."""
    return {one.person.name: one.person.display_name for one in console.deps.people.list()}


def person_of(caller: ConsoleCaller) -> Person:
    """Return the person who is signed in."""
    assert caller.person is not None, "pages know sessions only, and those are people's"
    return caller.person


def _account(console: ConsoleParts, name: str) -> Account | None:
    return next((one for one in console.deps.people.list() if one.person.name == name), None)


def _found(console: ConsoleParts, name: str) -> Account:
    found = _account(console, name)
    if found is None:
        raise ProblemError(404, "There is no such account.")
    return found
