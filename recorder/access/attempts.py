"""Tries to sign in: counted before anything is looked at, and taken back when they were right.

Passwords, codes and recovery codes share one count, so that nobody gets more guesses by changing from one to another.
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
"""The first time; twice as long each time after that, up to LOCKED_AT_MOST, until somebody signs in."""
LOCKED_AT_MOST = timedelta(hours=1)
REFUSED_SENTENCE = (
    "The name or the password is not right, or the account is locked or disabled. "
    "After five wrong tries an account is locked for 15 minutes, and longer the next time."
)
"""What the person is told: the same for every SignInRefusal, so that it does not tell which names exist."""


class SignInRefusal(enum.StrEnum):
    """Why a sign-in was refused; for the audit log, not for who tried."""

    UNKNOWN = "unknown"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a reason, not a secret
    WRONG_CODE = "wrong_code"
    LOCKED = "locked"
    DISABLED = "disabled"
    PASSWORD_OFF = "password_off"  # noqa: S105 - a reason, not a secret
    """They sign in by the OpenID provider only."""
    OTHER_IDENTITY = "other_identity"
    """The account is somebody else's at the OpenID provider."""
    NOT_CONNECTED = "not_connected"
    """The account has to be connected to the OpenID provider first, by its owner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInRefused:
    """The sign-in was refused."""

    refusal: SignInRefusal
    note: AuditNote
    locked_until: datetime | None = None


def begin_attempt(connection: Connection, name: str, now: datetime) -> Any:  # noqa: ANN401 - a RowMapping or SignInRefused
    """Count a try as a failure; the caller takes it back when it was none.

    Args:
        connection: In a transaction that holds the write lock: tries made at the same time cannot get more.
        name: Whose account.
        now: The time.

    Returns:
        The account's row as it was before, or why it may not be tried.
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
    """Take back every failure: somebody is signed in."""
    values = {"failures": 0, "locked_until_s": None, "locks": 0}
    connection.execute(update(accounts).where(accounts.c.name == name).values(**values))


def take_back(connection: Connection, row: Any) -> None:  # noqa: ANN401 - a RowMapping
    """Take back one try, which was right though nobody is signed in by it.

    Args:
        connection: In a transaction.
        row: The account's row as it is now.
    """
    locks = row["locks"] - 1 if row["locked_until_s"] is not None else row["locks"]
    values = {"failures": max(row["failures"] - 1, 0), "locked_until_s": None, "locks": max(locks, 0)}
    connection.execute(update(accounts).where(accounts.c.name == row["name"]).values(**values))


def refused(name: str, refusal: SignInRefusal, locked_until: datetime | None = None) -> SignInRefused:
    """Return a refusal with its note for the audit log."""
    # An unknown name may be a password typed into the wrong field: it does not go into the log.
    subject = name if refusal is not SignInRefusal.UNKNOWN else "unknown"
    note = AuditNote(act="people.sign_in_refused", subject=subject, details={"why": refusal.value})
    return SignInRefused(refusal=refusal, note=note, locked_until=locked_until)
