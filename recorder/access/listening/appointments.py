"""Who is absent, and who stands in for the data protection officer: kept in the file of people."""

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
        engine: From ``open_people``; stays the caller's.
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
        """Mark somebody absent; once more changes nothing."""
        with self._engine.begin() as connection:
            connection.execute(delete(absences).where(absences.c.account == account))
            connection.execute(insert(absences).values(account=account, since_s=self._now().timestamp(), marked_by=by))

    def mark_back(self, account: str) -> bool:
        """Mark somebody present; False when they were."""
        with self._engine.begin() as connection:
            return connection.execute(delete(absences).where(absences.c.account == account)).rowcount == 1

    def deputy(self) -> str | None:
        """Return the account of the named officer, or None."""
        with self._engine.begin() as connection:
            return connection.execute(select(deputies.c.account)).scalars().first()

    def deputy_named_by_one(self) -> str | None:
        """Return the deputy of before it took two people to name one, or None."""
        return named_by_one(self._engine)

    def end_deputy(self, enter: Callable[[], None] = lambda: None) -> bool:
        """Have nobody stand in for the data protection officer; False when nobody did.

        Args:
            enter: Writes it to the audit log; when it raises, they stand in still.
        """
        with self._engine.begin() as connection:
            enter()
            return connection.execute(delete(deputies)).rowcount > 0

    def unexplained(self, people: People) -> str | None:
        """Return whom the file of people and the audit log disagree on, the one of the file first, or None.

        A deputy whose account was forgotten went with it, which is no entry.
        """
        if people.seals is None:
            return None
        people.seals.explained()  # the log is read before anybody waits for it
        with self._engine.begin() as connection:  # each entry is written in a transaction, so the two are of one moment
            explained = people.seals.explained()
            row = connection.execute(select(deputies.c.account)).scalars().first() or ""
            if not explained.is_known or row == explained.deputy:
                return None
            is_there = accounts.c.name == explained.deputy
            return row or connection.execute(select(accounts.c.name).where(is_there)).scalar()

    def approvers(self, people: People) -> Approvers:
        """Return who there is to decide; a deputy whom the audit log does not know is none."""
        deputy = self.deputy() if people.seals is None else people.seals.sealed_deputy(self.deputy())
        return Approvers(people=tuple(usable_people(people)), absent=self.absent(), deputy=deputy)
