"""Pages of changes to accounts that wait for a second person, and of the data protection officer's deputy."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from starlette.responses import RedirectResponse, Response

from recorder.access.account_rows import PeopleError
from recorder.access.accounts import usable_people
from recorder.access.granting import Proposal, confirmers, who_confirms
from recorder.common.problems import ProblemError
from recorder.notifications.kinds import NotificationKind
from recorder.permissions import Act, DeniedError, Person
from recorder.rules.fault_status import FAULT_STATUS
from recorder.web.auth import ConsoleCaller
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader
from recorder.web.proposal_words import change_in_words
from recorder.web.settling import settle
from recorder.web.user_pages import OVER, accounts_page, check_sees, enter_as, names_of, person_of

router = APIRouter(include_in_schema=False)

_DONE = {"confirm": "confirmed", "decline": "declined"}


@router.get("/people/proposals/{proposal}")
def one_proposal(console: Console, caller: PageReader, proposal: str) -> Response:
    """Show a change that waits, with what helps to decide; the list where it does not wait any more."""
    check_sees(console, caller)
    found = _waiting(console, proposal)
    return RedirectResponse(f"/people?done={OVER}", 303) if found is None else _page(console, caller, found)


@router.post("/people/proposals/{proposal}/{decision}")
def decide(console: Console, proposal: str, decision: str, caller: PageChanger) -> Response:
    """Confirm or decline a proposal."""
    console.audit_service.authorise(caller.actor, Act.CONFIRM_GRANT, proposal)
    if decision not in _DONE:
        raise ProblemError(404, "There is no such decision.")
    try:
        decided = console.deps.proposals.decide(
            person_of(caller), proposal, is_confirmed=decision == "confirm", enter=enter_as(console, caller)
        )
        console.gate.all_ended(decided.account)
        settle(console, proposal, NotificationKind.GRANT_WAITS)
    except DeniedError as error:
        console.audit_service.refusal(caller.actor.actor, Act.CONFIRM_GRANT, proposal, str(error))
        return _refused(console, caller, proposal, str(error), FAULT_STATUS[error.fault])
    except PeopleError as error:
        return _refused(console, caller, proposal, str(error), 409)
    return RedirectResponse(f"/people?done={_DONE[decision]}", 303)


@router.get("/deputy")
def deputy(console: Console, caller: PageReader) -> HTMLResponse:
    """Show who decides on the data protection officer's own requests."""
    check_sees(console, caller)
    hearing = console.deps.hearing
    return console.renderer.page(
        "deputy.html", caller, deputies=hearing.approvers.deputies, names=names_of(console),
        unexplained=hearing.appointments.unexplained(console.deps.people),
        by_one=hearing.appointments.deputy_named_by_one(),
    )  # fmt: skip


def _waiting(console: ConsoleParts, proposal: str) -> Proposal | None:
    return next((one for one in console.deps.proposals.waiting() if one.id == proposal), None)


def _refused(console: ConsoleParts, caller: ConsoleCaller, proposal: str, problem: str, status: int) -> HTMLResponse:
    found = _waiting(console, proposal)
    if found is None:
        return accounts_page(console, caller, problem=problem, status=status)
    return _page(console, caller, found, problem=problem, status=status)


def _page(
    console: ConsoleParts, caller: ConsoleCaller, proposal: Proposal, *, problem: str = "", status: int = 200
) -> HTMLResponse:
    return console.renderer.page(
        "proposal.html", caller, status=status, problem=problem, proposal=proposal, change=change_in_words,
        names=names_of(console),
        lately=console.deps.proposals.lately_set().get(proposal.id), confirms=who_confirms(proposal.change),
        may_decide=_may_decide(console, person_of(caller), proposal),
    )  # fmt: skip


def _may_decide(console: ConsoleParts, person: Person, proposal: Proposal) -> bool:
    allowed = confirmers(
        usable_people(console.deps.people), proposer=proposal.proposed_by, account=proposal.account,
        change=proposal.change,
    )  # fmt: skip
    return person.name in allowed
