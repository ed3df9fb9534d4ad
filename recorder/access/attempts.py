"""Counts sign-in attempts before anything is checked, and takes them back when they were right.

Passwords, codes and recovery codes share one count, so nobody gets more guesses by switching between them.
"""

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, update

from recorder.access.account_rows import is_usable, row_of
from recorder.access.database import AuditNote, from_s
from recorder.access.tables import accounts

MAX_FAILURES = 5
LOCKED_FOR = timedelta(minutes=15)
"""The first lock; each further one is twice as long, up to LOCKED_AT_MOST, until somebody signs in."""
LOCKED_AT_MOST = timedelta(hours=1)
REFUSED_SENTENCE = (
    "Your account name or password is wrong, or your account is locked or disabled. "
    "After 5 wrong attempts an account is locked for 15 minutes, and longer the next time."
)
"""The answer for every SignInRefusal, so that it does not reveal which names exist."""


class SignInRefusal(enum.StrEnum):
    """Why a sign-in was refused; for the audit log only."""

    UNKNOWN = "unknown"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a reason, not a secret
    WRONG_CODE = "wrong_code"
    LOCKED = "locked"
    DISABLED = "disabled"
    PASSWORD_OFF = "password_off"  # noqa: S105 - a reason, not a secret
    """They sign in at the OpenID provider only."""
    OTHER_IDENTITY = "other_identity"
    """The account is connected to another identity at the OpenID provider."""
    NOT_CONNECTED = "not_connected"
    """The owner must connect the account to the OpenID provider first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInRefused:
    """A refused sign-in."""

    refusal: SignInRefusal
    note: AuditNote
    locked_until: datetime | None = None


def begin_attempt(connection: Connection, name: str, now: datetime) -> Any:  # noqa: ANN401 - a RowMapping or SignInRefused
    """Count an attempt as a failure; the caller takes it back if it succeeds.

    Args:
        connection: In a transaction that holds the write lock, so that simultaneous attempts are all counted.
        name: The account.
        now: The time.

    Returns:
        The account's row as it was before, or the refusal.
    """
    row = row_of(connection, name)
    if row is None:
        return refused(name, SignInRefusal.UNKNOWN)
    if not is_usable(row, now):
        return refused(name, SignInRefusal.DISABLED)
    now_s, locked_until_s = now.timestamp(), row["locked_until_s"]
    if locked_until_s is not None and locked_until_s > now_s:
        return refused(name, SignInRefusal.LOCKED, from_s(locked_until_s))
    failures = 1 if locked_until_s is not None else row["failures"] + 1
    values: dict[str, Any] = {"failures": failures, "locked_until_s": None}
    if failures >= MAX_FAILURES:
        longer = min(LOCKED_FOR * 2 ** row["locks"], LOCKED_AT_MOST)
        values |= {"locked_until_s": now_s + longer.total_seconds(), "locks": min(row["locks"] + 1, MAX_FAILURES)}
    connection.execute(update(accounts).where(accounts.c.name == name).values(**values))
    return row


def excuse(connection: Connection, name: str) -> None:
    """Reset the failures after a successful sign-in."""
    values = {"failures": 0, "locked_until_s": None, "locks": 0}
    connection.execute(update(accounts).where(accounts.c.name == name).values(**values))


def take_back(connection: Connection, row: Any) -> None:  # noqa: ANN401 - a RowMapping
    """Take back one attempt that was right but does not complete the sign-in.

    Args:
        connection: In a transaction.
        row: The account's current row.
    """
    locks = row["locks"] - 1 if row["locked_until_s"] is not None else row["locks"]
    values = {"failures": max(row["failures"] - 1, 0), "locked_until_s": None, "locks": max(locks, 0)}
    connection.execute(update(accounts).where(accounts.c.name == row["name"]).values(**values))


def refused(name: str, refusal: SignInRefusal, locked_until: datetime | None = None) -> SignInRefused:
    """Return a refusal with its audit note."""
    # An unknown name may be a password typed into the wrong field, so it is not logged.
    subject = name if refusal is not SignInRefusal.UNKNOWN else "unknown"
    note = AuditNote(act="people.sign_in_refused", subject=subject, details={"why": refusal.value})
    return SignInRefused(refusal=refusal, note=note, locked_until=locked_until)
