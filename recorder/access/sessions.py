"""Sessions of signed-in people. Only hashes are stored; browser and shell hold a random number."""

import enum
import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Engine, and_, delete, insert, or_, select, update

from recorder.access.account_key import Use, key_of
from recorder.access.second_factor import ensure_key
from recorder.access.tables import sessions
from recorder.rules.signing_in import SessionLimits

STARTING_FOR = timedelta(minutes=10)
"""Time limit for the second factor after the password."""
KEPT_FOR = timedelta(minutes=5)
"""How long an expired session stays valid after its page last saw a call."""
_NOTE_EVERY_S = 60.0
"""How often ``seen`` is written, seconds: pages that refresh must not write each time."""


class SessionKind(enum.StrEnum):
    """What a session is valid for; kinds are never interchangeable."""

    BROWSER = "browser"
    SHELL = "shell"
    STARTING = "starting"
    """The password was right, the second factor is outstanding: valid for nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInSession:
    """A session of a signed-in person.

    Attributes:
        key: The hash of the session's secret.
        csrf: The token for a browser's forms.
        is_proven: Whether a second factor was given.
        enrolling: The secret of a second factor being set up; of a STARTING session.
        idle_left_s: Seconds until it ends without activity.
        left_s: Seconds until it ends in any case.
    """

    key: str
    account: str
    csrf: str
    is_proven: bool
    enrolling: str | None
    idle_left_s: float
    left_s: float


class Sessions:
    """The sessions in the file of people.

    Args:
        engine: From ``open_accounts``; stays the caller's.
        now: Returns the time, aware, UTC.
        limits: When they end.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime], limits: SessionLimits | None = None) -> None:
        self._engine = engine
        self._key = key_of(engine)
        self._now = now
        self.limits = limits or SessionLimits()

    def start(
        self,
        account: str,
        *,
        kind: SessionKind = SessionKind.BROWSER,
        is_proven: bool = False,
        enrolling: str | None = None,
    ) -> str:
        """Begin a session, delete expired ones, and return the new one's secret.

        Raises:
            AccountKeyError: With ``enrolling``: the key that seals secrets is lost.
        """
        secret = secrets.token_urlsafe(32)
        now_s = self._now().timestamp()
        row = {
            "secret_hash": _hash(secret),
            "account": account,
            "csrf": secrets.token_urlsafe(32),
            "created_s": now_s,
            "seen_s": now_s,
            "kind": kind,
            "is_proven": int(is_proven),
            "enrolling": None,
        }
        with self._engine.begin() as connection:
            if enrolling is not None:
                ensure_key(connection, self._key)
                row["enrolling"] = self._key.seal(account, Use.ENROLLING, enrolling)
            connection.execute(delete(sessions).where(self._is_over(now_s)))
            connection.execute(insert(sessions).values(**row))
        return secret

    def find(
        self, secret: str, *, kind: SessionKind = SessionKind.BROWSER, is_activity: bool = True
    ) -> SignInSession | None:
        """Return the session of a secret; None if there is none of this kind or it has ended.

        Args:
            secret: The cookie's value, or the shell's token.
            kind: The kind it must have.
            is_activity: Whether a person did something; automatic requests of a page must not keep a session alive.
        """
        key, now_s = _hash(secret), self._now().timestamp()
        is_it = and_(sessions.c.secret_hash == key, sessions.c.kind == kind)
        with self._engine.begin() as connection:
            connection.execute(delete(sessions).where(is_it, self._is_over(now_s)))
            row = connection.execute(select(sessions).where(is_it)).mappings().first()
            if row is None:
                return None
            seen_s = row["seen_s"]
            if is_activity and now_s - seen_s >= _NOTE_EVERY_S:
                seen_s = now_s
                connection.execute(update(sessions).where(is_it).values(seen_s=seen_s))
        if is_activity:
            seen_s = now_s
        left_s = row["created_s"] + self.limits.longest.total_seconds() - now_s
        return SignInSession(
            key=key,
            account=row["account"],
            csrf=row["csrf"],
            is_proven=bool(row["is_proven"]),
            enrolling=row["enrolling"] and self._key.open(row["account"], Use.ENROLLING, row["enrolling"]),
            idle_left_s=min(seen_s + self.limits.idle.total_seconds() - now_s, left_s),
            left_s=left_s,
        )

    def lasts(self, key: str) -> bool:
        """Tell whether a session has not ended; this is no activity."""
        is_it = and_(sessions.c.secret_hash == key, ~self._is_over(self._now().timestamp()))
        with self._engine.begin() as connection:
            return connection.execute(select(sessions.c.account).where(is_it)).first() is not None

    def accounts(self) -> frozenset[str]:
        """Return the accounts that are signed in now, in a browser or at a shell; this is no activity."""
        is_good = and_(sessions.c.kind != SessionKind.STARTING, ~self._is_over(self._now().timestamp()))
        with self._engine.begin() as connection:
            return frozenset(connection.execute(select(sessions.c.account).where(is_good)).scalars())

    def keep(self, key: str) -> None:
        """Keep a session alive without activity and beyond its limit: its user is in a call and must be able to pause.

        May be called as often as the caller likes.
        """
        now_s = self._now().timestamp()
        least_created_s = now_s + KEPT_FOR.total_seconds() - self.limits.longest.total_seconds()
        with self._engine.begin() as connection:
            row = connection.execute(select(sessions).where(sessions.c.secret_hash == key)).mappings().first()
            if row is None or (now_s - row["seen_s"] < _NOTE_EVERY_S and row["created_s"] >= least_created_s):
                return
            values = {"seen_s": now_s, "created_s": max(row["created_s"], least_created_s)}
            connection.execute(update(sessions).where(sessions.c.secret_hash == key).values(**values))

    def end(self, key: str) -> None:
        """End a session; does nothing if it has ended."""
        with self._engine.begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.secret_hash == key))

    def end_all(self, account: str) -> int:
        """End every session of an account, in browsers and shells; returns how many."""
        with self._engine.begin() as connection:
            return connection.execute(delete(sessions).where(sessions.c.account == account)).rowcount

    def _is_over(self, now_s: float) -> ColumnElement[bool]:
        return or_(
            sessions.c.seen_s <= now_s - self.limits.idle.total_seconds(),
            sessions.c.created_s <= now_s - self.limits.longest.total_seconds(),
            and_(sessions.c.kind == SessionKind.STARTING, sessions.c.created_s <= now_s - STARTING_FOR.total_seconds()),
        )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
