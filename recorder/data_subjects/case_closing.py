"""Closing a case: what is left open in it, and how long its recordings are held afterwards."""

from typing import Any

from recorder.data_subjects import case_holds
from recorder.data_subjects.case_copies import CopyState, copies_of
from recorder.data_subjects.case_deadlines import COMPLAINT_WINDOW
from recorder.data_subjects.case_entries import CaseRepositories
from recorder.permissions import Person
from recorder.retention.hold_repositories import steady_holds
from recorder.retention.holding import review_hold
from recorder.rules.cases import Case, CaseEvent, Decision


def left_open(repos: CaseRepositories, case: Case, step: CaseEvent) -> dict[str, Any]:
    """Return details of the entry that closes a case: recordings that are undecided, and those without a copy.

    The rules ask for a reason where there are any. Other entries have no such details.
    """
    if step is not CaseEvent.CLOSED:
        return {}
    found = {"undecided": case_holds.undecided(repos.holds, case), "without_copy": _without_copy(repos, case)}
    return {name: recordings for name, recordings in found.items() if recordings}


def _without_copy(repos: CaseRepositories, case: Case) -> list[str]:
    if case.decision in (None, Decision.REFUSE):
        return []
    made = copies_of(repos, case)
    has_copy = (CopyState.READY, CopyState.HANDED_OVER)
    return [recording for recording in case.recordings if made[recording].state not in has_copy]


def keep_on(repos: CaseRepositories, person: Person, case: Case) -> None:
    """Set the holds of a closed case to be reviewed when the time to complain is over."""
    held = {entry.details["hold"] for entry in case.entries if entry.step is CaseEvent.MATCHED}
    for hold_id in held:
        if repos.holds.holds.get(hold_id).released_at is None:
            review_on = repos.today + COMPLAINT_WINDOW
            review_hold(repos.holds, person, hold_id, reason=f"case {case.id} is closed", review_on=review_on)
    with steady_holds(repos.holds):
        lasting = [query for query in case_holds.standing(repos.holds, case.id) if query.ends_at is None]
        case_holds.end(repos.holds, person, lasting, repos.cases.now() + COMPLAINT_WINDOW)
