"""Enters, decides and lifts rights requests of data subjects; refuses the use of a restricted recording.

The rules are in `recorder.retention.rights`. Each act is written to the audit log first, with everything needed to
replay it, and a legal hold keeps restricted recordings. Console and command line use this module.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from recorder.audit.audit_service import AuditService
from recorder.common.problems import ProblemError
from recorder.permissions import Act, Actor, DeniedError, Person, Role
from recorder.retention.hold_repositories import HoldRepositories, call_to_hold, settling_holds, steady_holds
from recorder.retention.rights import (
    ClaimEvent,
    check_asking,
    check_event,
    is_to_destroy,
    keeps,
    state_after,
    use_until,
    why_restricted,
)
from recorder.rules.holds import GRACE, REVIEW_AFTER
from recorder.rules.requesting import Approvers
from storage.claim_journal import ACT_OF, ASKED, USE_ALLOWED, asked_details, asked_text, changed_details
from storage.claims import OPEN, Claims, new_claim_id
from storage.errors import NotFoundError, StorageError
from storage.hold_journal import PLACED, RELEASED, placed_details
from storage.hold_journal import changed_details as changed_hold
from storage.holds import new_hold_id
from storage.retention_types import Claim, ClaimState, Hold, HoldKind, HoldState, Right
from storage.rows import time_to_json
from storage.types import RecordingId


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimRepositories:
    """What entering and deciding rights requests needs.

    Attributes:
        holds: Repositories of holds, with index, audit log and clock.
        today: The date in the council's time zone.
    """

    holds: HoldRepositories
    approvers: Approvers
    today: date

    @property
    def claims(self) -> Claims:
        """Return the rights requests."""
        return Claims(self.holds.holds.database)

    @property
    def audit_service(self) -> AuditService:
        """Return the writer of audit entries for people's acts."""
        return self.holds.audit_service


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimWish:
    """A rights request as a person enters it; see `storage.types.Claim`."""

    right: Right
    ground: str
    requester: str
    reason: str
    case_reference: str = ""
    received_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimChange:
    """An event of a rights request, with its details; see `recorder.retention.rights.check_event`."""

    event: ClaimEvent
    words: str
    ground: str = ""
    days: int | None = None


def refuse_restricted(claims: Claims, recording: RecordingId, now: datetime) -> None:
    """Refuse the use of a recording while it is restricted.

    Raises:
        ProblemError: 409: restricted, with a sentence. 503: unknown.
    """
    try:
        why = why_restricted(claims.of_recording(recording), now)
    except (StorageError, OSError) as error:
        raise ProblemError(503, f"Cannot find out whether the recording may be used: {error}.") from error
    if why is not None:
        raise ProblemError(409, why, extra={"restricted": True})


def write_claim(repos: ClaimRepositories, actor: Actor, recording: str, wish: ClaimWish) -> Claim:
    """Enter what a data subject asks of a recording; a restriction or objection takes effect at once.

    Raises:
        ProblemError: Refused, with a sentence; nothing was changed.
    """
    person = repos.audit_service.require(actor, Act.WRITE_CLAIM, recording)
    now = repos.holds.now()
    claim = Claim(
        id=new_claim_id(), recording=RecordingId(recording), right=wish.right, ground=wish.ground,
        received_on=wish.received_on or repos.today, asked_by=person.actor, asked_at=now,
        requester=wish.requester.strip(), reason=wish.reason.strip(), case_reference=wish.case_reference.strip(),
    )  # fmt: skip
    try:
        check_asking(claim, repos.today)
    except DeniedError as error:
        raise repos.audit_service.denied(person, Act.WRITE_CLAIM, recording, error) from error
    call_to_hold(repos.holds, recording)
    hold = _hold_of(repos, claim, person) if keeps(claim) else None
    claim = replace(claim, hold=hold.id if hold else "")
    with steady_holds(repos.holds):
        call_to_hold(repos.holds, recording)  # checked again: it may have been deleted; from here on it cannot be
        with settling_holds(repos.holds):
            repos.audit_service.note(ASKED, person.actor, recording, asked_details(claim), text=asked_text(claim))
            if hold is not None:
                repos.audit_service.note(PLACED, person.actor, recording, placed_details(hold), text=hold.reason)
                repos.holds.holds.place(hold)
            repos.claims.save([claim])
    return claim


def change_claim(repos: ClaimRepositories, actor: Actor, claim_id: str, step: ClaimChange) -> Claim:
    """Decide, lift or withdraw a rights request, or allow the use of its recording for a time.

    Raises:
        ProblemError: Refused, with a sentence; nothing was changed.
    """
    act = Act.WRITE_CLAIM if step.event is ClaimEvent.WITHDRAW else Act.DECIDE_CLAIM
    if act is Act.DECIDE_CLAIM:
        person = _decider(repos, actor, claim_id)
    else:
        person = repos.audit_service.require(actor, act, claim_id)
    with steady_holds(repos.holds):
        claim = claim_of(repos, claim_id)
        try:
            check_event(
                person,
                claim,
                step.event,
                ground=step.ground,
                words=step.words,
                days=step.days,
                approvers=repos.approvers,
            )
        except DeniedError as error:
            raise repos.audit_service.denied(person, act, claim.recording, error) from error
        if act is Act.DECIDE_CLAIM:
            _refuse_own(repos, person, claim)
        now = repos.holds.now()
        after = _after(claim, step, person, now)
        if is_to_destroy(after) and not is_to_destroy(claim):
            _refuse_held(repos, claim, now)
        with settling_holds(repos.holds):
            name = USE_ALLOWED if step.event is ClaimEvent.ALLOW_USE else ACT_OF[after.state]
            repos.audit_service.note(name, person.actor, claim.recording, changed_details(after, now), text=after.words)
            if claim.hold and keeps(claim) and not keeps(after):
                _release(repos, claim, person, now)
            repos.claims.save([after])
    return after


def claim_of(repos: ClaimRepositories, claim_id: str) -> Claim:
    """Return a rights request.

    Raises:
        ProblemError: There is none.
    """
    try:
        return repos.claims.get(claim_id)
    except NotFoundError as error:
        raise ProblemError(404, f"There is no rights request {claim_id!r}: see `recorder claims list`.") from error


def read_claims(repos: ClaimRepositories, actor: Actor, *, is_open: bool) -> list[Claim]:
    """Return rights requests for people who enter or decide them: open ones oldest first, else all, newest first.

    Raises:
        ProblemError: Not theirs to see.
    """
    repos.audit_service.require_protector(actor, Act.WRITE_CLAIM, "", repos.approvers)
    repos.audit_service.note("claim.view", actor.actor, "", {"open": is_open})
    return repos.claims.open() if is_open else repos.claims.newest()


def claim_to_json(claim: Claim, now: datetime) -> dict[str, Any]:
    """Return a rights request as JSON values, for commands and HTTP."""
    return {
        "id": claim.id, "recording": claim.recording, "right": str(claim.right), "ground": claim.ground,
        "state": str(claim.state), "is_restricted": why_restricted([claim], now) is not None,
        "received_on": claim.received_on.isoformat(), "requester": claim.requester, "reason": claim.reason,
        "case_reference": claim.case_reference, "asked_by": claim.asked_by, "asked_at": time_to_json(claim.asked_at),
        "decided_by": claim.decided_by, "decided_at": time_to_json(claim.decided_at),
        "decision_ground": claim.decision_ground, "words": claim.words, "over_at": time_to_json(claim.over_at),
        "use_ground": claim.use_ground, "use_by": claim.use_by, "use_until": time_to_json(claim.use_until),
        "hold": claim.hold or None,
    }  # fmt: skip


def _after(claim: Claim, step: ClaimChange, person: Person, now: datetime) -> Claim:
    words = step.words.strip()
    if step.event is ClaimEvent.ALLOW_USE:
        until = use_until(now, step.days)
        return replace(claim, words=words, use_ground=step.ground, use_by=person.actor, use_until=until)
    state = state_after(claim, step.event)
    over_at = None if state in OPEN else now
    if state in (ClaimState.UPHELD, ClaimState.DECLINED):
        ground = step.ground if state is ClaimState.DECLINED else ""
        return replace(
            claim, state=state, words=words, decided_by=person.actor, decided_at=now, decision_ground=ground,
            over_at=over_at,
        )  # fmt: skip
    return replace(claim, state=state, words=words, over_at=over_at)


def _hold_of(repos: ClaimRepositories, claim: Claim, person: Person) -> Hold:
    """Return the hold that keeps the recording of a rights request; the data protection officer owns it."""
    owner = min(repos.approvers.with_role(Role.DPO), default=person.name)
    review_on = repos.today + REVIEW_AFTER[HoldKind.RESTRICTION]
    return Hold(
        id=new_hold_id(), recording=claim.recording, kind=HoldKind.RESTRICTION, reason=f"claim {claim.id}",
        case_reference=claim.case_reference or claim.id, owner=owner, placed_by=person.actor, placed_at=claim.asked_at,
        review_on=review_on,
    )  # fmt: skip


def _release(repos: ClaimRepositories, claim: Claim, person: Person, now: datetime) -> None:
    hold = repos.holds.holds.get(claim.hold)
    if hold.released_at is not None:
        return
    after = replace(hold, released_by=person.actor, released_at=now, grace_until=now + GRACE)
    repos.audit_service.note(
        RELEASED, person.actor, hold.recording, changed_hold(hold, after, now), text=f"claim {claim.id}"
    )
    repos.holds.holds.save([after])


def _refuse_own(repos: ClaimRepositories, person: Person, claim: Claim) -> None:
    """Refuse people who were in the call. If the recording is gone nobody can tell, and nothing is left to decide."""
    try:
        call = call_to_hold(repos.holds, claim.recording)
    except ProblemError as error:
        if error.status == 503:
            raise
        return
    named = {operator.casefold() for operator in call.operators}
    if person.display_name.casefold() in named or person.extension in call.extensions:
        sentence = "This is your own call: somebody else has to decide."
        raise repos.audit_service.refusal(person.actor, Act.DECIDE_CLAIM, claim.recording, sentence)


def _refuse_held(repos: ClaimRepositories, claim: Claim, now: datetime) -> None:
    """Refuse to decide on destroying a recording while another hold keeps it."""
    others = [
        hold
        for hold in repos.holds.holds.keeping(claim.recording, now)
        if hold.id != claim.hold and hold.state_at(now) is HoldState.ACTIVE
    ]
    if others:
        kinds = ", ".join(sorted({str(hold.kind) for hold in others}))
        raise ProblemError(
            409,
            f"The recording is held ({kinds}): release the hold first, or decline because the recording is needed.",
        )


def _decider(repos: ClaimRepositories, actor: Actor, claim_id: str) -> Person:
    return repos.audit_service.require_protector(actor, Act.DECIDE_CLAIM, claim_id, repos.approvers)
