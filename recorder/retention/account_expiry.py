"""Deletes former accounts, ended tokens and proposals, and acknowledged break-glass, when their period is over.

The audit log still names them.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, Engine, Table, delete, func, or_, select

from recorder.access.granting import STANDS_FOR
from recorder.access.removal import BESIDE
from recorder.access.tables import accounts, break_glass, proposals, sweep_consents, tokens

_Over = list[tuple[Table, ColumnElement[bool]]]


class AccountExpiry:
    """The account data of the file of people that a sweep deletes. The file keeps no traces in free pages.

    Args:
        engine: From ``open_accounts``; stays the caller's.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def engine(self) -> Engine:
        """Return the engine of the file of people."""
        return self._engine

    def count(self, *, before: datetime) -> int:
        """Return how many accounts, tokens and proposals ended before a moment."""
        return self._count(_ended(before))

    def forget(self, *, before: datetime) -> int:
        """Delete accounts, tokens and proposals that ended before a moment; returns how many."""
        gone = select(accounts.c.name).where(accounts.c.disabled_s < before.timestamp())
        with self._engine.begin() as connection:
            for table in BESIDE:
                connection.execute(delete(table).where(table.c.account.in_(gone)))
        return self._forget(_ended(before))

    def count_emergencies(self, *, before: datetime) -> int:
        """Return how many break-glass acts were acknowledged before a moment."""
        return self._count(_settled(before))

    def forget_emergencies(self, *, before: datetime) -> int:
        """Delete the break-glass acts that were acknowledged before a moment; returns how many."""
        return self._forget(_settled(before))

    def _count(self, over: _Over) -> int:
        with self._engine.begin() as connection:
            queries = [select(func.count()).select_from(table).where(is_over) for table, is_over in over]
            return sum(connection.execute(query).scalar_one() for query in queries)

    def _forget(self, over: _Over) -> int:
        with self._engine.begin() as connection:
            return sum(connection.execute(delete(table).where(is_over)).rowcount for table, is_over in over)


def _ended(before: datetime) -> _Over:
    before_s = before.timestamp()
    never_good = tokens.c.proposal.is_not(None) & (tokens.c.created_s < (before - STANDS_FOR).timestamp())
    is_ended = or_(tokens.c.revoked_s < before_s, tokens.c.expires_s < before_s, never_good)
    return [
        (accounts, accounts.c.disabled_s < before_s),
        (tokens, is_ended),
        (proposals, proposals.c.until_s < before_s),
        (sweep_consents, sweep_consents.c.first_s < before_s),
    ]


def _settled(before: datetime) -> _Over:
    return [(break_glass, break_glass.c.acknowledged_s < before.timestamp())]
