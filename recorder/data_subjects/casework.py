"""Work on cases of subject access and disclosure: authorise, write the audit entry, then store.

The rules are in `recorder.data_subjects.case_rules`. Recordings that are found are held at once, so that no sweep
deletes them. A decision to disclose grants the handler access to listen and to export. The console and the command
line both use this.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from recorder.access.listening.asking import GRANTED
from recorder.common.problems import ProblemError
from recorder.data_subjects import case_holds
from recorder.data_subjects.case_closing import keep_on, left_open
from recorder.data_subjects.case_deadlines import due, is_pressing
from recorder.data_subjects.case_entries import (
    CaseRepositories,
    check_entry,
    keep_entry,
    require_worker,
    write_entry,
    write_event,
)
from recorder.data_subjects.case_holds import HOLD_KIND, check_settled, counted
from recorder.data_subjects.case_repository import ChangedError
from recorder.data_subjects.case_rules import check_opening
from recorder.data_subjects.case_scope import in_words, is_empty, wanted
from recorder.data_subjects.workdays import is_working_day
from recorder.permissions import MAX_REASON_CHARACTERS, Act, Actor, DeniedError, Person
from recorder.retention.hold_repositories import steady_holds
from recorder.retention.holding import place_hold
from recorder.retention.restricting import ClaimRepositories
from recorder.rules import times
from recorder.rules.cases import Case, CaseEntry, CaseEvent, CaseKind, Decision, LegalGround, after, opened
from recorder.rules.deadlines import extend_by
from recorder.rules.holds import HoldWish
from recorder.rules.requesting import AccessKind, Category, RequestState, RequestWish
from storage.rows import time_to_json
from storage.types import RecordingRow, Search

LEAVE_FOR = timedelta(days=30)
"""How long a decision to disclose lets the handler listen and export."""
MOST_FOUND = 1000
_OPENINGS = 20
"""How often to try the next reference while others open cases at the same time."""

_CATEGORY = {CaseKind.SUBJECT_ACCESS: Category.SUBJECT_ACCESS, CaseKind.DISCLOSURE: Category.DISCLOSURE}


def open_case(
    repos: CaseRepositories,
    actor: Actor,
    *,
    kind: CaseKind,
    requester: str,
    form: str,
    text: str,
    received_on: date | None = None,
    ground: LegalGround | None = None,
    search: Search | None = None,
    expected: int | None = None,
) -> Case:
    """Open a case, and hold the recordings that fit its search.

    Args:
        repos: Cases, and what they use.
        actor: Who opens the case and becomes its handler.
        kind: Kind of case.
        requester: Person who asks.
        form: How the request came: letter, e-mail, by telephone; any form counts.
        text: Details from the requester (date, time, operator, number), and why they ask, if they said so.
        received_on: The day the request came; None is today.
        ground: Legal ground of a disclosure.
        search: The same details as a search, which holds recordings from now on; None if there are none to search by.
        expected: How many recordings are to be held; needed for a wide search.

    Raises:
        ProblemError: Refused; the message is a sentence. Nothing was stored. 409 says how many recordings fit, if the
            person must confirm that number first.
    """
    person = repos.hearing.audit_service.require(actor, Act.WORK_ON_CASES, "")
    details = {
        "kind": str(kind), "requester": requester.strip(), "form": form.strip(),
        "ground": str(ground) if ground else None,
    }  # fmt: skip
    on = received_on or repos.today
    try:
        check_opening(person, details, text, on, repos.today)
    except DeniedError as error:
        raise repos.hearing.audit_service.denied(person, Act.WORK_ON_CASES, "", error) from error
    if search is None or is_empty(search):
        return _opened(repos, person, CaseEntry(**_opening(repos, person, on, text), details=details))
    with steady_holds(repos.holds):
        found = counted(repos.holds, search, expected)
        case_holds.check_discards(repos.holds, search)
        text = "; ".join(filter(None, (text, in_words(search))))
        entry = CaseEntry(**_opening(repos, person, on, text), details={**details, **wanted(search), **found})
        case = _opened(repos, person, entry)
        case_holds.place(repos.holds, person, case, HOLD_KIND[kind], search)
    return case


def _opening(repos: CaseRepositories, person: Person, on: date, text: str) -> dict[str, Any]:
    return {"step": CaseEvent.OPENED, "at": repos.cases.now(), "by": person.name, "on": on, "text": text}


def _opened(repos: CaseRepositories, person: Person, entry: CaseEntry) -> Case:
    kind = CaseKind(entry.details["kind"])
    for _ in range(_OPENINGS):
        case_id = repos.cases.next_id(kind, repos.today.year)
        with suppress(ChangedError):  # somebody else has just taken that reference: try the next
            keep_entry(repos, person, case_id, 0, entry)
            return opened(case_id, entry)
    raise ProblemError(409, "Others are opening cases at the same time. Try again.")


def add_event(
    repos: CaseRepositories,
    actor: Actor,
    case_id: str,
    step: CaseEvent,
    *,
    text: str = "",
    on: date | None = None,
    details: Mapping[str, Any] | None = None,
) -> Case:
    """Write an event into a case, with its consequences: access after a decision, hold reviews after closing.

    Args:
        repos: Cases, and what they use.
        actor: Who writes it.
        case_id: The case.
        step: The event; searches and matches have functions of their own.
        text: Free text.
        on: The day it happened; None is today.
        details: Details of the event.

    Raises:
        ProblemError: Refused; the message is a sentence. Nothing was stored.
    """
    person, case = require_worker(repos, actor, case_id)
    details = {**(details or {}), **left_open(repos, case, step)}
    entry = CaseEntry(
        step=step, at=repos.cases.now(), by=person.name, on=on or repos.today, text=text.strip(), details=details
    )
    check_entry(repos, person, case, entry)
    if step is CaseEvent.DECIDED and details.get("decision") != Decision.REFUSE:
        check_settled(repos.holds, case)
    if step is CaseEvent.EXTENDED:
        last = extend_by(case.course, repos.today, is_working_day)
        if last is not None and entry.on > last:
            raise ProblemError(409, f"The requester had to be told of the extension by {times.day(last)}.")
    write_entry(repos, person, case.id, len(case.entries), entry)
    case = after(case, entry)
    if step is CaseEvent.DECIDED and case.decision is not Decision.REFUSE:
        _give_leave(repos, person, case)
    if step is CaseEvent.CLOSED:
        keep_on(repos, person, case)
    return case


def search_for(repos: CaseRepositories, actor: Actor, case_id: str, search: Search) -> Sequence[RecordingRow]:
    """Search for a case: record the search and its number of results, and hold the results.

    Results are held until somebody matches or dismisses them. Calls in progress that fit are held too.

    Raises:
        ProblemError: Refused; the message is a sentence.
    """
    if is_empty(search):
        raise ProblemError(422, "Enter what to search for: a date, an officer, an extension or a number.")
    person, case = require_worker(repos, actor, case_id)
    with steady_holds(repos.holds):
        case_holds.check_discards(repos.holds, search)
        found = [row for row in repos.hearing.index.find(replace(search, limit=MOST_FOUND)) if row.path is not None]
        gone = case_holds.deleted_of(repos.hearing.index.database, search)
        entry = CaseEntry(
            step=CaseEvent.SEARCHED, at=repos.cases.now(), by=person.name, on=repos.today, text=in_words(search),
            details={**wanted(search), "found": len(found), "deleted": gone},
        )  # fmt: skip
        check_entry(repos, person, case, entry)
        write_entry(repos, person, case.id, len(case.entries), entry)
        case_holds.place_found(repos.holds, person, case, HOLD_KIND[case.kind], search)
    return found


def match(repos: CaseRepositories, actor: Actor, case_id: str, recordings: Sequence[str]) -> Case:
    """Match recordings to a case: each is held until the case is over.

    Recordings that are already deleted are noted in the case.

    Raises:
        ProblemError: Refused; the message names the recording. Those before it are matched.
    """
    person, case = require_worker(repos, actor, case_id)
    wish = HoldWish(kind=HOLD_KIND[case.kind], reason=f"case {case.id}", case_reference=case.id, owner=case.handler)
    gone: dict[str, ProblemError] = {}
    taken = 0
    for recording in dict.fromkeys(recordings):
        entry = CaseEntry(
            step=CaseEvent.MATCHED,
            at=repos.cases.now(),
            by=person.name,
            on=repos.today,
            details={"recording": recording},
        )
        check_entry(repos, person, case, entry)
        try:
            hold = place_hold(repos.holds, person, recording, wish)
        except ProblemError as error:
            if error.status != 409:  # 409 means that the recording is gone
                raise
            gone[recording] = error
            continue
        entry = replace(entry, details={"recording": recording, "hold": hold.id})
        write_entry(repos, person, case.id, len(case.entries), entry)
        case, taken = after(case, entry), taken + 1
    if gone and not taken:
        raise next(iter(gone.values()))
    if gone:
        text = "; ".join(f"{recording}: {error.detail}" for recording, error in gone.items())
        case = write_event(
            repos, person, case, CaseEvent.NOTED, {"gone": list(gone)}, text=text[:MAX_REASON_CHARACTERS]
        )
    return case


def read_case(repos: CaseRepositories, actor: Actor, case_id: str) -> Case:
    """Return a case.

    Raises:
        ProblemError: Not allowed, or no such case.
    """
    return require_worker(repos, actor, case_id)[1]


def list_cases(repos: CaseRepositories, actor: Actor) -> list[Case]:
    """Return all cases: open ones by due day, then closed ones, newest first.

    Raises:
        ProblemError: Not allowed.
    """
    repos.hearing.audit_service.require(actor, Act.WORK_ON_CASES, "")
    return sorted(repos.cases.all(), key=lambda case: (case.closed_on is not None, due(repos, case) or date.max))


def claim_repositories(repos: CaseRepositories) -> ClaimRepositories:
    """Return what rights requests read and write."""
    return ClaimRepositories(holds=repos.holds, approvers=repos.hearing.approvers, today=repos.today)


def case_to_json(repos: CaseRepositories, case: Case) -> dict[str, Any]:
    """Return a case as JSON-able values for the command line and HTTP."""
    day = due(repos, case)
    return {
        "id": case.id,
        "kind": str(case.kind),
        "state": str(case.state),
        "requester": case.requester,
        "handler": case.handler,
        "received_on": case.course.received_on.isoformat(),
        "due_on": day.isoformat() if day else None,
        "is_pressing": is_pressing(repos, case),
        "is_identified": case.is_identified,
        "is_in_doubt": case.is_in_doubt,
        "ground": str(case.ground) if case.ground else None,
        "recordings": [*case.recordings],
        "decision": str(case.decision) if case.decision else None,
        "decided_by": case.decided_by,
        "closed_on": case.closed_on.isoformat() if case.closed_on else None,
        "entries": [
            {
                "step": str(one.step), "at": time_to_json(one.at), "by": one.by, "on": one.on.isoformat(),
                "text": one.text, "details": dict(one.details),
            }
            for one in case.entries
        ],
    }  # fmt: skip


def _give_leave(repos: CaseRepositories, person: Person, case: Case) -> None:
    """Grant the handler of a decided case access to listen to its recordings and to export them."""
    if not case.recordings:
        return
    requests = repos.hearing.requests
    wish = RequestWish(
        recordings=case.recordings, category=_CATEGORY[case.kind], reason=f"case {case.id}", leave=AccessKind.COPY,
        reference=case.id,
    )  # fmt: skip
    request = requests.new(case.handler, wish)
    until = request.asked_at + LEAVE_FOR
    details = {
        "account": case.handler, "until": time_to_json(until), "case": case.id, "category": str(wish.category),
        "reference": wish.reference,
    }  # fmt: skip
    repos.hearing.audit_service.note(GRANTED, person.actor, request.id, details, text=wish.reason)
    requests.keep(request)
    requests.settle(request, RequestState.GRANTED, by=person.name, words=f"decision in {case.id}", until=until)
