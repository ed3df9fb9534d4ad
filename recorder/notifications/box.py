"""Notifications as they are kept: told once, seen by whom they are for, and on their way by mail until they have left.

In the file of people, so a mail that could not leave outlives whatever is restarted.
"""

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from recorder.access.database import from_s
from recorder.access.tables import notifications
from recorder.notifications.kinds import WORDING, Notification, NotificationKind, Wording

LISTED = 200
_AT_ONCE = 20
"""Mails in one go."""


class MailState(enum.StrEnum):
    """Where a notification's mail stands."""

    NONE = "none"
    QUEUED = "queued"
    SENT = "sent"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A notification as it is kept.

    Attributes:
        notification: What is told to whom.
        made_at: Since when, UTC.
        seen_at: When they had seen it, or None.
        mail: Where its mail stands.
        tries: How often the mail was not taken.
        problem: Why, the last time.
    """

    notification: Notification
    made_at: datetime
    seen_at: datetime | None = None
    mail: MailState = MailState.NONE
    tries: int = 0
    problem: str = ""

    @property
    def wording(self) -> Wording:
        """Return how it reads."""
        return WORDING[self.notification.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """How the mails stand: waiting, since when, given up in the last days, and what the last problem was."""

    waiting: int
    oldest_at: datetime | None
    given_up: int
    problem: str


class Box:
    """The notifications of one file of people; safe to use from several threads and processes.

    Args:
        engine: From ``open_people``; stays the caller's.
        now: Returns the time, aware, UTC.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    def tell(self, told: Iterable[Notification], *, by_mail: frozenset[str]) -> int:
        """Keep what is new; what was told already stays as it is. Returns how many were new.

        Args:
            told: What is so.
            by_mail: Accounts that are written to.
        """
        now_s = self._now().timestamp()
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
                connection.execute(insert(notifications).on_conflict_do_nothing(), fresh)
        return len(new)

    def is_new(self, told: Iterable[Notification]) -> bool:
        """Tell whether any of this was not told yet."""
        wanted = {(one.account, one.key) for one in told}
        accounts = sorted({account for account, _ in wanted})
        query = select(notifications.c.account, notifications.c.key).where(notifications.c.account.in_(accounts))
        with self._engine.begin() as connection:
            return bool(wanted - {(row.account, row.key) for row in connection.execute(query)})

    def of_account(self, account: str) -> list[Kept]:
        """Return what somebody was told, newest first."""
        return self._found(notifications.c.account == account)

    def unseen(self, account: str) -> int:
        """Return how much of it they have not seen."""
        query = select(func.count()).where(notifications.c.account == account, notifications.c.seen_s.is_(None))
        with self._engine.begin() as connection:
            return int(connection.execute(query).scalar_one())

    def mark_seen(self, account: str) -> None:
        """Put down that somebody has seen everything that they were told."""
        is_new = (notifications.c.account == account) & notifications.c.seen_s.is_(None)
        with self._engine.begin() as connection:
            connection.execute(update(notifications).where(is_new).values(seen_s=self._now().timestamp()))

    def to_send(self) -> list[Kept]:
        """Return the mails that are due to be tried, the oldest first."""
        is_due = notifications.c.next_try_s <= self._now().timestamp()
        return self._found(
            notifications.c.mail == str(MailState.QUEUED), is_due, order=notifications.c.made_s.asc(), limit=_AT_ONCE
        )

    def sent(self, one: Kept) -> None:
        """Put down that a mail was taken."""
        self._change(one, mail=str(MailState.SENT), sent_s=self._now().timestamp(), problem="")

    def postpone(self, one: Kept, problem: str, *, wait: timedelta) -> None:
        """Put down that a mail was not taken, and when it is tried again."""
        at_s = (self._now() + wait).timestamp()
        self._change(one, tries=one.tries + 1, next_try_s=at_s, problem=problem)

    def give_up(self, one: Kept, problem: str) -> None:
        """Put down that a mail is not tried any more; it stands in the console."""
        self._change(one, mail=str(MailState.GIVEN_UP), tries=one.tries + 1, problem=problem)

    def queue(self) -> Queue:
        """Return how the mails stand."""
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
        """Take away what was told before a moment and does not wait to be sent; returns how much that was."""
        is_old = (notifications.c.made_s < before.timestamp()) & (notifications.c.mail != str(MailState.QUEUED))
        with self._engine.begin() as connection:
            return int(connection.execute(delete(notifications).where(is_old)).rowcount)

    def count_before(self, before: datetime) -> int:
        """Return how much `forget` would take away."""
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
        notification=told, made_at=made_at, seen_at=from_s(row["seen_s"]), mail=MailState(row["mail"]),
        tries=row["tries"], problem=row["problem"],
    )  # fmt: skip
