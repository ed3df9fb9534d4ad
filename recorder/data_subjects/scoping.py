"""What becomes of what a case holds by search: narrowed or confirmed, and what fits is dismissed by a person (P20)."""

from collections.abc import Sequence
from typing import Any

from recorder.common.problems import ProblemError
from recorder.data_subjects import case_holds
from recorder.data_subjects.case_entries import CaseRepositories, at_work, write_step
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
    """Have what a case holds held until the case is over, however much it is; the data protection officer alone may.

    Raises:
        ProblemError: Refused, with a sentence; nothing was changed.
    """
    person, case = at_work(repos, actor, case_id)
    _check_scoping(repos, person, case)
    with steady_holds(repos.holds):
        waiting = [query for query in case_holds.standing(repos.holds, case.id) if query.ends_at is not None]
        if not waiting:
            raise ProblemError(409, "Nothing that this case holds waits to be confirmed.")
        case = write_step(repos, person, case, CaseEvent.SCOPE_CONFIRMED, {"holds": len(waiting)}, text=reason)
        case_holds.end(repos.holds, person, waiting, None)
    return case


def narrow_scope(repos: CaseRepositories, actor: Actor, case_id: str, search: Search, reason: str) -> Case:
    """Have a case hold what fits a search, and no longer what it was opened with.

    The data protection officer alone may. What it held before stays for 14 days yet, so that a mistake can be mended.

    Raises:
        ProblemError: Refused, with a sentence; nothing was changed.
    """
    person, case = at_work(repos, actor, case_id)
    _check_scoping(repos, person, case)
    if is_empty(search):
        raise ProblemError(422, "Say to what it is narrowed: a date, an operator, an extension or a number.")
    with steady_holds(repos.holds):
        before = [query for query in case_holds.standing(repos.holds, case.id) if query.ends_at is not None]
        if not before:
            raise ProblemError(409, "Nothing that this case holds waits to be narrowed.")
        details = {**wanted(search), "found": case_holds.fitting(repos.holds, search)}
        text = "; ".join(filter(None, (reason.strip(), in_words(search))))
        case = write_step(repos, person, case, CaseEvent.NARROWED, details, text=text if reason.strip() else "")
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
    """Write down that recordings which fit are not what the case asks for: they are kept for 14 days yet, for it.

    Args:
        repos: Where cases are kept.
        actor: Who says so.
        case_id: Of which case.
        recordings: Which; none of them may be matched.
        reason: Why.
        is_rest: All that fits and is neither matched nor dismissed, besides.

    Raises:
        ProblemError: Refused, with a sentence; nothing was changed.
    """
    person, case = at_work(repos, actor, case_id)
    with steady_holds(repos.holds):
        open_ones = case_holds.undecided(repos.holds, case)
        wished = [RecordingId(one) for one in dict.fromkeys(recordings)]
        for one in wished:
            if one not in open_ones:
                raise ProblemError(409, f"{one} is not among what this case found, or it is matched or dismissed.")
        which = open_ones if is_rest else wished
        if not which:
            raise ProblemError(422, "Say which recordings are dismissed.")
        details: dict[str, Any] = (
            {"recordings": which} if len(which) == 1 else {"recordings": which, "count": len(which)}
        )
        case = write_step(repos, person, case, CaseEvent.DISMISSED, details, text=reason)
        case_holds.release(repos.holds, person, case, which, reason)
    return case


def scope_to_json(repos: CaseRepositories, case: Case) -> dict[str, Any]:
    """Return what a case holds by search, and what of it nobody has matched or dismissed yet."""
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
        raise repos.hearing.ledger.denied(person, Act.WORK_ON_CASES, case.id, error) from error
