"""Scope of a case's hold: confirmed or narrowed by the data protection officer; dismissals of recordings (P20)."""

from collections.abc import Sequence
from typing import Any

from recorder.common.problems import ProblemError
from recorder.data_subjects import case_holds
from recorder.data_subjects.case_entries import CaseRepositories, require_worker, write_event
from recorder.data_subjects.case_holds import HOLD_KIND
from recorder.data_subjects.case_scope import check_scoping, in_words, is_empty, wanted
from recorder.permissions import Act, Actor, DeniedError, Person
from recorder.retention.hold_repositories import steady_holds
from recorder.rules.cases import Case, CaseEvent
from recorder.rules.holds import GRACE
from storage.query_holds import QueryHold
from storage.rows import time_to_json
from storage.types import RecordingId, Search


def confirm_scope(repos: CaseRepositories, actor: Actor, case_id: str, reason: str) -> Case:
    """Confirm a case's wide hold, so that it lasts until the case is over. Data protection officer only.

    Raises:
        ProblemError: Refused; the message is a sentence. Nothing was changed.
    """
    person, case = require_worker(repos, actor, case_id)
    _check_scoping(repos, person, case)
    with steady_holds(repos.holds):
        waiting = [query for query in case_holds.standing(repos.holds, case.id) if query.ends_at is not None]
        if not waiting:
            raise ProblemError(409, "This case has no hold that must be confirmed.")
        case = write_event(repos, person, case, CaseEvent.SCOPE_CONFIRMED, {"holds": len(waiting)}, text=reason)
        case_holds.end(repos.holds, person, waiting, None)
    return case


def narrow_scope(repos: CaseRepositories, actor: Actor, case_id: str, search: Search, reason: str) -> Case:
    """Replace a case's wide hold by one with a narrower search. Data protection officer only.

    The wide hold lasts for 14 more days, so that a mistake can be corrected.

    Raises:
        ProblemError: Refused; the message is a sentence. Nothing was changed.
    """
    person, case = require_worker(repos, actor, case_id)
    _check_scoping(repos, person, case)
    if is_empty(search):
        raise ProblemError(422, "Enter the narrower search: a date, an officer, an extension or a number.")
    with steady_holds(repos.holds):
        before = [query for query in case_holds.standing(repos.holds, case.id) if query.ends_at is not None]
        if not before:
            raise ProblemError(409, "This case has no hold that can be narrowed.")
        case_holds.check_discards(repos.holds, search)
        details = {**wanted(search), "found": case_holds.fitting(repos.holds, search)}
        text = "; ".join(filter(None, (reason.strip(), in_words(search))))
        case = write_event(repos, person, case, CaseEvent.NARROWED, details, text=text if reason.strip() else "")
        case_holds.place(repos.holds, person, case, HOLD_KIND[case.kind], search, is_confirmed=True)
        case_holds.end(repos.holds, person, before, repos.holds.now() + GRACE)
    return case


def dismiss(
    repos: CaseRepositories,
    actor: Actor,
    case_id: str,
    recordings: Sequence[str],
    reason: str,
    *,
    is_rest: bool = False,
) -> Case:
    """Dismiss recordings that the case does not ask for; they are held for 14 more days.

    Args:
        repos: Cases, and what they use.
        actor: Who dismisses them.
        case_id: The case.
        recordings: Recordings, none of them matched.
        reason: Why.
        is_rest: Whether to dismiss all that fit and are neither matched nor dismissed.

    Raises:
        ProblemError: Refused; the message is a sentence. Nothing was changed.
    """
    person, case = require_worker(repos, actor, case_id)
    with steady_holds(repos.holds):
        open_ones = case_holds.undecided(repos.holds, case)
        wished = [RecordingId(one) for one in dict.fromkeys(recordings)]
        for one in wished:
            if one not in open_ones:
                raise ProblemError(409, f"{one} was not found for this case, or is already matched or dismissed.")
        which = open_ones if is_rest else wished
        if not which:
            raise ProblemError(422, "Select the recordings to dismiss.")
        details: dict[str, Any] = (
            {"recordings": which} if len(which) == 1 else {"recordings": which, "count": len(which)}
        )
        case = write_event(repos, person, case, CaseEvent.DISMISSED, details, text=reason)
        case_holds.release(repos.holds, person, case, which, reason)
    return case


def scope_to_json(repos: CaseRepositories, case: Case) -> dict[str, Any]:
    """Return a case's holds by search, and the recordings that nobody has matched or dismissed, as JSON-able values."""
    return {
        "holds": [_query_to_json(query) for query in case_holds.standing(repos.holds, case.id)],
        "undecided": case_holds.undecided(repos.holds, case),
    }


def _query_to_json(query: QueryHold) -> dict[str, Any]:
    return {**wanted(query.search), "until": time_to_json(query.ends_at), "placed_by": query.placed_by}


def _check_scoping(repos: CaseRepositories, person: Person, case: Case) -> None:
    try:
        check_scoping(person)
    except DeniedError as error:
        raise repos.hearing.audit_service.denied(person, Act.WORK_ON_CASES, case.id, error) from error
