"""Who gets which notification: open tasks, decisions, deadlines. Pure.

Each notification is stored once per account; `Notification.key` identifies it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from recorder.access.granting import PasswordSet, Proposal, ProposedChange, confirmers
from recorder.notifications.kinds import Notification, NotificationKind
from recorder.permissions import Person, Role
from recorder.retention import rights
from recorder.rules.requesting import AccessRequest, Approvers, RequestState, deciders
from storage.retention_types import Claim, ClaimState, ErasureOrder, Hold

TOLD_FOR = timedelta(days=7)
"""Decisions older than this are not reported."""
REVIEW_REMINDED_FOR = timedelta(days=90)
"""The reminder of the policy review comes this long before its day (P24)."""
SCOPE_AGAIN_FOR = timedelta(days=4)
"""The data protection officer is reminded of an unconfirmed hold this long before it ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseClock:
    """Facts of an open case that notifications depend on: its handler, its due day, and whether it is due soon."""

    id: str
    handler: str
    due_on: date | None
    is_pressing: bool


def of_requests(waiting: Iterable[AccessRequest], approvers: Approvers) -> list[Notification]:
    """Notify the people who can decide on waiting access requests; absences change who that is."""
    known = {person.name: person for person in approvers.people}
    return [
        Notification(kind=NotificationKind.REQUEST_WAITS, account=account, subject=request.id)
        for request in waiting
        if request.state is RequestState.WAITING and request.account in known
        for account in sorted(deciders(known[request.account], approvers))
    ]


def of_decisions(requests: Iterable[AccessRequest], now: datetime) -> list[Notification]:
    """Notify requesters of decisions of the last days that others made."""
    return [
        Notification(kind=NotificationKind.REQUEST_DECIDED, account=request.account, subject=request.id)
        for request in requests
        if request.state in (RequestState.GRANTED, RequestState.DECLINED)
        and request.decided_by != request.account
        and request.decided_at is not None
        and now - request.decided_at < TOLD_FOR
    ]


def of_emergencies(ids: Iterable[str], approvers: Approvers) -> list[Notification]:
    """Notify data protection officers and their deputy of break-glass access to recordings."""
    officers = sorted(approvers.protectors)
    return [
        Notification(kind=NotificationKind.EMERGENCY, account=account, subject=one)
        for one in ids
        for account in officers
    ]


def of_disagreements(found: Iterable[str], approvers: Approvers) -> list[Notification]:
    """Notify administrators, data protection officers and their deputy of changes made outside the recorder.

    Args:
        found: A stable identifier of each change, without names.
        approvers: Accounts and their roles.
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
    """Notify of conduct that suggests misuse of an account; never the account itself.

    Data protection officers and their deputy are notified, or administrators where there is no other officer.

    Args:
        heard: Accounts that heard very many recordings, with the day.
        used: Accounts that used a new role at once, with the time when it was granted.
        approvers: Accounts and their roles.
    """
    found = [(NotificationKind.HEARD_MANY, account, day.isoformat()) for account, day in heard]
    found += [(NotificationKind.ROLE_USED_AT_ONCE, account, at.isoformat()) for account, at in used]
    return [
        Notification(kind=kind, account=told, subject=about, moment=moment)
        for kind, about, moment in sorted(found)
        for told in sorted(approvers.protectors - {about} or approvers.with_role(Role.ADMIN) - {about})
    ]


def of_notices(changed: Iterable[tuple[str, str, datetime]], approvers: Approvers) -> list[Notification]:
    """Notify data protection officers and their deputy of changed messages to callers (P5).

    Args:
        changed: Who changed which message, and when.
        approvers: Accounts and their roles.
    """
    return [
        Notification(kind=NotificationKind.NOTICE_CHANGED, account=told, subject=message, moment=at.isoformat())
        for by, message, at in changed
        for told in sorted(approvers.protectors - {by})
    ]


def of_lost_authenticators(removed: Iterable[datetime], approvers: Approvers) -> list[Notification]:
    """Notify administrators, data protection officers and their deputy of authenticators that no key opened.

    Args:
        removed: When somebody at the machine removed them.
        approvers: Accounts and their roles.
    """
    return [
        Notification(kind=NotificationKind.AUTHENTICATORS_LOST, account=told, moment=at.isoformat())
        for at in removed
        for told in sorted(approvers.protectors | approvers.with_role(Role.ADMIN))
    ]


def of_proposals(waiting: Iterable[Proposal], approvers: Approvers) -> list[Notification]:
    """Notify the people who can confirm proposed changes to accounts, and whose emails are to go elsewhere."""
    waiting = list(waiting)
    owners = [
        Notification(kind=NotificationKind.MAIL_PROPOSED, account=one.account, subject=one.id)
        for one in waiting
        if one.change is ProposedChange.MAIL
    ]
    return owners + [
        Notification(kind=NotificationKind.GRANT_WAITS, account=account, subject=one.id)
        for one in waiting
        for account in sorted(_confirming(one, approvers))
    ]


def _confirming(one: Proposal, approvers: Approvers) -> frozenset[str]:
    return confirmers(approvers.people, proposer=one.proposed_by, account=one.account, change=one.change)


def of_deputy(named_by_one: str | None, approvers: Approvers) -> list[Notification]:
    """Notify administrators of a deputy whom one person alone named."""
    told = sorted(approvers.with_role(Role.ADMIN)) if named_by_one is not None else []
    return [
        Notification(kind=NotificationKind.DEPUTY_BY_ONE, account=account, subject=str(named_by_one))
        for account in told
    ]


def of_resets(done: Iterable[Proposal]) -> list[Notification]:
    """Notify people whose authenticator was removed."""
    return [Notification(kind=NotificationKind.AUTHENTICATOR_GONE, account=one.account, subject=one.id) for one in done]


def of_passwords(done: Iterable[PasswordSet]) -> list[Notification]:
    """Notify people whose password was changed, by themselves or by others."""
    return [
        Notification(
            kind=NotificationKind.PASSWORD_CHANGED if one.by == one.account else NotificationKind.PASSWORD_SET,
            account=one.account,
            moment=one.at.isoformat(),
        )
        for one in done
    ]


def of_cases(cases: Iterable[CaseClock], approvers: Approvers, today: date) -> list[Notification]:
    """Notify handlers of open cases of due days; data protection officers too when a case is overdue."""
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
    """Notify the people who decide on rights requests: when one is made, and again when its month is over.

    Args:
        claims: Each with the day on which it is due.
        approvers: Accounts and their roles.
        today: Today in the council's time zone.
    """
    return [
        Notification(kind=kind, account=account, subject=claim.id)
        for claim, due in claims
        if claim.state is ClaimState.ASKED
        for kind in (NotificationKind.CLAIM_WAITS, *([NotificationKind.CLAIM_OVERDUE] if today > due else []))
        for account in sorted(rights.deciders(claim, approvers))
    ]


def of_scopes(waiting: Iterable[tuple[str, datetime]], approvers: Approvers, now: datetime) -> list[Notification]:
    """Notify data protection officers of cases with a wide hold that nobody has confirmed.

    Args:
        waiting: The cases, each with the moment at which its hold ends.
        approvers: Accounts and their roles.
        now: Current time, aware.
    """
    return [
        Notification(kind=NotificationKind.SCOPE_WAITS, account=account, subject=case, moment=moment)
        for case, ends_at in waiting
        for moment in ("", *(["again"] if now >= ends_at - SCOPE_AGAIN_FOR else []))
        for account in sorted(approvers.with_role(Role.DPO))
    ]


def of_holds(holds: Iterable[Hold]) -> list[Notification]:
    """Notify owners of legal holds that are due for review."""
    return [
        Notification(
            kind=NotificationKind.HOLD_DUE, account=hold.owner, subject=hold.id, moment=hold.review_on.isoformat()
        )
        for hold in holds
    ]


def of_released_holds(holds: Iterable[Hold]) -> list[Notification]:
    """Notify owners of legal holds that somebody else released, while they can be reinstated."""
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


def of_erasures(orders: Iterable[tuple[ErasureOrder, frozenset[str]]], approvers: Approvers) -> list[Notification]:
    """Notify managers of erasures that an officer ordered without a second person.

    Team leaders are notified where the team has no manager besides the one who ordered it.

    Args:
        orders: Each with the teams of its recording.
        approvers: Accounts and their roles.
    """
    return [
        Notification(kind=NotificationKind.ERASED_ALONE, account=account, subject=order.id)
        for order, teams in orders
        for account in sorted(_managing(teams, approvers) - {order.ordered_by} or approvers.leaders)
    ]


def _managing(teams: frozenset[str], approvers: Approvers) -> frozenset[str]:
    managers = (person for person in approvers.people if Role.MANAGER in person.roles)
    return frozenset(person.name for person in managers if not teams.isdisjoint(person.teams))


def of_policy(review_on: date | None, approvers: Approvers, today: date) -> list[Notification]:
    """Remind of the policy review (P24): when it is near, and again on its day.

    If the day of the last review is not set, data protection officers are notified of that each month.
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
    """Return the notifications whose account can be used."""
    names = {person.name for person in people}
    return [one for one in told if one.account in names]
