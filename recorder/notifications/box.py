"""Stored notifications: each is stored once, marked when it was seen, and queued for mail until it is sent.

They are in the accounts database, so queued mails survive a restart.
"""

import enum
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, delete, func, insert, select, update

from recorder.access.database import from_s
from recorder.access.tables import notifications
from recorder.notifications.kinds import (
    TASKS_OF_CHANGES,
    TASKS_OF_DATES,
    WORDING,
    Notification,
    NotificationKind,
    Wording,
)

LISTED = 200
_AT_ONCE = 20
"""Most mails that one run sends."""


class MailState(enum.StrEnum):
    """What became of a notification's mail."""

    NONE = "none"
    QUEUED = "queued"
    SENT = "sent"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A stored notification.

    Attributes:
        notification: The notification.
        made_at: When it was stored, UTC.
        seen_at: When the account's owner saw it, or None.
        over_at: When what it asks for was done or became impossible, or None.
        mail: What became of its mail.
        tries: How many attempts to send the mail have failed.
        problem: Why the last attempt failed.
    """

    notification: Notification
    made_at: datetime
    seen_at: datetime | None = None
    over_at: datetime | None = None
    mail: MailState = MailState.NONE
    tries: int = 0
    problem: str = ""

    @property
    def is_new(self) -> bool:
        """Whether its owner has not seen it, and it is not over."""
        return self.seen_at is None and self.over_at is None

    @property
    def waits(self) -> bool:
        """Whether it asks for something that still has to be done."""
        return self.notification.kind in TASKS_OF_CHANGES | TASKS_OF_DATES and self.over_at is None

    @property
    def wording(self) -> Wording:
        """Subject, sentence and path of this kind of notification."""
        return WORDING[self.notification.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """State of the mail queue: mails waiting, age of the oldest, mails given up in the last days, the last problem."""

    waiting: int
    oldest_at: datetime | None
    given_up: int
    problem: str


class Box:
    """The notifications in one accounts database; safe to use from several threads and processes.

    Args:
        engine: From ``open_accounts``; the caller closes it.
        now: Returns the current time, aware, UTC.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    def tell(
        self, told: Iterable[Notification], *, by_mail: frozenset[str], tasks: Collection[NotificationKind] = ()
    ) -> int:
        """Store new notifications and leave stored ones as they were told; return how many were new.

        Args:
            told: Notifications that apply now.
            by_mail: Accounts that get mails.
            tasks: Kinds of which ``told`` has everything that still has to be done; stored ones of these kinds that are
                not told are over from now on.
        """
        told, now_s = list(told), self._now().timestamp()
        if tasks:
            self._keep_open({(one.account, one.key) for one in told}, tasks, now_s)
        rows = [
            {
                "account": one.account, "key": one.key, "kind": str(one.kind), "subject": one.subject,
                "moment": one.moment, "text": one.text, "made_s": now_s, "tries": 0, "next_try_s": now_s, "problem": "",
                "mail": str(
                    MailState.QUEUED if one.account in by_mail and WORDING[one.kind].mail_for else MailState.NONE
                ),
            }
            for one in told
        ]  # fmt: skip
        if not rows:
            return 0
        keys = {(row["account"], row["key"]) for row in rows}
        with self._engine.begin() as connection:
            accounts = sorted({str(row["account"]) for row in rows})
            known = connection.execute(
                select(notifications.c.account, notifications.c.key).where(notifications.c.account.in_(accounts))
            )
            new = keys - {(row.account, row.key) for row in known}
            fresh = [row for row in rows if (row["account"], row["key"]) in new]
            if fresh:
                connection.execute(insert(notifications), fresh)
        return len(new)

    def _keep_open(
        self, open_now: Collection[tuple[str, str]], tasks: Collection[NotificationKind], now_s: float
    ) -> None:
        """Mark stored notifications as over or as open again."""
        table = notifications.c
        stored = select(table.account, table.key, table.over_s).where(table.kind.in_([str(kind) for kind in tasks]))
        with self._engine.begin() as connection:
            for row in connection.execute(stored).all():
                is_over = (row.account, row.key) not in open_now
                if is_over != (row.over_s is not None):
                    is_it = (table.account == row.account) & (table.key == row.key)
                    over_s = now_s if is_over else None
                    connection.execute(update(notifications).where(is_it).values(over_s=over_s))

    def settle(self, kinds: Collection[NotificationKind], subject: str) -> None:
        """Mark everybody's notifications of some kinds about a subject as over: it was just done."""
        table = notifications.c
        is_it = table.kind.in_([str(kind) for kind in kinds]) & (table.subject == subject) & table.over_s.is_(None)
        with self._engine.begin() as connection:
            connection.execute(update(notifications).where(is_it).values(over_s=self._now().timestamp()))

    def is_new(self, told: Iterable[Notification]) -> bool:
        """Tell whether any of these notifications is not stored yet."""
        wanted = {(one.account, one.key) for one in told}
        accounts = sorted({account for account, _ in wanted})
        query = select(notifications.c.account, notifications.c.key).where(notifications.c.account.in_(accounts))
        with self._engine.begin() as connection:
            return bool(wanted - {(row.account, row.key) for row in connection.execute(query)})

    def of_account(self, account: str) -> list[Kept]:
        """Return an account's notifications, newest first."""
        return self._found(notifications.c.account == account)

    def unseen(self, account: str) -> int:
        """Return how many notifications an account has not seen, without those that are over."""
        table = notifications.c
        query = select(func.count()).where(table.account == account, table.seen_s.is_(None), table.over_s.is_(None))
        with self._engine.begin() as connection:
            return int(connection.execute(query).scalar_one())

    def mark_seen(self, account: str) -> None:
        """Mark all notifications of an account as seen."""
        is_new = (notifications.c.account == account) & notifications.c.seen_s.is_(None)
        with self._engine.begin() as connection:
            connection.execute(update(notifications).where(is_new).values(seen_s=self._now().timestamp()))

    def to_send(self) -> list[Kept]:
        """Return the mails that are due for an attempt, oldest first."""
        is_due = notifications.c.next_try_s <= self._now().timestamp()
        return self._found(
            notifications.c.mail == str(MailState.QUEUED), is_due, order=notifications.c.made_s.asc(), limit=_AT_ONCE
        )

    def sent(self, one: Kept) -> None:
        """Record that the mail server accepted a mail."""
        self._change(one, mail=str(MailState.SENT), sent_s=self._now().timestamp(), problem="")

    def postpone(self, one: Kept, problem: str, *, wait: timedelta) -> None:
        """Record a failed attempt, and try again after ``wait``."""
        at_s = (self._now() + wait).timestamp()
        self._change(one, tries=one.tries + 1, next_try_s=at_s, problem=problem)

    def give_up(self, one: Kept, problem: str) -> None:
        """Record that a mail is not tried again; the notification stays in the console."""
        self._change(one, mail=str(MailState.GIVEN_UP), tries=one.tries + 1, problem=problem)

    def queue(self) -> Queue:
        """Return the state of the mail queue."""
        table = notifications.c
        with self._engine.begin() as connection:
            waiting, oldest_s = connection.execute(
                select(func.count(), func.min(table.made_s)).where(table.mail == str(MailState.QUEUED))
            ).one()
            given_up = connection.execute(
                select(func.count()).where(table.mail == str(MailState.GIVEN_UP))
            ).scalar_one()
            problem = connection.execute(
                select(table.problem).where(table.problem != "").order_by(table.next_try_s.desc()).limit(1)
            ).scalar()
        return Queue(waiting=waiting, oldest_at=from_s(oldest_s), given_up=given_up, problem=problem or "")

    def forget(self, *, before: datetime) -> int:
        """Delete notifications older than a moment, except those with a queued mail; return how many were deleted."""
        is_old = (notifications.c.made_s < before.timestamp()) & (notifications.c.mail != str(MailState.QUEUED))
        with self._engine.begin() as connection:
            return int(connection.execute(delete(notifications).where(is_old)).rowcount)

    def count_before(self, before: datetime) -> int:
        """Return how many notifications `forget` would delete."""
        is_old = (notifications.c.made_s < before.timestamp()) & (notifications.c.mail != str(MailState.QUEUED))
        with self._engine.begin() as connection:
            return int(connection.execute(select(func.count()).where(is_old)).scalar_one())

    def _change(self, one: Kept, **values: Any) -> None:  # noqa: ANN401 - columns
        told = one.notification
        is_it = (notifications.c.account == told.account) & (notifications.c.key == told.key)
        with self._engine.begin() as connection:
            connection.execute(update(notifications).where(is_it).values(**values))

    def _found(
        self, *conditions: ColumnElement[bool], order: ColumnElement[Any] | None = None, limit: int = LISTED
    ) -> list[Kept]:
        by = notifications.c.made_s.desc() if order is None else order
        query = select(notifications).where(*conditions).order_by(by, notifications.c.key).limit(limit)
        with self._engine.begin() as connection:
            return [_kept(row) for row in connection.execute(query).mappings()]


def _kept(row: Any) -> Kept:  # noqa: ANN401 - a RowMapping
    made_at = from_s(row["made_s"])
    assert made_at is not None
    told = Notification(
        kind=NotificationKind(row["kind"]),
        account=row["account"],
        subject=row["subject"],
        moment=row["moment"],
        text=row["text"],
    )
    return Kept(
        notification=told, made_at=made_at, seen_at=from_s(row["seen_s"]), over_at=from_s(row["over_s"]),
        mail=MailState(row["mail"]), tries=row["tries"], problem=row["problem"],
    )  # fmt: skip
