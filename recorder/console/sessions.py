"""Sessions of signed-in browsers: kept here, hashed; the cookie is nothing but a random number."""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine, delete, insert, or_, select, update

from recorder.people.database import sessions

IDLE = timedelta(minutes=30)
LONGEST = timedelta(hours=12)
_NOTE_EVERY_S = 60.0
"""How often ``seen`` is written: a page that refreshes itself must not write at each turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A signed-in browser. ``key`` is the hash of its secret; ``csrf`` goes into its forms."""

    key: str
    account: str
    csrf: str


class Sessions:
    """Sessions in the file of people.

    Args:
        engine: From ``open_people``; stays the caller's.
        now: Returns the time, aware, UTC.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    def start(self, account: str) -> str:
        """Begin a session, clear away those that are over, and return the new one's secret."""
        secret = secrets.token_urlsafe(32)
        now_s = self._now().timestamp()
        over = or_(
            sessions.c.seen_s <= now_s - IDLE.total_seconds(), sessions.c.created_s <= now_s - LONGEST.total_seconds()
        )
        row = {
            "secret_hash": _hash(secret),
            "account": account,
            "csrf": secrets.token_urlsafe(32),
            "created_s": now_s,
            "seen_s": now_s,
        }
        with self._engine.begin() as connection:
            connection.execute(delete(sessions).where(over))
            connection.execute(insert(sessions).values(**row))
        return secret

    def find(self, secret: str, *, is_activity: bool = True) -> Session | None:
        """Return the session of a cookie; None when there is none or it is over.

        Args:
            secret: The cookie's value.
            is_activity: Whether a person did something: what a page does by itself must not keep a session alive.
        """
        key, now_s = _hash(secret), self._now().timestamp()
        with self._engine.begin() as connection:
            row = connection.execute(select(sessions).where(sessions.c.secret_hash == key)).mappings().first()
            if row is None:
                return None
            if now_s - row["seen_s"] >= IDLE.total_seconds() or now_s - row["created_s"] >= LONGEST.total_seconds():
                connection.execute(delete(sessions).where(sessions.c.secret_hash == key))
                return None
            if is_activity and now_s - row["seen_s"] >= _NOTE_EVERY_S:
                connection.execute(update(sessions).where(sessions.c.secret_hash == key).values(seen_s=now_s))
        return Session(key=key, account=row["account"], csrf=row["csrf"])

    def end(self, key: str) -> None:
        """End a session; nothing happens when it is over already."""
        with self._engine.begin() as connection:
            connection.execute(delete(sessions).where(sessions.c.secret_hash == key))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
