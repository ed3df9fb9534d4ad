"""The page of accounts and of changes that wait for a second person. For administrators and the DPO."""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse

from recorder.access.account_rows import PeopleError
from recorder.access.accounts import combining_admin, usable_people
from recorder.access.database import AuditNote
from recorder.access.granting import POWERFUL, Proposal, confirmers, who_confirms
from recorder.access.proposals import Enter
from recorder.audit.audit_service import incomplete
from recorder.common.problems import ProblemError
from recorder.notifications.kinds import NotificationKind
from recorder.permissions import Act, DeniedError, Person, Refusal, Role
from recorder.rules.authorisation import may
from recorder.rules.fault_status import FAULT_STATUS
from recorder.web.auth import ConsoleCaller
from recorder.web.forms import EMPTY, Sent, TypedForm
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader, Text
from recorder.web.settling import settle

router = APIRouter(include_in_schema=False)


@router.get("/people")
def people(console: Console, caller: PageReader) -> HTMLResponse:
    """Show the accounts."""
    return _page(console, caller)


@router.post("/people/{account}/roles")
def grant(  # noqa: PLR0917 - FastAPI passes them by name
    console: Console, account: str, caller: PageChanger, sent: Sent, reason: Text = "",
    role: Annotated[list[str] | None, Form()] = None,
) -> HTMLResponse:  # fmt: skip
    """Add roles to an account, or propose that."""
    console.audit_service.authorise(caller.actor, Act.MANAGE_PEOPLE, account)
    roles, form = [Role(one) for one in role or () if one in set(Role)], sent.named(f"roles-{account}")
    if not roles:
        refused = form.refused(incomplete("Choose a role.", "role"))
        return _page(console, caller, problem="Choose a role.", status=422, form=refused)
    known, by = console.deps.proposals, caller.actor.actor
    enter = _enter(console, caller, reason)
    return _asked(console, caller, account, lambda: known.grant(by, account, roles, reason=reason, enter=enter), form)


@router.post("/people/{account}/reset-authenticator")
def reset_authenticator(
    console: Console, account: str, caller: PageChanger, sent: Sent, reason: Text = ""
) -> HTMLResponse:
    """Remove an authenticator, or propose that."""
    console.audit_service.authorise(caller.actor, Act.MANAGE_PEOPLE, account)
    known, by = console.deps.proposals, caller.actor.actor
    enter = _enter(console, caller, reason)
    form = sent.named(f"reset-{account}")
    return _asked(
        console, caller, account, lambda: known.reset_authenticator(by, account, reason=reason, enter=enter), form
    )


@router.post("/people/proposals/{proposal}/{decision}")
def decide(console: Console, proposal: str, decision: str, caller: PageChanger) -> HTMLResponse:
    """Confirm or decline a proposal."""
    console.audit_service.authorise(caller.actor, Act.CONFIRM_GRANT, proposal)
    if decision not in ("confirm", "decline"):
        return _page(console, caller, problem="There is no such decision.", status=404)
    try:
        decided = console.deps.proposals.decide(
            _person(caller), proposal, is_confirmed=decision == "confirm", enter=_enter(console, caller)
        )
        console.gate.all_ended(decided.account)
        settle(console, proposal, NotificationKind.GRANT_WAITS)
    except DeniedError as error:
        console.audit_service.refusal(caller.actor.actor, Act.CONFIRM_GRANT, proposal, str(error))
        return _page(console, caller, problem=str(error), status=FAULT_STATUS[error.fault])
    except PeopleError as error:
        return _page(console, caller, problem=str(error), status=409)
    return _page(console, caller, said="It is so now." if decision == "confirm" else "Declined: nothing was changed.")


def _asked(
    console: ConsoleParts, caller: ConsoleCaller, account: str, ask: Callable[[], tuple[AuditNote, Proposal | None]],
    form: TypedForm,
) -> HTMLResponse:  # fmt: skip
    try:
        _, proposal = ask()
        console.gate.all_ended(account)
    except DeniedError as error:
        fields = {error.field: str(error)} if error.field else None
        refused = form.refused(ProblemError(FAULT_STATUS[error.fault], str(error), fields=fields))
        return _page(console, caller, problem=str(error), status=FAULT_STATUS[error.fault], form=refused)
    except PeopleError as error:
        return _page(console, caller, problem=str(error), status=409, form=form)
    said = f"It waits for {who_confirms(proposal.change)}." if proposal else "It is so now."
    return _page(console, caller, said=said)


def _enter(console: ConsoleParts, caller: ConsoleCaller, text: str = "") -> Enter:
    by = caller.actor.actor
    return lambda note: console.audit_service.note(note.act, by, note.subject, note.details, text=text or None)


def _page(
    console: ConsoleParts, caller: ConsoleCaller, *, said: str = "", problem: str = "", status: int = 200,
    form: TypedForm = EMPTY,
) -> HTMLResponse:  # fmt: skip
    person = _person(caller)
    if isinstance(may(person, Act.MANAGE_PEOPLE), Refusal):
        console.audit_service.authorise(person, Act.CONFIRM_GRANT)
    usable = usable_people(console.deps.people)
    waiting = [
        (one, person.name in confirmers(usable, proposer=one.proposed_by, account=one.account, change=one.change))
        for one in console.deps.proposals.waiting()
    ]
    return console.renderer.page(
        "users.html", caller, status=status, said=said, problem=problem, form=form, accounts=console.deps.people.list(),
        waiting=waiting, lately_set=console.deps.proposals.lately_set(), roles=list(Role), powerful=sorted(POWERFUL),
        unexplained=console.deps.people.unexplained(),
        deputies=console.deps.hearing.approvers.deputies,
        deputy_unexplained=console.deps.hearing.appointments.unexplained(console.deps.people),
        deputy_by_one=console.deps.hearing.appointments.deputy_named_by_one(),
        combined={one.name for one in combining_admin(console.deps.people)},
    )  # fmt: skip


def _person(caller: ConsoleCaller) -> Person:
    assert caller.person is not None, "pages know sessions only, and those are people's"
    return caller.person
