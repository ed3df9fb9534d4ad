"""Keeps holds from changing while recordings are deleted, across the machines that share an index."""

import sqlalchemy as sa

from storage.database import SQLITE
from storage.leases import end_if_idle

_KEY = 0x686F6C6473
"""Key of PostgreSQL's advisory lock: "holds" in ASCII."""


def lock_holds(connection: sa.Connection) -> None:
    """Wait until no other transaction places holds or deletes recordings; the lock ends with this transaction.

    Whoever places a hold and whoever deletes by the holds calls this first. So a hold is seen by the deletion, or the
    deletion by who places the hold. In a SQLite file a transaction that writes has the whole file already.
    """
    if connection.dialect.name != SQLITE:
        connection.execute(sa.select(end_if_idle(), sa.func.pg_advisory_xact_lock(_KEY)))
