"""Due days and warnings of cases and rights requests, and how long the holds of a closed case last."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

from recorder.data_subjects.case_entries import CaseRepositories
from recorder.data_subjects.case_holds import HOLD_KIND
from recorder.data_subjects.case_repository import CaseRepository
from recorder.data_subjects.workdays import is_working_day
from recorder.rules import times
from recorder.rules.cases import Case, CaseKind
from recorder.rules.deadlines import DeadlineFacts, due_on, warn_on
from storage.retention_types import Claim, Hold

COMPLAINT_WINDOW = timedelta(days=92)
"""How long recordings of a closed case are kept: the requester has three months to complain to the Commissioner."""


def due(repos: CaseRepositories, case: Case) -> date | None:
    """Return the day a case is due; None before its time has begun, and for disclosures, which have no due day."""
    if case.kind is CaseKind.DISCLOSURE:
        return None
    return due_on(case.course, _day_of(repos, case), is_working_day)


def days_left(repos: CaseRepositories, case: Case) -> int | None:
    """Return the days until an open case is due, negative if overdue; None as for `due`, and once it is closed."""
    day = due(repos, case)
    return None if day is None or case.closed_on is not None else (day - repos.today).days


def left_in_words(left: int) -> str:
    """Return the days that are left: ``12 days left``, ``due today``, ``3 days overdue``."""
    if left == 0:
        return "due today"
    return f"{times.days(left)} left" if left > 0 else f"{times.days(-left)} overdue"


def is_pressing(repos: CaseRepositories, case: Case) -> bool:
    """Tell whether an open subject access request is due soon."""
    warned = warn_on(case.course, _day_of(repos, case))
    return (
        case.kind is CaseKind.SUBJECT_ACCESS
        and case.closed_on is None
        and warned is not None
        and (repos.today >= warned)
    )


def _day_of(repos: CaseRepositories, case: Case) -> date:
    """Return the day to measure a case's time at: today, or the day it was closed."""
    return case.closed_on or repos.today


def needed_hold(cases: CaseRepository, timezone: str, hold: Hold) -> str | None:
    """Return why a legal hold may not be released yet, or None if it may.

    Holds of a case stay while it is open, and while its requester can complain.

    Args:
        cases: Cases.
        timezone: IANA name of the council's time zone.
        hold: Any hold; only holds of cases are refused.
    """
    if hold.kind not in HOLD_KIND.values() or (case := cases.get(hold.case_reference)) is None:
        return None
    if case.closed_on is None:
        return f"Case {case.id} is still open. Close it first."
    until = case.closed_on + COMPLAINT_WINDOW
    today = cases.now().astimezone(ZoneInfo(timezone)).date()
    return (
        f"Kept until {times.day(until)}: the requester of {case.id} can complain until then." if today < until else None
    )


def claim_due(repos: CaseRepositories, claim: Claim) -> date:
    """Return the day by which a rights request must be answered: one month (UK GDPR article 12(3))."""
    day = due_on(DeadlineFacts(received_on=claim.received_on), repos.today, is_working_day)
    assert day is not None, "a rights request waits for nothing"
    return day
