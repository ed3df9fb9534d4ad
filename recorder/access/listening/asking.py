"""Asks for access to recordings, and grants, declines and withdraws requests: first in the audit log, then stored.

The rules are in `recorder.rules.requesting`. Console and command line use this module.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from recorder.access.listening.repositories import AccessRepositories
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Actor, DeniedError, Fault, Person, Refusal
from recorder.rules.authorisation import may
from recorder.rules.requesting import (
    AccessRequest,
    RequestState,
    RequestWish,
    check_decision,
    check_wish,
    deciders,
    grant_until,
    granted_spans,
)
from recorder.rules.spans import Spans, in_seconds
from storage.errors import NotFoundError
from storage.format import is_recording_id
from storage.index import Index
from storage.rows import time_to_json
from storage.types import RecordingId, RecordingRow

GRANTED, DECLINED, WITHDRAWN = "request.granted", "request.declined", "request.withdrawn"
"""As the audit log has them."""
MOST_WAITING = 50
"""Requests of one person that may wait at once: deciders are notified of each, and a list has a limit."""


def ask(repos: AccessRepositories, actor: Actor, wish: RequestWish) -> AccessRequest:
    """Ask for access to recordings.

    Raises:
        ProblemError: Refused, with a sentence; only the refusal was stored.
    """
    person = repos.audit_service.require(actor, Act.ASK, "")
    wish = replace(
        wish, recordings=tuple(dict.fromkeys(wish.recordings)), reason=wish.reason.strip(),
        reference=wish.reference.strip(),
    )  # fmt: skip
    try:
        _check_waiting(repos, person)
        spans = check_wish(person, wish, _rows(repos.index, wish.recordings), repos.approvers)
    except DeniedError as error:
        raise repos.audit_service.denied(person, Act.ASK, "", error) from error
    request = replace(repos.requests.new(person.name, wish), spans=spans)
    details = {
        "recordings": [*wish.recordings], "category": str(wish.category), "leave": str(wish.leave),
        "reference": wish.reference, **_spans_noted(spans),
    }  # fmt: skip
    repos.audit_service.note(Act.ASK, person.actor, request.id, details, text=wish.reason)
    repos.requests.keep(request)
    return request


def decide(
    repos: AccessRepositories,
    actor: Actor,
    request_id: str,
    *,
    granted: bool,
    words: str = "",
    days: int | None = None,
    is_whole: bool = False,
) -> AccessRequest:
    """Grant or decline a request.

    Args:
        repos: Where it is stored.
        actor: Who decides.
        request_id: The request.
        granted: True to grant, False to decline.
        words: Their reason; required to decline, and to grant the whole call.
        days: How long the grant lasts; None for `recorder.rules.requesting.GRANT_DAYS`.
        is_whole: Whether all of each call is granted, for a complaint, whatever part was asked for.

    Raises:
        ProblemError: Refused, with a sentence; nothing changed.
    """
    person = _decider(repos, actor)
    request = _request(repos, request_id)
    try:
        requester = repos.people.find(request.account)
        check_decision(person, request, requester, repos.approvers, granted=granted, words=words, is_whole=is_whole)
        until = grant_until(repos.now(), days) if granted else None
        spans: dict[RecordingId, Spans] | None = {} if granted and is_whole else None
        if granted and not is_whole:
            assert requester is not None, "a grant needs an account"
            spans = granted_spans(requester, request, _rows(repos.index, request.wish.recordings))
    except DeniedError as error:
        raise repos.audit_service.denied(person, Act.DECIDE, request.id, error) from error
    state = RequestState.GRANTED if granted else RequestState.DECLINED
    details = {"account": request.account, "until": time_to_json(until) if until else None, **_spans_noted(spans or {})}
    details |= {"whole_call": True} if is_whole and granted else {}
    repos.audit_service.note(GRANTED if granted else DECLINED, person.actor, request.id, details, text=words.strip())
    return _settled(repos, request, state, by=person.name, words=words.strip(), until=until, spans=spans)


def withdraw(repos: AccessRepositories, actor: Actor, request_id: str) -> AccessRequest:
    """Withdraw one's own request before it is decided.

    Raises:
        ProblemError: It is another person's, or decided.
    """
    person = repos.audit_service.require(actor, Act.ASK, request_id)
    request = _request(repos, request_id)
    if request.account != person.name:
        repos.audit_service.refusal(person.actor, Act.ASK, request_id, "This is another person's request.")
        raise _none_such(request_id)
    repos.audit_service.note(WITHDRAWN, person.actor, request.id, {})
    return _settled(repos, request, RequestState.WITHDRAWN, by=person.name)


def to_decide(repos: AccessRepositories, person: Person) -> list[AccessRequest]:
    """Return the requests that this person may decide, oldest first; empty for other people."""
    approvers = repos.approvers
    if isinstance(may(person, Act.DECIDE), Refusal) and not approvers.is_deputy(person):
        return []
    known = {one.name: one for one in approvers.people}
    return [
        one
        for one in repos.requests.waiting()
        if one.account in known and person.name in deciders(known[one.account], approvers)
    ]


def seen(repos: AccessRepositories, actor: Actor) -> list[AccessRequest]:
    """Return the requests that an actor may see, newest first: their own, or all for those who decide."""
    person = repos.audit_service.require(actor, Act.ASK, "")
    if isinstance(may(person, Act.DECIDE), Refusal) and not repos.approvers.is_deputy(person):
        return repos.requests.of_account(person.name)
    return repos.requests.newest()


def read_request(repos: AccessRepositories, actor: Actor, request_id: str) -> AccessRequest:
    """Return one request that an actor may see: their own, or any for those who decide.

    Raises:
        ProblemError: 403, they may not ask for access; 404, there is no such request, or it is not theirs to see.
    """
    person = repos.audit_service.require(actor, Act.ASK, request_id)
    request = _request(repos, request_id)
    is_decider = not isinstance(may(person, Act.DECIDE), Refusal) or repos.approvers.is_deputy(person)
    if request.account != person.name and not is_decider:
        raise _none_such(request_id)
    return request


def request_to_json(request: AccessRequest) -> dict[str, Any]:
    """Return a request as JSON values, for commands and HTTP."""
    wish = request.wish
    return {
        "id": request.id,
        "account": request.account,
        "recordings": [*wish.recordings],
        "category": str(wish.category),
        "reason": wish.reason,
        "leave": str(wish.leave),
        "reference": wish.reference,
        "asked_at": time_to_json(request.asked_at),
        "state": str(request.state),
        "decided_by": request.decided_by,
        "decided_at": time_to_json(request.decided_at) if request.decided_at else None,
        "words": request.words,
        "until": time_to_json(request.until) if request.until else None,
        "spans": _spans_noted(request.spans).get("spans", {}),
    }


def _spans_noted(spans: Mapping[RecordingId, Spans]) -> dict[str, Any]:
    """Return the parts of recordings in a request, seconds, for audit log and HTTP."""
    return {"spans": {one: [[*part] for part in in_seconds(of)] for one, of in spans.items()}} if spans else {}


def _check_waiting(repos: AccessRepositories, person: Person) -> None:
    waiting = [one for one in repos.requests.of_account(person.name) if one.state is RequestState.WAITING]
    if len(waiting) >= MOST_WAITING:
        raise DeniedError(
            Fault.TOO_LATE, f"{len(waiting)} of your requests are undecided: wait, or withdraw some of them."
        )


def _decider(repos: AccessRepositories, actor: Actor) -> Person:
    return repos.audit_service.require_protector(actor, Act.DECIDE, "", repos.approvers)


def _rows(index: Index, recordings: Sequence[RecordingId]) -> Iterator[RecordingRow]:
    for recording in recordings:
        try:
            row = index.get(recording) if is_recording_id(recording) else None
        except NotFoundError:
            row = None
        if row is not None and row.path is not None:
            yield row


def _request(repos: AccessRepositories, request_id: str) -> AccessRequest:
    found = repos.requests.get(request_id)
    if found is None:
        raise _none_such(request_id)
    return found


def _none_such(request_id: str) -> ProblemError:
    return ProblemError(404, f"There is no request {request_id!r}: see `recorder requests list`.")


def _settled(
    repos: AccessRepositories,
    request: AccessRequest,
    state: RequestState,
    *,
    by: str,
    words: str = "",
    until: datetime | None = None,
    spans: Mapping[RecordingId, Spans] | None = None,
) -> AccessRequest:
    if not repos.requests.settle(request, state, by=by, words=words, until=until, spans=spans):
        repos.audit_service.note(f"request.{state}.not_stored", by, request.id, {})
        raise ProblemError(409, f"Request {request.id} has just been decided by another person.")
    done = repos.requests.get(request.id)
    assert done is not None, "requests are never deleted"
    return done
