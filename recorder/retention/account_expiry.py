"""What is left of those who may do nothing any more, and of emergencies that are settled, until a sweep takes it away.

The audit log goes on naming them.
"""

from datetime import datetime

from sqlalchemy import ColumnElement, Engine, Table, delete, func, or_, select

from recorder.access.granting import STANDS_FOR
from recorder.access.tables import accounts, break_glass, metadata, proposals, requests, sweep_consents, tokens

_Over = list[tuple[Table, ColumnElement[bool]]]
_OF_THEIR_OWN = (requests, break_glass, proposals)
"""What somebody asked for, and what they did, has periods of its own."""
_BESIDE = [table for table in metadata.sorted_tables if "account" in table.c and table not in _OF_THEIR_OWN]
"""What else there is of somebody: it goes with the account."""


class AccountExpiry:
    """The file of people, as the sweep sees it. What it deletes leaves nothing in the file's free pages.

    Args:
        engine: From ``open_people``; stays the caller's.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def engine(self) -> Engine:
        """Return the file of people."""
        return self._engine

    def count(self, *, before: datetime) -> int:
        """Return how many accounts were disabled, tokens had ended and proposals were over before a moment."""
        return self._count(_ended(before))

    def forget(self, *, before: datetime) -> int:
        """Delete them; returns how many there were."""
        gone = select(accounts.c.name).where(accounts.c.disabled_s < before.timestamp())
        with self._engine.begin() as connection:
            for table in _BESIDE:
                connection.execute(delete(table).where(table.c.account.in_(gone)))
        return self._forget(_ended(before))

    def count_emergencies(self, *, before: datetime) -> int:
        """Return how many acts of break-glass were acknowledged before a moment: each has its reason."""
        return self._count(_settled(before))

    def forget_emergencies(self, *, before: datetime) -> int:
        """Delete them; returns how many there were."""
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
