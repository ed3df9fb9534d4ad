"""The days on which people acknowledged that their calls are recorded, in the file of people."""

from collections.abc import Callable
from datetime import date

from sqlalchemy import Engine, delete, insert, select

from recorder.access.database import AuditNote
from recorder.access.tables import acknowledgements

ACKNOWLEDGED = "people.told_of_recording"
"""Act of the audit log."""


class Acknowledgements:
    """The acknowledgements in a file of people.

    Args:
        engine: From ``open_accounts``; stays the caller's.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def days(self) -> dict[str, date]:
        """Return the day of the last acknowledgement by account."""
        with self._engine.begin() as connection:
            found = connection.execute(select(acknowledgements))
            return {row.account: date.fromisoformat(row.on_day) for row in found}

    def day_of(self, account: str) -> date | None:
        """Return the day of a person's last acknowledgement, or None."""
        with self._engine.begin() as connection:
            of_theirs = acknowledgements.c.account == account
            day = connection.execute(select(acknowledgements.c.on_day).where(of_theirs)).scalar()
        return None if day is None else date.fromisoformat(day)

    def acknowledge(self, account: str, today: date, *, enter: Callable[[AuditNote], None]) -> None:
        """Store an acknowledgement.

        Args:
            account: Who acknowledged.
            today: The day, in the site's time zone.
            enter: Writes the audit entry; if it raises, nothing is stored.
        """
        with self._engine.begin() as connection:
            connection.execute(delete(acknowledgements).where(acknowledgements.c.account == account))
            connection.execute(insert(acknowledgements).values(account=account, on_day=today.isoformat()))
            enter(AuditNote(act=ACKNOWLEDGED, subject=account, details={"on_day": today.isoformat()}))
