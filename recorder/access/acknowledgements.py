"""On which day somebody last acknowledged that they were told that their calls are recorded, in the file of people."""

from collections.abc import Callable
from datetime import date

from sqlalchemy import Engine, delete, insert, select

from recorder.access.database import AuditNote
from recorder.access.tables import acknowledgements

ACKNOWLEDGED = "people.told_of_recording"
"""As the audit log has it."""


class Acknowledgements:
    """The acknowledgements of one file of people.

    Args:
        engine: From ``open_people``; stays the caller's.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def days(self) -> dict[str, date]:
        """Return the day of the last one by account."""
        with self._engine.begin() as connection:
            found = connection.execute(select(acknowledgements))
            return {row.account: date.fromisoformat(row.on_day) for row in found}

    def day_of(self, account: str) -> date | None:
        """Return the day of somebody's last one; None: there is none."""
        with self._engine.begin() as connection:
            of_theirs = acknowledgements.c.account == account
            day = connection.execute(select(acknowledgements.c.on_day).where(of_theirs)).scalar()
        return None if day is None else date.fromisoformat(day)

    def acknowledge(self, account: str, today: date, *, enter: Callable[[AuditNote], None]) -> None:
        """Store that somebody acknowledged it.

        Args:
            account: Whose acknowledgement.
            today: The day, in the site's time zone.
            enter: Writes it to the audit log; when it raises, nothing is stored.
        """
        with self._engine.begin() as connection:
            connection.execute(delete(acknowledgements).where(acknowledgements.c.account == account))
            connection.execute(insert(acknowledgements).values(account=account, on_day=today.isoformat()))
            enter(AuditNote(act=ACKNOWLEDGED, subject=account, details={"on_day": today.isoformat()}))
