"""What people are told of by the recorder: what waits for them, what was decided, what runs out. Pure.

A notification says that something is so and where to look: never who called, from which number, or why. So it can go
by mail. Each is told to an account once; what it is about is found again by `Notification.key`.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from types import MappingProxyType

from recorder.access.granting import PasswordSet, Proposal, confirmers
from recorder.permissions import Person, Role
from recorder.retention import rights
from recorder.rules.requesting import AccessRequest, Bench, RequestState, deciders
from storage.types import Claim, ClaimState, Hold

TOLD_FOR = timedelta(days=7)
"""A decision that is older than this is no news."""
REVIEW_REMINDED_FOR = timedelta(days=90)
"""So long before the day of the policy's review its reminder comes (P24)."""
MAIL_TRIED_FOR = timedelta(days=5)
"""RFC 5321 section 4.5.4.1: how long a mail is tried, at least four to five days."""
FIRST_RETRY, LONGEST_RETRY = timedelta(minutes=1), timedelta(hours=1)
FAILING_AFTER = timedelta(hours=1)
"""A mail that has not left by then is an alarm of health: a server that is started again is back sooner."""
STUCK_AFTER = timedelta(days=1)
"""A mail that has not left by then is told to ICT on their own page, where mail does not come."""


class Kind(enum.StrEnum):
    """What there is to be told."""

    REQUEST_WAITS = "request_waits"
    REQUEST_DECIDED = "request_decided"
    OPT_OUT_WAITS = "opt_out_waits"
    OPT_OUT_DECIDED = "opt_out_decided"
    EMERGENCY = "emergency"
    GRANT_WAITS = "grant_waits"
    AUTHENTICATOR_GONE = "authenticator_gone"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a kind of notification, not a secret
    PASSWORD_SET = "password_set"  # noqa: S105 - likewise
    CLAIM_WAITS = "claim_waits"
    CLAIM_OVERDUE = "claim_overdue"
    CASE_PRESSING = "case_pressing"
    CASE_DUE = "case_due"
    CASE_OVERDUE = "case_overdue"
    HOLD_DUE = "hold_due"
    HOLD_RELEASED = "hold_released"
    POLICY_REVIEW = "policy_review"
    MAIL_STUCK = "mail_stuck"
    ACCOUNTS_CHANGED = "accounts_changed"
    WEEK = "week"
    SCOPE_WAITS = "scope_waits"
    TAKEN_OVER = "taken_over"
    HEARD_MANY = "heard_many"
    ROLE_USED_AT_ONCE = "role_used_at_once"
    NOTICE_CHANGED = "notice_changed"
    DEPUTY_BY_ONE = "deputy_by_one"
    POLICY_UNDATED = "policy_undated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How a kind of notification reads.

    Attributes:
        subject: Of the mail, and on the page.
        sentence: What is so.
        path: Where to look in the console.
        mail_for: How long its mail is worth sending; None is not at all.
    """

    subject: str
    sentence: str
    path: str
    mail_for: timedelta | None = MAIL_TRIED_FOR


WORDING: Mapping[Kind, Wording] = MappingProxyType(
    {
        Kind.REQUEST_WAITS: Wording(
            subject="A request waits for your decision",
            sentence="Somebody asks to hear recordings, and you are who decides.",
            path="/requests",
        ),
        Kind.REQUEST_DECIDED: Wording(
            subject="Your request was decided",
            sentence="A request of yours to hear recordings was decided, or you were given leave in a case.",
            path="/requests",
        ),
        Kind.OPT_OUT_WAITS: Wording(
            subject="A caller asks not to be recorded",
            sentence="An officer asks that the recording of a call that goes on be stopped, and you can decide it.",
            path="/live",
            mail_for=timedelta(minutes=30),
        ),
        Kind.OPT_OUT_DECIDED: Wording(
            subject="Your request to stop recording was decided",
            sentence="What you asked for during a call was granted or declined.",
            path="/live",
            mail_for=timedelta(minutes=30),
        ),
        Kind.EMERGENCY: Wording(
            subject="A recording was heard without approval",
            sentence="ICT listened to a recording in an emergency (break-glass). Please take note of it.",
            path="/requests",
        ),
        Kind.GRANT_WAITS: Wording(
            subject="A change to an account waits for a second person",
            sentence="Somebody proposes a powerful role, a new password, another authenticator or a token; "
            "you may confirm it.",
            path="/people",
        ),
        Kind.AUTHENTICATOR_GONE: Wording(
            subject="Your authenticator was taken away",
            sentence="An administrator took it away. If you did not ask for that, tell the data protection officer.",
            path="/account",
        ),
        Kind.PASSWORD_CHANGED: Wording(
            subject="Your password was changed",
            sentence="It was changed with your old one. If it was not you, tell an administrator at once.",
            path="/account",
        ),
        Kind.PASSWORD_SET: Wording(
            subject="You were given a new password",
            sentence="An administrator set it. If you did not ask for that, tell the data protection officer.",
            path="/account",
        ),
        Kind.CLAIM_WAITS: Wording(
            subject="A data subject asks for a decision of yours",
            sentence="Somebody asks that a recording be restricted or erased, or objects; it has to be decided.",
            path="/rights",
        ),
        Kind.CLAIM_OVERDUE: Wording(
            subject="A data subject was not answered in time",
            sentence="A restriction, an objection or an erasure that was asked for was not decided within a month.",
            path="/rights",
        ),
        Kind.CASE_PRESSING: Wording(
            subject="Time runs out for a case",
            sentence="A subject access request is 28 days old, or as near to its end.",
            path="/cases",
        ),
        Kind.CASE_DUE: Wording(
            subject="A case is due today",
            sentence="A subject access request has to be answered today.",
            path="/cases",
        ),
        Kind.CASE_OVERDUE: Wording(
            subject="A case is overdue",
            sentence="A subject access request has not been answered in time.",
            path="/cases",
        ),
        Kind.HOLD_DUE: Wording(
            subject="A hold is due for review",
            sentence="Say whether the recording has to be kept any longer, or release the hold.",
            path="/holds",
        ),
        Kind.HOLD_RELEASED: Wording(
            subject="A hold of yours was released by somebody else",
            sentence="The recording is kept for 14 days from the release: take it back if it is still needed.",
            path="/holds",
        ),
        Kind.POLICY_REVIEW: Wording(
            subject="The recording policy is due for review",
            sentence="The policy on call recording is reviewed every three years; its day is near, or has passed.",
            path="/notifications",
        ),
        Kind.ACCOUNTS_CHANGED: Wording(
            subject="The file of accounts was changed past the recorder",
            sentence="A role, the data protection officer's deputy, or a recording heard without approval, is not "
            "as the audit log has it. What no entry explains gives no right; look who has which role.",
            path="/people",
        ),
        Kind.MAIL_STUCK: Wording(
            subject="Mails do not leave the recorder",
            sentence="Notifications have not left by mail for a day: `recorder mail status` says why.",
            path="/notifications",
            mail_for=None,
        ),
        Kind.SCOPE_WAITS: Wording(
            subject="A case holds many recordings until you decide",
            sentence="More is held for a case than a narrow search finds, for 14 days: confirm it, or narrow it.",
            path="/cases",
        ),
        Kind.WEEK: Wording(
            subject="The week of the call recorder",
            sentence="The figures of the last seven days:",
            path="/notifications",
        ),
        Kind.TAKEN_OVER: Wording(
            subject="A phone was taken over",
            sentence="Somebody signed on at a phone that was another officer's. If you did not expect that, tell your "
            "manager.",
            path="/agent",
        ),
        Kind.HEARD_MANY: Wording(
            subject="Somebody heard very many recordings in a day",
            sentence="An account heard or copied 40 recordings or more in a day. Each was allowed; the audit log has "
            "which, and why.",
            path="/audit",
        ),
        Kind.ROLE_USED_AT_ONCE: Wording(
            subject="A role was used as soon as it was granted",
            sentence="An account did what its new role allows within an hour of getting it. The audit log has who "
            "granted it and what was done.",
            path="/audit",
        ),
        Kind.NOTICE_CHANGED: Wording(
            subject="A message that callers hear was changed",
            sentence="Somebody made another sound file a message to callers. Who has not heard the right one was not "
            "told: listen to it before the configuration is read again.",
            path="/notices",
        ),
        Kind.DEPUTY_BY_ONE: Wording(
            subject="One person named the data protection officer's deputy",
            sentence="The deputy decides on the data protection officer's requests, so two others name them. Whoever "
            "was named before goes on: propose them once more (recorder requests deputy NAME), or somebody else.",
            path="/people",
        ),
        Kind.POLICY_UNDATED: Wording(
            subject="Nobody is reminded of the policy's review",
            sentence="The policy on call recording is reviewed every three years, and the recorder does not know when "
            "it last was: ICT puts that day into policy_reviewed_on in [site].",
            path="/overview",
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """Something that an account is to be told, once.

    Attributes:
        kind: What.
        account: Whom.
        subject: The id of what it is about: never a recording's, which holds an extension.
        moment: What makes it another one if it comes again: a due day, a week.
        text: Figures, for the weekly one.
    """

    kind: Kind
    account: str
    subject: str = ""
    moment: str = ""
    text: str = ""

    @property
    def key(self) -> str:
        """Return what is told once to an account."""
        return f"{self.kind}/{self.subject}/{self.moment}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseClock:
    """What of an open case matters here: who works on it, when it is due, and whether time runs out."""

    id: str
    handler: str
    due_on: date | None
    is_pressing: bool


def of_requests(waiting: Iterable[AccessRequest], bench: Bench) -> list[Notification]:
    """Return what whoever must decide is to be told, as things stand: absences move it to somebody else."""
    known = {person.name: person for person in bench.people}
    return [
        Notification(kind=Kind.REQUEST_WAITS, account=account, subject=request.id)
        for request in waiting
        if request.state is RequestState.WAITING and request.account in known
        for account in sorted(deciders(known[request.account], bench))
    ]


def of_decisions(requests: Iterable[AccessRequest], now: datetime) -> list[Notification]:
    """Return what whoever asked is to be told: decisions of the last days by others."""
    return [
        Notification(kind=Kind.REQUEST_DECIDED, account=request.account, subject=request.id)
        for request in requests
        if request.state in (RequestState.GRANTED, RequestState.DECLINED)
        and request.decided_by != request.account
        and request.decided_at is not None
        and now - request.decided_at < TOLD_FOR
    ]


def of_emergencies(ids: Iterable[str], bench: Bench) -> list[Notification]:
    """Return what the data protection officers and their deputy are told of recordings heard without approval."""
    officers = sorted(bench.protectors)
    return [Notification(kind=Kind.EMERGENCY, account=account, subject=one) for one in ids for account in officers]


def of_disagreements(found: Iterable[str], bench: Bench) -> list[Notification]:
    """Return what administrators, data protection officers and their deputy are told of changes past the recorder.

    Args:
        found: A mark of each that stays the same while it is there; holds no name.
        bench: Who there is.
    """
    told = sorted({*bench.protectors, *(one.name for one in bench.people if Role.ADMIN in one.roles)})
    return [Notification(kind=Kind.ACCOUNTS_CHANGED, account=account, subject=one) for one in found for account in told]


def of_conduct(
    heard: Iterable[tuple[str, date]], used: Iterable[tuple[str, datetime]], bench: Bench
) -> list[Notification]:
    """Return what is told of conduct that may be an account in the wrong hands; never to whom it is about.

    Data protection officers and their deputy are told; administrators where that is nobody else.

    Args:
        heard: Who heard very many recordings, and on which day.
        used: Whose role was used at once, and when it was granted.
        bench: Who there is.
    """
    found = [(Kind.HEARD_MANY, account, day.isoformat()) for account, day in heard]
    found += [(Kind.ROLE_USED_AT_ONCE, account, at.isoformat()) for account, at in used]
    return [
        Notification(kind=kind, account=told, subject=about, moment=moment)
        for kind, about, moment in sorted(found)
        for told in sorted(bench.protectors - {about} or bench.with_role(Role.ADMIN) - {about})
    ]


def of_notices(changed: Iterable[tuple[str, str, datetime]], bench: Bench) -> list[Notification]:
    """Return what the data protection officers and their deputy are told of messages to callers that were changed (P5).

    Args:
        changed: Who changed one, which, and when.
        bench: Who there is.
    """
    return [
        Notification(kind=Kind.NOTICE_CHANGED, account=told, subject=message, moment=at.isoformat())
        for by, message, at in changed
        for told in sorted(bench.protectors - {by})
    ]


def of_proposals(waiting: Iterable[Proposal], bench: Bench) -> list[Notification]:
    """Return what whoever may confirm a change to an account is to be told."""
    return [
        Notification(kind=Kind.GRANT_WAITS, account=account, subject=one.id)
        for one in waiting
        for account in sorted(_confirming(one, bench))
    ]


def _confirming(one: Proposal, bench: Bench) -> frozenset[str]:
    return confirmers(bench.people, proposer=one.proposed_by, account=one.account, change=one.change)


def of_deputy(named_by_one: str | None, bench: Bench) -> list[Notification]:
    """Return what administrators are told of a deputy of before it took two people to name one."""
    told = sorted(bench.with_role(Role.ADMIN)) if named_by_one is not None else []
    return [Notification(kind=Kind.DEPUTY_BY_ONE, account=account, subject=str(named_by_one)) for account in told]


def of_resets(done: Iterable[Proposal]) -> list[Notification]:
    """Return what those are to be told whose authenticator was taken away."""
    return [Notification(kind=Kind.AUTHENTICATOR_GONE, account=one.account, subject=one.id) for one in done]


def of_passwords(done: Iterable[PasswordSet]) -> list[Notification]:
    """Return what those are to be told whose password is a new one, whoever set it."""
    return [
        Notification(
            kind=Kind.PASSWORD_CHANGED if one.by == one.account else Kind.PASSWORD_SET,
            account=one.account,
            moment=one.at.isoformat(),
        )
        for one in done
    ]


def of_cases(cases: Iterable[CaseClock], bench: Bench, today: date) -> list[Notification]:
    """Return what handlers of open cases are to be told, and of what is overdue the data protection officers too."""
    told = []
    officers = bench.with_role(Role.DPO)
    for case in cases:
        kind = _of_case(case, today)
        if kind is not None and case.due_on is not None:
            whom = {case.handler} | (officers if kind is Kind.CASE_OVERDUE else frozenset())
            moment = case.due_on.isoformat()
            told += [Notification(kind=kind, account=one, subject=case.id, moment=moment) for one in sorted(whom)]
    return told


def _of_case(case: CaseClock, today: date) -> Kind | None:
    if case.due_on is None:
        return None
    if today > case.due_on:
        return Kind.CASE_OVERDUE
    if today == case.due_on:
        return Kind.CASE_DUE
    return Kind.CASE_PRESSING if case.is_pressing else None


def of_claims(claims: Iterable[tuple[Claim, date]], bench: Bench, today: date) -> list[Notification]:
    """Return what whoever decides claims is to be told: those that wait, and once more when a month has passed.

    Args:
        claims: Each with the day on which it is due.
        bench: Who there is.
        today: The council's day.
    """
    return [
        Notification(kind=kind, account=account, subject=claim.id)
        for claim, due in claims
        if claim.state is ClaimState.ASKED
        for kind in (Kind.CLAIM_WAITS, *([Kind.CLAIM_OVERDUE] if today > due else []))
        for account in sorted(rights.deciders(claim, bench))
    ]


SCOPE_AGAIN_FOR = timedelta(days=4)
"""So long before the end the data protection officer is told once more of what waits to be confirmed."""


def of_scopes(waiting: Iterable[tuple[str, datetime]], bench: Bench, now: datetime) -> list[Notification]:
    """Return what data protection officers are to be told of cases that hold much until they say so.

    Args:
        waiting: The cases, each with the moment at which its hold ends.
        bench: Who there is.
        now: Aware.
    """
    return [
        Notification(kind=Kind.SCOPE_WAITS, account=account, subject=case, moment=moment)
        for case, ends_at in waiting
        for moment in ("", *(["again"] if now >= ends_at - SCOPE_AGAIN_FOR else []))
        for account in sorted(bench.with_role(Role.DPO))
    ]


def of_holds(holds: Iterable[Hold]) -> list[Notification]:
    """Return what owners of holds that are due for review are to be told."""
    return [
        Notification(kind=Kind.HOLD_DUE, account=hold.owner, subject=hold.id, moment=hold.review_on.isoformat())
        for hold in holds
    ]


def of_released_holds(holds: Iterable[Hold]) -> list[Notification]:
    """Return what owners of holds are to be told that somebody else has released, while that can be taken back."""
    return [
        Notification(kind=Kind.HOLD_RELEASED, account=hold.owner, subject=hold.id, moment=hold.released_at.isoformat())
        for hold in holds
        if hold.released_at is not None and hold.released_by != hold.owner
    ]


def of_policy(review_on: date | None, bench: Bench, today: date) -> list[Notification]:
    """Return the reminder of the policy's review (P24): when it is near, and again when its day has come.

    Where nobody has said when the last one was, the officers are told so each month.
    """
    if review_on is None:
        month = f"{today:%Y-%m}"
        return [
            Notification(kind=Kind.POLICY_UNDATED, account=account, moment=month)
            for account in sorted(bench.with_role(Role.DPO))
        ]
    if today < review_on - REVIEW_REMINDED_FOR:
        return []
    when = "due" if today >= review_on else "near"
    return [
        Notification(kind=Kind.POLICY_REVIEW, account=account, moment=f"{review_on.isoformat()} {when}")
        for account in sorted(bench.with_role(Role.DPO))
    ]


def usable(told: Iterable[Notification], people: Iterable[Person]) -> list[Notification]:
    """Return what is told to people whose accounts can be used."""
    names = {person.name for person in people}
    return [one for one in told if one.account in names]


def retry_after(tries: int) -> timedelta:
    """Return how long a mail waits after it was not taken ``tries`` times, at least once: doubling, to an hour."""
    return min(FIRST_RETRY * (1 << min(tries - 1, 10)), LONGEST_RETRY)
