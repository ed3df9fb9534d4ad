"""The index's copy of the agreement number, which index, audit log and states share (`recorder.recordings.agreement`).

Each home that shares an index has a number of its own in it. The number is raised each time the three were seen to
agree. A part that was restored from a backup or made anew has another number.
"""

import sqlalchemy as sa

from storage.database import SQLITE, Database
from storage.tables import agreements as _agreements
from storage.tables import schema as _numbers

_ROW = 2
"""Row of the table `schema` in a SQLite file; programs from before the migrations read row 1.

PostgreSQL had it too, before several homes could share an index, and has it after a move from a file: it counts until a
home has a number of its own. It is not deleted, since only the owner of the tables writes there. In a file that was
moved back the number is in `agreements` until it is set.
"""


class Agreement:
    """The agreement number of one home in a database.

    Args:
        database: The index.
        home: Fingerprint of the home's signing key.

    Raises:
        DatabaseError: The database cannot be used; applies to every method.
        OSError: The folder of its file cannot be made; applies to every method.
    """

    def __init__(self, database: Database, home: str) -> None:
        self._database = database
        self._home = home

    def count(self) -> int | None:
        """Return the number, or None if the database has none."""
        before = sa.select(_numbers.c.version).where(_numbers.c.id == _ROW)
        if self._database.dialect != SQLITE:
            before = before.where(~sa.exists(sa.select(_agreements.c.home)))
        queries = [sa.select(_agreements.c.count).where(_agreements.c.home == self._home), before]
        with self._database.connect() as connection:
            for query in queries:
                if (found := connection.execute(query).scalar()) is not None:
                    return int(found)
        return None

    def set(self, count: int) -> None:
        """Store the number durably."""
        with self._database.begin() as connection:
            if self._database.dialect == SQLITE:
                values = {"id": _ROW, "version": count}
                connection.execute(self._database.upsert(_numbers, values, key=_numbers.c.id))
                connection.execute(_agreements.delete().where(_agreements.c.home == self._home))
                return
            own = {"home": self._home, "count": count}
            connection.execute(self._database.upsert(_agreements, own, key=_agreements.c.home))
