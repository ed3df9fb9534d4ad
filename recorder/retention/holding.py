"""Places, reviews, releases and reinstates legal holds, for commands and console.

Each act is written to the audit log first, with everything needed to replay it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path

from recorder.audit.audit_service import incomplete
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Actor, Allowed, Person, Refusal
from recorder.retention.hold_repositories import (
    HoldRepositories,
    call_to_hold,
    check_call_known,
    known_call,
    known_hold,
    settling_holds,
    steady_holds,
)
from recorder.retention.rights import keeps
from recorder.rules.holds import (
    GRACE,
    HoldFacts,
    HoldWish,
    may_place,
    may_reinstate,
    may_release,
    may_review,
    problem_with,
    problem_with_owner,
    review_day,
)
from storage.audit import AuditLog
from storage.claims import Claims
from storage.errors import HoldStateError, StorageError
from storage.hold_journal import PLACED, REINSTATED, RELEASED, REVIEWED, changed_details, placed_details, steady
from storage.holds import HoldEvent, Holds, check, new_hold_id
from storage.retention_types import Hold, HoldKind
from storage.types import RecordingId

_log = logging.getLogger(__name__)


def place_hold(repos: HoldRepositories, actor: Actor, recording: str, wish: HoldWish) -> Hold:
    """Place a hold on a recording, finished or in progress.

    Raises:
        ProblemError: 403, 404, 409 or 422: refused, with a sentence; nothing was changed. 503: nothing was changed, or
            the hold is in the audit log and takes effect once the database answers; the sentence says which.
    """
    person = repos.audit_service.require(actor, Act.PLACE_HOLD, recording, reason=wish.reason)
    call = call_to_hold(repos, recording, person)
    _allow(repos, person, Act.PLACE_HOLD, recording, may_place(person, wish.kind, call, reason=wish.reason))
    hold = _wished(repos, person, RecordingId(recording), wish, call)
    with steady_holds(repos):
        call_to_hold(repos, recording)  # checked again: it may have been deleted; from here on it cannot be
        with settling_holds(repos):
            repos.audit_service.note(PLACED, person.actor, recording, placed_details(hold), text=hold.reason)
            repos.holds.place(hold)
    return hold


def release_hold(repos: HoldRepositories, actor: Actor, hold_id: str, *, reason: str) -> Hold:
    """Release a hold. The recording is kept for 14 more days, during which the hold can be reinstated.

    Raises:
        ProblemError: As for `place_hold`.
    """

    def released(hold: Hold, at: datetime, person: Person) -> Hold:
        if sentence := repos.needed(hold) or _needed_by_claim(repos, hold):
            raise repos.audit_service.refusal(person.actor, Act.RELEASE_HOLD, hold.recording, sentence)
        return replace(hold, released_by=person.actor, released_at=at, grace_until=at + GRACE)

    change = _HoldChange(RELEASED, Act.RELEASE_HOLD, HoldEvent.RELEASE, may_release, released)
    return _changed(repos, actor, hold_id, change, reason)


def reinstate_hold(repos: HoldRepositories, actor: Actor, hold_id: str, *, reason: str) -> Hold:
    """Undo the release of a hold, within its days of grace.

    Raises:
        ProblemError: As for `place_hold`.
    """

    def reinstated(hold: Hold, _at: datetime, _person: Person) -> Hold:
        return replace(hold, released_by=None, released_at=None, grace_until=None)

    change = _HoldChange(REINSTATED, Act.PLACE_HOLD, HoldEvent.REINSTATE, may_reinstate, reinstated)
    return _changed(repos, actor, hold_id, change, reason)


def review_hold(
    repos: HoldRepositories, actor: Actor, hold_id: str, *, reason: str, review_on: date | None = None, owner: str = ""
) -> Hold:
    """State that a hold is still needed, and set its next review.

    Args:
        repos: Where holds are kept.
        actor: Who reviewed it.
        hold_id: The hold.
        reason: Why it is still needed.
        review_on: The day of the next review; None for the default of the kind.
        owner: Account that owns it from now on; empty for no change.

    Raises:
        ProblemError: As for `place_hold`.
    """

    def reviewed(hold: Hold, at: datetime, _person: Person) -> Hold:
        hold = replace(hold, review_on=_day(hold, review_on, at))
        return replace(hold, owner=_owner(repos, owner, hold, known_call(repos, hold))) if owner else hold

    change = _HoldChange(REVIEWED, Act.PLACE_HOLD, HoldEvent.REVIEW, may_review, reviewed)
    return _changed(repos, actor, hold_id, change, reason)


def settle_holds(state: Path, holds: Holds, audit: AuditLog) -> None:
    """Write to the table what an interrupted act left only in the audit log; on failure the next act does."""
    try:
        with steady(state, holds, audit):
            pass
    except (StorageError, OSError) as error:
        _log.error("Writing holds from the audit log to their table failed; retrying with the next act: %s", error)


def _wished(repos: HoldRepositories, person: Person, recording: RecordingId, wish: HoldWish, call: HoldFacts) -> Hold:
    problem = problem_with(wish)
    if problem is not None:
        field, sentence = problem
        raise incomplete(sentence, field)
    now = repos.now()
    hold = Hold(
        id=new_hold_id(),
        recording=recording,
        kind=wish.kind,
        reason=wish.reason.strip(),
        case_reference=wish.case_reference,
        owner=person.name,
        placed_by=person.actor,
        placed_at=now,
        review_on=now.date(),
        against=tuple(_against(repos, name, call) for name in wish.against),
    )
    hold = replace(hold, review_on=_day(hold, wish.review_on, now))
    return replace(hold, owner=_owner(repos, wish.owner or person.name, hold, call))


def _against(repos: HoldRepositories, name: str, call: HoldFacts) -> str:
    """Return the name by which a person is known here; an unknown name would exclude nobody."""
    account = _account(repos, name)
    if account is not None:
        return account.name
    for operator in call.operators:
        if name.strip().casefold() == operator.casefold():
            return operator
    raise incomplete(
        "The subject of the complaint must have an account here, or be the operator of the call.", "against"
    )


def _owner(repos: HoldRepositories, name: str, hold: Hold, call: HoldFacts) -> str:
    account = _account(repos, name)
    if account is None:
        raise incomplete("The owner of a hold must have an account here.", "owner")
    problem = problem_with_owner(account, hold, call)
    if problem is not None:
        raise incomplete(problem, "owner")
    return account.name


def _account(repos: HoldRepositories, name: str) -> Person | None:
    wanted = name.strip().casefold()
    found = [p for p in repos.people() if wanted in (p.name.casefold(), p.display_name.casefold())]
    return next((p for p in found if p.name.casefold() == wanted), found[0] if found else None)


def _day(hold: Hold, wished: date | None, now: datetime) -> date:
    day = review_day(hold.kind, wished, today=now.date())
    if isinstance(day, str):
        raise incomplete(day, "review_on")
    return day


# --- changing a hold


def _needed_by_claim(repos: HoldRepositories, hold: Hold) -> str | None:
    """Return a sentence on the rights request that keeps the recording, which must be decided first; or None."""
    if hold.kind is not HoldKind.RESTRICTION:
        return None
    found = [one for one in Claims(repos.index.database).of_recording(hold.recording) if one.hold == hold.id]
    if any(keeps(one) for one in found):
        return f"Rights request {found[0].id} keeps this recording: decide or lift it (`recorder claims`)."
    return None


@dataclass(frozen=True, slots=True)
class _HoldChange:
    """A kind of act on a hold: audit act, permission, event of the state table, rule, and effect."""

    name: str
    act: Act
    event: HoldEvent
    rule: Callable[..., Allowed | Refusal]
    apply: Callable[[Hold, datetime, Person], Hold]


def _changed(repos: HoldRepositories, actor: Actor, hold_id: str, change: _HoldChange, reason: str) -> Hold:
    person = repos.audit_service.require(actor, change.act, hold_id, reason=reason)
    with steady_holds(repos):
        hold = known_hold(repos, hold_id)
        call = known_call(repos, hold)
        check_call_known(repos, person, change.act, hold.recording, call, what="hold")
        decision = change.rule(person, hold, call, reason=reason)
        _allow(repos, person, change.act, hold.recording, decision)
        now = repos.now()
        try:
            check(hold, change.event, now)
        except HoldStateError as error:
            raise ProblemError(409, str(error)) from error
        after = change.apply(hold, now, person)
        with settling_holds(repos):
            repos.audit_service.note(
                change.name, person.actor, hold.recording, changed_details(hold, after, now), text=reason
            )
            repos.holds.save([after])
    return after


def _allow(repos: HoldRepositories, person: Person, act: Act, subject: str, decision: Allowed | Refusal) -> None:
    if isinstance(decision, Refusal):
        raise repos.audit_service.denied(person, act, subject, decision)
