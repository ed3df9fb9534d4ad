"""When cases and claims are due, whether their time runs out, and how long the holds of a closed case stand."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

from recorder.data_subjects.case_entries import CaseRepositories
from recorder.data_subjects.case_holds import HOLD_KIND
from recorder.data_subjects.case_repository import CaseRepository
from recorder.data_subjects.workdays import is_working_day
from recorder.rules.cases import Case, CaseKind
from recorder.rules.deadlines import DeadlineFacts, due_on, warn_on
from storage.retention_types import Claim, Hold

COMPLAINT_WINDOW = timedelta(days=92)
"""For how long what was disclosed is kept at least: three months in which the requester can go to the Commissioner."""


def due(repos: CaseRepositories, case: Case) -> date | None:
    """Return the day a case is due, or None: it has not begun to run, or has none, as disclosures."""
    if case.kind is CaseKind.DISCLOSURE:
        return None
    return due_on(case.course, _day_of(repos, case), is_working_day)


def is_pressing(repos: CaseRepositories, case: Case) -> bool:
    """Tell whether somebody is to be warned that the time of an open case runs out."""
    warned = warn_on(case.course, _day_of(repos, case))
    return (
        case.kind is CaseKind.SUBJECT_ACCESS
        and case.closed_on is None
        and warned is not None
        and (repos.today >= warned)
    )


def _day_of(repos: CaseRepositories, case: Case) -> date:
    """Return the day by which a case's time is told: today, or when it was closed."""
    return case.closed_on or repos.today


def needed_hold(cases: CaseRepository, timezone: str, hold: Hold) -> str | None:
    """Say why a hold may not be released yet: its case goes on, or the time to complain does. None: it may.

    Args:
        cases: Cases.
        timezone: IANA name of the council's zone.
        hold: Any hold; only those of cases are kept.
    """
    if hold.kind not in HOLD_KIND.values() or (case := cases.get(hold.case_reference)) is None:
        return None
    if case.closed_on is None:
        return f"Case {case.id} goes on: close it first."
    until = case.closed_on + COMPLAINT_WINDOW
    today = cases.now().astimezone(ZoneInfo(timezone)).date()
    return (
        f"Kept until {until:%d/%m/%Y}: until then the requester of {case.id} can complain." if today < until else None
    )


def claim_due(repos: CaseRepositories, claim: Claim) -> date:
    """Return the day by which a claim is answered: a month, as for all that a data subject asks (article 12(3))."""
    day = due_on(DeadlineFacts(received_on=claim.received_on), repos.today, is_working_day)
    assert day is not None, "nothing is waited for"
    return day
