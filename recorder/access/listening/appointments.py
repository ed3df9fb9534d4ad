"""Absences of team leaders and the deputy of the data protection officer, in the file of people."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Engine, delete, insert, select

from recorder.access.accounts import People, usable_people
from recorder.access.deputies import named_by_one
from recorder.access.tables import absences, accounts, deputies
from recorder.rules.requesting import Approvers


class Appointments:
    """Absences and the deputy.

    Args:
        engine: From ``open_accounts``; stays the caller's.
        now: Returns the time, aware, UTC.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    def absent(self) -> frozenset[str]:
        """Return the accounts that are marked absent."""
        with self._engine.begin() as connection:
            return frozenset(connection.execute(select(absences.c.account)).scalars())

    def mark_absent(self, account: str, *, by: str) -> None:
        """Mark an account absent. Idempotent."""
        with self._engine.begin() as connection:
            connection.execute(delete(absences).where(absences.c.account == account))
            connection.execute(insert(absences).values(account=account, since_s=self._now().timestamp(), marked_by=by))

    def mark_back(self, account: str) -> bool:
        """Mark an account present; False if it was."""
        with self._engine.begin() as connection:
            return connection.execute(delete(absences).where(absences.c.account == account)).rowcount == 1

    def deputy(self) -> str | None:
        """Return the deputy's account, or None."""
        with self._engine.begin() as connection:
            return connection.execute(select(deputies.c.account)).scalars().first()

    def deputy_named_by_one(self) -> str | None:
        """Return a deputy appointed before it took two people, or None."""
        return named_by_one(self._engine)

    def end_deputy(self, enter: Callable[[], None] = lambda: None) -> bool:
        """Remove the deputy; False if there was none.

        Args:
            enter: Writes the audit entry; if it raises, nothing changes.
        """
        with self._engine.begin() as connection:
            enter()
            return connection.execute(delete(deputies)).rowcount > 0

    def unexplained(self, people: People) -> str | None:
        """Return the deputy on whom the file of people and the audit log disagree, first the file's; or None.

        A deputy whose account was deleted is gone too, without an entry.
        """
        if people.seals is None:
            return None
        people.seals.explained()  # read the log before the write lock is taken
        with self._engine.begin() as connection:  # entries are written in transactions, so both are of one moment
            explained = people.seals.explained()
            row = connection.execute(select(deputies.c.account)).scalars().first() or ""
            if not explained.is_known or row == explained.deputy:
                return None
            is_there = accounts.c.name == explained.deputy
            return row or connection.execute(select(accounts.c.name).where(is_there)).scalar()

    def approvers(self, people: People) -> Approvers:
        """Return the people who may decide; a deputy that the audit log does not have is ignored."""
        deputy = self.deputy() if people.seals is None else people.seals.sealed_deputy(self.deputy())
        return Approvers(
            people=tuple(usable_people(people)), absent=self.absent(), deputy=deputy, vouched=people.vouched()
        )
