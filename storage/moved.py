"""The mark in a database whose rows were moved to another one: it is not opened any more.

The old database stays as it was, and is out of date from the first change in the new one. Opened by mistake, it would
bring deleted recordings back and lack holds.
"""

from datetime import UTC, datetime

import sqlalchemy as sa

from storage.errors import DatabaseError
from storage.tables import schema as _numbers

_ROW = 3
"""Row of the table `schema`, beside the version and the number of `storage.agreement`: seconds since 1970."""
_MOVED_AT = sa.select(_numbers.c.version).where(_numbers.c.id == _ROW)


def mark_moved(connection: sa.Connection, at: datetime) -> None:
    """Mark a database as moved, in the caller's transaction."""
    connection.execute(_numbers.delete().where(_numbers.c.id == _ROW))
    connection.execute(_numbers.insert().values(id=_ROW, version=int(at.timestamp())))


def moved_at(connection: sa.Connection) -> datetime | None:
    """Return when the rows of a database were moved, or None: they were not."""
    found = connection.execute(_MOVED_AT).scalar()
    return None if found is None else datetime.fromtimestamp(found, UTC)


def refuse_moved(connection: sa.Connection, name: str) -> None:
    """Check that a database is in use.

    Raises:
        DatabaseError: It was moved.
    """
    at = moved_at(connection)
    if at is not None:
        raise DatabaseError(sentence(name, at), is_passing=False)


def sentence(name: str, at: datetime, to: str = "another database") -> str:
    """Return what to say of a database that was moved."""
    return (
        f"the index in {name} was moved to {to} on {at:%d/%m/%Y at %H:%M} UTC and is out of date: name the new one as "
        "index_url in [storage] of recorder.toml, or move it back with `recorder database move`"
    )
