"""How often index, audit log and states were seen to belong together: the index's copy of that number.

All three carry it (`recorder.recordings.agreement`). One that was restored from a backup, or made anew, carries
another one.
"""

import sqlalchemy as sa

from storage.database import Database
from storage.tables import schema as _numbers

_ROW = 2
"""Of the table of numbers about the database itself; 1 is what programs before the migrations look at."""


class Agreement:
    """The number in one database.

    Args:
        database: Which has it.

    Raises:
        DatabaseError: The database cannot be used; so for every method.
        OSError: The folder of its file cannot be made; so for every method.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self) -> int | None:
        """Return the number; None in a database that nobody has given one."""
        query = sa.select(_numbers.c.version).where(_numbers.c.id == _ROW)
        with self._database.connect() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else int(found)

    def set(self, count: int) -> None:
        """Store the number durably."""
        values = {"id": _ROW, "version": count}
        with self._database.begin() as connection:
            connection.execute(self._database.upsert(_numbers, values, key=_numbers.c.id))
