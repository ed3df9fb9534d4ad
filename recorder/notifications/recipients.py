"""Who is told what by the recorder: what waits for them, what was decided, what runs out. Pure.

Each is told to an account once; what it is about is found again by `Notification.key`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from recorder.access.granting import PasswordSet, Proposal, confirmers
from recorder.notifications.kinds import Notification, NotificationKind
from recorder.permissions import Person, Role
from recorder.retention import rights
from recorder.rules.requesting import AccessRequest, Approvers, RequestState, deciders
from storage.retention_types import Claim, ClaimState, Hold

TOLD_FOR = timedelta(days=7)
"""A decision that is older than this is no news."""
REVIEW_REMINDED_FOR = timedelta(days=90)
"""So long before the day of the policy's review its reminder comes (P24)."""
SCOPE_AGAIN_FOR = timedelta(days=4)
"""So long before the end the data protection officer is told once more of what waits to be confirmed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseClock:
    """What of an open case matters here: who works on it, when it is due, and whether time runs out."""

    id: str
    handler: str
    due_on: date | None
    is_pressing: bool


def of_requests(waiting: Iterable[AccessRequest], approvers: Approvers) -> list[Notification]:
    """Return what whoever must decide is to be told, as things stand: absences move it to somebody else."""
    known = {person.name: person for person in approvers.people}
    return [
        Notification(kind=NotificationKind.REQUEST_WAITS, account=account, subject=request.id)
        for request in waiting
        if request.state is RequestState.WAITING and request.account in known
        for account in sorted(deciders(known[request.account], approvers))
    ]


def of_decisions(requests: Iterable[AccessRequest], now: datetime) -> list[Notification]:
    """Return what whoever asked is to be told: decisions of the last days by others."""
    return [
        Notification(kind=NotificationKind.REQUEST_DECIDED, account=request.account, subject=request.id)
        for request in requests
        if request.state in (RequestState.GRANTED, RequestState.DECLINED)
        and request.decided_by != request.account
        and request.decided_at is not None
        and now - request.decided_at < TOLD_FOR
    ]


def of_emergencies(ids: Iterable[str], approvers: Approvers) -> list[Notification]:
    """Return what the data protection officers and their deputy are told of recordings heard without approval."""
    officers = sorted(approvers.protectors)
    return [
        Notification(kind=NotificationKind.EMERGENCY, account=account, subject=one)
        for one in ids
        for account in officers
    ]


def of_disagreements(found: Iterable[str], approvers: Approvers) -> list[Notification]:
    """Return what administrators, data protection officers and their deputy are told of changes past the recorder.

    Args:
        found: A mark of each that stays the same while it is there; holds no name.
        approvers: Who there is.
    """
    told = sorted({*approvers.protectors, *(one.name for one in approvers.people if Role.ADMIN in one.roles)})
    return [
        Notification(kind=NotificationKind.ACCOUNTS_CHANGED, account=account, subject=one)
        for one in found
        for account in told
    ]


def of_conduct(
    heard: Iterable[tuple[str, date]], used: Iterable[tuple[str, datetime]], approvers: Approvers
) -> list[Notification]:
    """Return what is told of conduct that may be an account in the wrong hands; never to whom it is about.

    Data protection officers and their deputy are told; administrators where that is nobody else.

    Args:
        heard: Who heard very many recordings, and on which day.
        used: Whose role was used at once, and when it was granted.
        approvers: Who there is.
    """
    found = [(NotificationKind.HEARD_MANY, account, day.isoformat()) for account, day in heard]
    found += [(NotificationKind.ROLE_USED_AT_ONCE, account, at.isoformat()) for account, at in used]
    return [
        Notification(kind=kind, account=told, subject=about, moment=moment)
        for kind, about, moment in sorted(found)
        for told in sorted(approvers.protectors - {about} or approvers.with_role(Role.ADMIN) - {about})
    ]


def of_notices(changed: Iterable[tuple[str, str, datetime]], approvers: Approvers) -> list[Notification]:
    """Return what the data protection officers and their deputy are told of messages to callers that were changed (P5).

    Args:
        changed: Who changed one, which, and when.
        approvers: Who there is.
    """
    return [
        Notification(kind=NotificationKind.NOTICE_CHANGED, account=told, subject=message, moment=at.isoformat())
        for by, message, at in changed
        for told in sorted(approvers.protectors - {by})
    ]


def of_proposals(waiting: Iterable[Proposal], approvers: Approvers) -> list[Notification]:
    """Return what whoever may confirm a change to an account is to be told."""
    return [
        Notification(kind=NotificationKind.GRANT_WAITS, account=account, subject=one.id)
        for one in waiting
        for account in sorted(_confirming(one, approvers))
    ]


def _confirming(one: Proposal, approvers: Approvers) -> frozenset[str]:
    return confirmers(approvers.people, proposer=one.proposed_by, account=one.account, change=one.change)


def of_deputy(named_by_one: str | None, approvers: Approvers) -> list[Notification]:
    """Return what administrators are told of a deputy of before it took two people to name one."""
    told = sorted(approvers.with_role(Role.ADMIN)) if named_by_one is not None else []
    return [
        Notification(kind=NotificationKind.DEPUTY_BY_ONE, account=account, subject=str(named_by_one))
        for account in told
    ]


def of_resets(done: Iterable[Proposal]) -> list[Notification]:
    """Return what those are to be told whose authenticator was taken away."""
    return [Notification(kind=NotificationKind.AUTHENTICATOR_GONE, account=one.account, subject=one.id) for one in done]


def of_passwords(done: Iterable[PasswordSet]) -> list[Notification]:
    """Return what those are to be told whose password is a new one, whoever set it."""
    return [
        Notification(
            kind=NotificationKind.PASSWORD_CHANGED if one.by == one.account else NotificationKind.PASSWORD_SET,
            account=one.account,
            moment=one.at.isoformat(),
        )
        for one in done
    ]


def of_cases(cases: Iterable[CaseClock], approvers: Approvers, today: date) -> list[Notification]:
    """Return what handlers of open cases are to be told, and of what is overdue the data protection officers too."""
    told = []
    officers = approvers.with_role(Role.DPO)
    for case in cases:
        kind = _of_case(case, today)
        if kind is not None and case.due_on is not None:
            whom = {case.handler} | (officers if kind is NotificationKind.CASE_OVERDUE else frozenset())
            moment = case.due_on.isoformat()
            told += [Notification(kind=kind, account=one, subject=case.id, moment=moment) for one in sorted(whom)]
    return told


def _of_case(case: CaseClock, today: date) -> NotificationKind | None:
    if case.due_on is None:
        return None
    if today > case.due_on:
        return NotificationKind.CASE_OVERDUE
    if today == case.due_on:
        return NotificationKind.CASE_DUE
    return NotificationKind.CASE_PRESSING if case.is_pressing else None


def of_claims(claims: Iterable[tuple[Claim, date]], approvers: Approvers, today: date) -> list[Notification]:
    """Return what whoever decides claims is to be told: those that wait, and once more when a month has passed.

    Args:
        claims: Each with the day on which it is due.
        approvers: Who there is.
        today: The council's day.
    """
    return [
        Notification(kind=kind, account=account, subject=claim.id)
        for claim, due in claims
        if claim.state is ClaimState.ASKED
        for kind in (NotificationKind.CLAIM_WAITS, *([NotificationKind.CLAIM_OVERDUE] if today > due else []))
        for account in sorted(rights.deciders(claim, approvers))
    ]


def of_scopes(waiting: Iterable[tuple[str, datetime]], approvers: Approvers, now: datetime) -> list[Notification]:
    """Return what data protection officers are to be told of cases that hold much until they say so.

    Args:
        waiting: The cases, each with the moment at which its hold ends.
        approvers: Who there is.
        now: Aware.
    """
    return [
        Notification(kind=NotificationKind.SCOPE_WAITS, account=account, subject=case, moment=moment)
        for case, ends_at in waiting
        for moment in ("", *(["again"] if now >= ends_at - SCOPE_AGAIN_FOR else []))
        for account in sorted(approvers.with_role(Role.DPO))
    ]


def of_holds(holds: Iterable[Hold]) -> list[Notification]:
    """Return what owners of holds that are due for review are to be told."""
    return [
        Notification(
            kind=NotificationKind.HOLD_DUE, account=hold.owner, subject=hold.id, moment=hold.review_on.isoformat()
        )
        for hold in holds
    ]


def of_released_holds(holds: Iterable[Hold]) -> list[Notification]:
    """Return what owners of holds are to be told that somebody else has released, while that can be taken back."""
    return [
        Notification(
            kind=NotificationKind.HOLD_RELEASED,
            account=hold.owner,
            subject=hold.id,
            moment=hold.released_at.isoformat(),
        )
        for hold in holds
        if hold.released_at is not None and hold.released_by != hold.owner
    ]


def of_policy(review_on: date | None, approvers: Approvers, today: date) -> list[Notification]:
    """Return the reminder of the policy's review (P24): when it is near, and again when its day has come.

    Where nobody has said when the last one was, the officers are told so each month.
    """
    if review_on is None:
        month = f"{today:%Y-%m}"
        return [
            Notification(kind=NotificationKind.POLICY_UNDATED, account=account, moment=month)
            for account in sorted(approvers.with_role(Role.DPO))
        ]
    if today < review_on - REVIEW_REMINDED_FOR:
        return []
    when = "due" if today >= review_on else "near"
    return [
        Notification(kind=NotificationKind.POLICY_REVIEW, account=account, moment=f"{review_on.isoformat()} {when}")
        for account in sorted(approvers.with_role(Role.DPO))
    ]


def usable(told: Iterable[Notification], people: Iterable[Person]) -> list[Notification]:
    """Return what is told to people whose accounts can be used."""
    names = {person.name for person in people}
    return [one for one in told if one.account in names]
