"""The overview: what waits for a person, and for the data protection officer (P24) deadlines and figures too."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from recorder.access.acknowledging import not_acknowledged
from recorder.audit.reading import last_verified
from recorder.data_subjects import case_deadlines
from recorder.notifications.kinds import NotificationKind
from recorder.notifications.recipients import REVIEW_REMINDED_FOR
from recorder.notifications.watch import week_until
from recorder.permissions import Act, Person
from recorder.reports.weeks import two_weeks
from recorder.retention.sweep_state import NAME, SweepState, read_state
from recorder.rules.cases import Case
from recorder.web.auth import ConsoleCaller
from recorder.web.parts import Console, ConsoleParts, PageChanger, PageReader
from recorder.web.waiting import waiting_for
from storage.known_values import KnownValues
from storage.retention_types import ErasureState

router = APIRouter(include_in_schema=False)

Lines = Sequence[tuple[str, str]]
"""Figures with what each counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """An open case with its due day; ``left`` is in days, negative if overdue, None before its time has begun."""

    case: Case
    due: date | None
    left: int | None
    is_pressing: bool


@router.get("/overview")
def overview(console: Console, caller: PageReader) -> HTMLResponse:
    """Show what waits for the person; the data protection officer sees figures and deadlines too."""
    return _page(console, caller)


@router.post("/overview")
def figures(console: Console, caller: PageChanger) -> HTMLResponse:
    """Show the page with the figures of the last seven days in detail, on request because that reads every call."""
    console.audit_service.authorise(caller.actor, Act.ACKNOWLEDGE)
    return _page(console, caller, week=week_until(console.deps.watch, console.deps.now()).lines())


def _page(console: ConsoleParts, caller: ConsoleCaller, *, week: Lines | None = None) -> HTMLResponse:
    person = caller.person
    assert person is not None, "pages know sessions only, and those are people's"
    of_dpo = _of_dpo(console, caller, person, week) if console.renderer.can(person, Act.ACKNOWLEDGE) else None
    waits = waiting_for(console.deps, person)
    return console.renderer.page("overview.html", caller, waits=waits, of_dpo=of_dpo)


def _of_dpo(console: ConsoleParts, caller: ConsoleCaller, person: Person, week: Lines | None) -> dict[str, Any]:
    """Return the figures and deadlines of the site, which the audit log says were read."""
    console.audit_service.note(Act.REPORT, caller.actor.actor, "", {"report": "overview"})
    deps = console.deps
    approvers, today, orders = deps.hearing.approvers, deps.cases.today, deps.repos.erasures.open_orders()
    told = deps.watch.box.of_account(person.name)
    review_on = deps.watch.policy_review_on
    return {
        "week": week,
        "weeks": two_weeks(KnownValues(deps.repos.index.database).tallies, deps.now(), ZoneInfo(deps.timezone)),
        "undecided": len(deps.hearing.requests.waiting()),
        "erasures": [one for one in orders if one.state is ErasureState.WAITING],
        "failed": [one for one in orders if one.state is ErasureState.FAILED],
        "deadlines": deadlines(console),
        "leaders": sorted(approvers.leaders), "absent": approvers.absent, "deputies": sorted(approvers.deputies),
        "retention": _retention(console),
        "verified": last_verified(deps.hold_repositories.state),
        "last_week": next((one for one in told if one.notification.kind is NotificationKind.WEEK), None),
        "not_told": not_acknowledged(approvers.people, deps.acknowledgements.days(), today),
        "review_on": review_on,
        "is_review_near": review_on is not None and today >= review_on - REVIEW_REMINDED_FOR,
    }  # fmt: skip


def deadlines(console: ConsoleParts) -> list[Deadline]:
    """Return the open cases by due day; those without one come last."""
    repos = console.deps.cases
    found = []
    for case in repos.cases.all():
        if case.closed_on is not None:
            continue
        due = case_deadlines.due(repos, case)
        left = None if due is None or case.decision is not None else (due - repos.today).days
        found.append(Deadline(case=case, due=due, left=left, is_pressing=case_deadlines.is_pressing(repos, case)))
    return sorted(found, key=lambda one: (one.left is None, one.left or 0, one.case.id))


def _retention(console: ConsoleParts) -> SweepState:
    """Return the state of the sweep from its file, which can be read while the daemon is down."""
    try:
        return read_state(console.deps.hold_repositories.state / NAME) or SweepState()
    except OSError:
        return SweepState(problem=f"{NAME} cannot be read")
