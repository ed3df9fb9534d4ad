"""Derives notifications from the stored state, and stores them. It only reads that state, so acts never wait for it.

No act sends a notification itself. So changes by a command, by a process that was killed later and by a date that has
passed are all reported, each once.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine

from recorder.access.listening.repositories import AccessRepositories
from recorder.access.proposals import Proposals
from recorder.access.sealed_secrets import LOST
from recorder.access.seals import ADDED, GRANTED, roles_in
from recorder.assurance.assurance import Assurance, assurance_of
from recorder.config.settings import Config
from recorder.data_subjects import case_deadlines, casework
from recorder.data_subjects.case_entries import CaseRepositories
from recorder.data_subjects.case_holds import waiting_scopes
from recorder.notifications import assurance_recipients, conduct, recipients
from recorder.notifications.addresses import Addresses
from recorder.notifications.box import Box
from recorder.notifications.conduct import Granted, LoggedAct
from recorder.notifications.kinds import TASKS_OF_CHANGES, TASKS_OF_DATES, Notification, NotificationKind
from recorder.notifications.recipients import CaseClock
from recorder.permissions import Act, Role
from recorder.rules.call_parts import officers_on
from recorder.rules.cases import Case
from recorder.rules.live_access import Around
from recorder.rules.live_facts import facts_listed
from recorder.rules.opt_out import may_decide
from recorder.rules.requesting import Approvers
from recorder.rules.weekly import WEEK, Week, Weekday, counted, last_weekly, word_of
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from storage.audit_reading import newest_first
from storage.erasures import Erasures
from storage.errors import NotFoundError
from storage.index import Index
from storage.retention_types import Claim, ErasureOrder
from storage.tombstones import DELETED, NOT_DELETED, tombstones_of
from storage.types import Search

OptOuts = Callable[[], list[dict[str, Any]]]
Takeovers = Callable[[], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRepositories:
    """The stored state that notifications are derived from.

    Attributes:
        cases: Cases, and through them requests, holds, accounts and the index.
        audit: The audit log.
        proposals: Changes to accounts that take two people.
        box: Stored notifications.
        addresses: Mail addresses of accounts.
        opt_outs: Returns the requests to opt out of the calls in progress.
        takeovers: Returns recent sign-ons at a phone where another officer was signed on.
        is_mail_on: Whether mails are sent.
        weekly_on: The day of the weekly figures; None sends none.
        policy_review_on: The day of the next policy review, or None.
        assurance: Calls that should have been recorded, against the recordings.
    """

    cases: CaseRepositories
    audit: AuditLog
    proposals: Proposals
    box: Box
    addresses: Addresses
    opt_outs: OptOuts
    takeovers: Takeovers
    is_mail_on: bool
    weekly_on: Weekday | None
    policy_review_on: date | None
    assurance: Assurance

    @property
    def approvers(self) -> Approvers:
        """Accounts and their roles."""
        return self.cases.hearing.approvers

    @property
    def now(self) -> datetime:
        """The current time, UTC."""
        return self.cases.cases.now()


def watch_repositories(
    engine: Engine, cases: CaseRepositories, audit: AuditLog, config: Config, *, opt_outs: OptOuts, takeovers: Takeovers
) -> WatchRepositories:
    """Return the repositories of one accounts database.

    Args:
        engine: From ``open_accounts``; the caller closes it.
        cases: Cases, and what they use.
        audit: The audit log.
        config: The configuration.
        opt_outs: Returns the requests to opt out of the calls in progress.
        takeovers: Returns recent sign-ons at a phone where another officer was signed on.
    """
    return WatchRepositories(
        cases=cases, audit=audit, proposals=Proposals(engine, now=cases.cases.now),
        box=Box(engine, now=cases.cases.now), addresses=Addresses(engine),
        opt_outs=opt_outs, takeovers=takeovers, is_mail_on=config.mail.smtp is not None,
        weekly_on=config.mail.weekly_on, policy_review_on=config.site.policy_review_on,
        assurance=assurance_of(config, cases.holds.index.database, cases.holds.index, cases.cases.now),
    )  # fmt: skip


def notify_of_changes(repos: WatchRepositories) -> int:
    """Store notifications about changes of the stored state; return how many were new. Call it every few seconds."""
    hearing, approvers = repos.cases.hearing, repos.approvers
    emergencies = [one.id for one in hearing.emergencies.open()]
    return _keep(
        repos,
        approvers,
        [
            *recipients.of_requests(hearing.requests.waiting(), approvers),
            *recipients.of_decisions(hearing.requests.decided_since(repos.now - recipients.TOLD_FOR), repos.now),
            *recipients.of_emergencies(emergencies, approvers),
            *recipients.of_disagreements(disagreements_of(hearing), approvers),
            *recipients.of_proposals(repos.proposals.waiting(), approvers),
            *recipients.of_resets(repos.proposals.resets_since(repos.now - recipients.TOLD_FOR)),
            *recipients.of_passwords(hearing.people.passwords_set_since(repos.now - recipients.TOLD_FOR)),
            *of_opt_outs(repos.opt_outs(), approvers),
            *of_takeovers(repos.takeovers(), approvers),
            *recipients.of_claims(_claims(repos.cases), approvers, repos.cases.today),
            *recipients.of_scopes(waiting_scopes(repos.cases.holds), approvers, repos.now),
        ],
        TASKS_OF_CHANGES,
    )


def disagreements_of(hearing: AccessRepositories) -> list[str]:
    """Return an identifier of each record in the accounts database that the audit log does not explain."""
    roles = [f"{name}: {','.join(sorted(of))}" for name, of in sorted(hearing.people.unexplained().items())]
    deputy = hearing.appointments.unexplained(hearing.people)
    found = (*roles, *([] if deputy is None else [f"deputy: {deputy}"]), *hearing.contradicted)
    return [hashlib.sha256(one.encode()).hexdigest()[:8] for one in found]


def notify_of_dates(repos: WatchRepositories) -> int:
    """Store notifications that the calendar brings: due days, reviews, the week; return how many were new.

    Call it every few minutes.
    """
    cases, approvers = repos.cases, repos.approvers
    clocks = clocks_of(cases)
    return _keep(
        repos,
        approvers,
        [
            *recipients.of_cases(clocks, approvers, cases.today),
            *recipients.of_holds(cases.holds.holds.due_for_review(cases.today)),
            *recipients.of_released_holds(cases.holds.holds.in_grace(repos.now)),
            *recipients.of_deputy(cases.hearing.appointments.deputy_named_by_one(), approvers),
            *recipients.of_policy(repos.policy_review_on, approvers, cases.today),
            *recipients.of_erasures(_erased_alone(cases.holds.index, repos.now), approvers),
            *_conduct(repos, approvers),
            *_weekly(repos, approvers),
            *_assured(repos, approvers),
        ],
        TASKS_OF_DATES,
    )


_UNMANAGED = Around(managed=frozenset())
"""Notify team leaders too: they decide if no manager of the team is signed in by then."""


def of_opt_outs(found: Iterable[Mapping[str, Any]], approvers: Approvers) -> list[Notification]:
    """Notify managers of opt-out requests in live calls, and officers of the decisions.

    Args:
        found: The requests as the daemon lists them.
        approvers: Accounts and their roles.
    """
    told = []
    for one in found:
        facts = facts_listed(one)
        if one["state"] == "raised":
            told += [
                Notification(kind=NotificationKind.OPT_OUT_WAITS, account=person.name, subject=one["id"])
                for person in approvers.people
                if may_decide(person, facts, _UNMANAGED)
            ]
        elif one["state"] in ("granted", "declined") and one["decided_by"] != one["raised_by"]:
            told.append(
                Notification(kind=NotificationKind.OPT_OUT_DECIDED, account=one["raised_by"], subject=one["id"])
            )
    return told


def of_takeovers(found: Iterable[Mapping[str, Any]], approvers: Approvers) -> list[Notification]:
    """Notify both officers concerned that a phone was taken over.

    Args:
        found: The takeovers as the daemon lists them.
        approvers: Accounts and their roles.
    """
    return [
        Notification(kind=NotificationKind.TAKEN_OVER, account=person.name, moment=str(one["at"]))
        for one in found
        for person in approvers.people
        if person.display_name and person.display_name in (one["operator"], one["instead_of"])
    ]


def week_until(repos: WatchRepositories, end: datetime) -> Week:
    """Return the figures of the seven days before a moment."""
    cases, start = repos.cases, (end - WEEK).astimezone(UTC)
    search = Search(started_from=start, started_to=end.astimezone(UTC))
    acts, deleted = _acts(repos.audit, start, end)
    open_cases = [one for one in cases.cases.all() if one.closed_on is None]
    return Week(
        start=end - WEEK, end=end, calls=counted(cases.holds.index.each(search)), acts=acts, deleted=deleted,
        holds_due=len(cases.holds.holds.due_for_review(cases.today)),
        emergencies=len(cases.hearing.emergencies.open()), cases_open=len(open_cases),
        cases_overdue=sum(_is_overdue(cases, one) for one in open_cases), review_on=repos.policy_review_on,
    )  # fmt: skip


def _weekly(repos: WatchRepositories, approvers: Approvers) -> list[Notification]:
    officers = sorted(approvers.with_role(Role.DPO))
    if repos.weekly_on is None or not officers:
        return []
    end = last_weekly(repos.now, repos.weekly_on, ZoneInfo(repos.cases.timezone))
    told = [Notification(kind=NotificationKind.WEEK, account=one, moment=end.date().isoformat()) for one in officers]
    if not repos.box.is_new(told):
        return []
    text = "\n".join(f"{what}: {count}" for what, count in week_until(repos, end).lines())
    return [Notification(kind=NotificationKind.WEEK, account=one.account, moment=one.moment, text=text) for one in told]


def _assured(repos: WatchRepositories, approvers: Approvers) -> list[Notification]:
    assurance = repos.assurance
    last = assurance.today - timedelta(days=1)
    found = assurance.store.findings(last - recipients.TOLD_FOR, last)
    return [
        *assurance_recipients.of_findings([one for one in found if one.explanation is None], approvers),
        *assurance_recipients.of_trend(assurance.trend(), approvers),
    ]


def _erased_alone(index: Index, now: datetime) -> Iterator[tuple[ErasureOrder, frozenset[str]]]:
    """Yield the orders to erase of the last days that no second person decided on, with their recordings' teams."""
    for order in Erasures(index.database).alone_since(now - recipients.TOLD_FOR):
        with contextlib.suppress(NotFoundError):
            row = index.get(order.recording)
            yield order, frozenset({*officers_on(row)[1], row.team}) - {""}


def _conduct(repos: WatchRepositories, approvers: Approvers) -> list[Notification]:
    done, granted = _lately(repos.audit, repos.now - conduct.LOOKED_AT)
    people = {person.name: person for person in approvers.people}
    heard = conduct.heard_many(done, ZoneInfo(repos.cases.timezone))
    notices = [(one.actor, one.subject, one.at) for one in done if one.act == Act.SET_NOTICE]
    return [
        *recipients.of_conduct(heard, conduct.used_at_once(done, granted, people), approvers),
        *recipients.of_notices(notices, approvers),
        *recipients.of_lost_authenticators([one.at for one in done if one.act == LOST], approvers),
    ]


def _lately(audit: AuditLog, since: datetime) -> tuple[list[LoggedAct], list[Granted]]:
    done, granted = [], []
    for entry in newest_first(audit.path):
        at = datetime.fromisoformat(entry.at)
        if at < since:
            break
        act = str(entry.details.get("by_act") or entry.act)
        done.append(LoggedAct(at=at, act=act, actor=entry.actor, subject=entry.subject))
        if given := _given(entry):
            granted.append(Granted(at=at, account=entry.subject, roles=given))
    return done, granted


def _given(entry: AuditEntry) -> frozenset[Role]:
    """Return the roles that an entry grants.

    A new account's officer role does not count: it is meant to be used at once. Nor do the roles from `recorder init`.
    """
    if entry.act not in (ADDED, GRANTED) or entry.actor.startswith("os:"):
        return frozenset()
    roles = roles_in(entry.details.get("roles"))
    return roles - {Role.OFFICER} if entry.act == ADDED else roles


def _claims(cases: CaseRepositories) -> list[tuple[Claim, date]]:
    claims = casework.claim_repositories(cases).claims.open()
    return [(claim, case_deadlines.claim_due(cases, claim)) for claim in claims]


def clocks_of(cases: CaseRepositories) -> list[CaseClock]:
    """Return the due days of the cases that are not decided yet."""
    return [_clock_of(cases, one) for one in cases.cases.all() if one.closed_on is None and one.decision is None]


def _clock_of(cases: CaseRepositories, one: Case) -> CaseClock:
    due_on, is_pressing = case_deadlines.due(cases, one), case_deadlines.is_pressing(cases, one)
    return CaseClock(id=one.id, handler=one.handler, due_on=due_on, is_pressing=is_pressing)


def _is_overdue(cases: CaseRepositories, one: Case) -> bool:
    day = case_deadlines.due(cases, one)
    return one.decision is None and day is not None and day < cases.today


def _acts(audit: AuditLog, start: datetime, end: datetime) -> tuple[dict[str, int], int]:
    counts: dict[str, int] = {}
    deleted = 0
    for entry in newest_first(audit.path):
        at = datetime.fromisoformat(entry.at)
        if at < start:
            break
        if at >= end:
            continue
        if entry.act == DELETED:
            deleted += len(tombstones_of(entry))
        if entry.act == NOT_DELETED:
            deleted -= len(entry.details["recordings"])
        if (word := word_of(entry.act)) is not None:
            counts[word] = counts.get(word, 0) + 1
    return counts, deleted


def _keep(
    repos: WatchRepositories, approvers: Approvers, told: Iterable[Notification], tasks: frozenset[NotificationKind]
) -> int:
    by_mail = frozenset(repos.addresses.all()) if repos.is_mail_on else frozenset()
    return repos.box.tell(recipients.usable(told, approvers.people), by_mail=by_mail, tasks=tasks)
