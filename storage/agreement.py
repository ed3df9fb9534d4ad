"""The index's copy of the agreement number, which index, audit log and states share (`recorder.recordings.agreement`).

The number is raised each time the three were seen to agree. A part that was restored from a backup or made anew has
another number.
"""

import sqlalchemy as sa

from storage.database import Database
from storage.tables import schema as _numbers

_ROW = 2
"""Row of the table `schema`; programs from before the migrations read row 1."""


class Agreement:
    """The agreement number in one database.

    Raises:
        DatabaseError: The database cannot be used; applies to every method.
        OSError: The folder of its file cannot be made; applies to every method.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self) -> int | None:
        """Return the number, or None if the database has none."""
        query = sa.select(_numbers.c.version).where(_numbers.c.id == _ROW)
        with self._database.connect() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else int(found)

    def set(self, count: int) -> None:
        """Store the number durably."""
        values = {"id": _ROW, "version": count}
        with self._database.begin() as connection:
            connection.execute(self._database.upsert(_numbers, values, key=_numbers.c.id))
