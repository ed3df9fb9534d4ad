"""The nodes of a site with several recorders: each registers in one table and renews its row.

All times are of the database's clock, so that the nodes' own clocks do not matter. Blocks; safe from any thread.
"""

import time
from dataclasses import dataclass

import sqlalchemy as sa

from storage.database import SQLITE, Database
from storage.leases import now_us
from storage.tables import nodes as _nodes

STOPPED, REMOVED = "stopped", "removed"
"""States of nodes that are not there: the daemon has stopped, or the node was removed from the site."""
AWAY_US = 6_000_000
"""A node that has not renewed its row for so long is away, and its name is free, microseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """A node, as it last registered.

    Attributes:
        name: Its name.
        fingerprint: Of its signing key.
        address: Where its control API listens, HOST:PORT.
        version: Version of the program.
        started_us: When its daemon started, microseconds since 1970.
        seen_us: When it last renewed the row.
        state: ``accepting``, ``draining``, ``stopped`` or ``removed``.
        calls: Calls in progress.
        capacity: Most calls that it records at a time.
    """

    name: str
    fingerprint: str
    address: str
    version: str
    started_us: int | None
    seen_us: int | None
    state: str
    calls: int
    capacity: int

    def is_away(self, now_us: int) -> bool:
        """Tell whether it has not renewed its row for `AWAY_US`."""
        return self.seen_us is None or now_us - self.seen_us > AWAY_US

    def is_there(self, now_us: int) -> bool:
        """Tell whether its daemon runs, as far as the table tells."""
        return self.state not in (STOPPED, REMOVED) and not self.is_away(now_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """The result of a renewal.

    Attributes:
        clock_us: The database's clock, microseconds since 1970.
        taken_by: Fingerprint of another node that has the name and was seen lately; None if there is none.
        is_removed: Whether this node was removed from the site. The row is renewed if neither holds.
    """

    clock_us: int
    taken_by: str | None = None
    is_removed: bool = False


class Nodes:
    """The table of nodes.

    Every method raises `storage.errors.DatabaseError` if the database does not answer or refuses.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def renew(self, node: NodeRow) -> Beat:
        """Write a node's row with the database's time as ``seen_us``, unless another node has the name.

        ``started_us`` is kept from the first renewal of a run; pass None at that one.
        """
        with self._database.begin() as connection:
            clock = clock_us(connection)
            found = connection.execute(
                sa.select(_nodes).where(_nodes.c.name == node.name).with_for_update()
            ).one_or_none()
            before = None if found is None else NodeRow(**found._mapping)
            if before is not None and before.fingerprint == node.fingerprint and before.state == REMOVED:
                return Beat(clock_us=clock, is_removed=True)
            if before is not None and before.fingerprint != node.fingerprint and before.is_there(clock):
                return Beat(clock_us=clock, taken_by=before.fingerprint)
            values = {
                "name": node.name, "fingerprint": node.fingerprint, "address": node.address, "version": node.version,
                "started_us": clock if node.started_us is None else node.started_us, "seen_us": clock,
                "state": node.state, "calls": node.calls, "capacity": node.capacity,
            }  # fmt: skip
            connection.execute(self._database.upsert(_nodes, values, key=_nodes.c.name))
        return Beat(clock_us=clock)

    def stop(self, name: str, fingerprint: str) -> None:
        """Mark a node's row as stopped, so that nobody waits for its answers."""
        with self._database.begin() as connection:
            connection.execute(
                sa.update(_nodes)
                .where(_nodes.c.name == name, _nodes.c.fingerprint == fingerprint, _nodes.c.state != REMOVED)
                .values(state=STOPPED, calls=0)
            )

    def remove(self, name: str) -> None:
        """Mark a node's row as removed, so that it does not register any more; it may have none."""
        with self._database.begin() as connection:
            connection.execute(sa.update(_nodes).where(_nodes.c.name == name).values(state=REMOVED, calls=0))

    def take_back(self, name: str) -> None:
        """Let a node register again that was removed; no effect on others."""
        is_removed = sa.and_(_nodes.c.name == name, _nodes.c.state == REMOVED)
        with self._database.begin() as connection:
            connection.execute(sa.update(_nodes).where(is_removed).values(state=STOPPED))

    def registered(self) -> dict[str, str]:
        """Return the fingerprints of the nodes that have registered, by name; removed ones are left out."""
        query = sa.select(_nodes.c.name, _nodes.c.fingerprint).where(_nodes.c.state != REMOVED)
        with self._database.connect() as connection:
            return {row.name: row.fingerprint for row in connection.execute(query)}

    def names_of(self, fingerprint: str) -> frozenset[str]:
        """Return the names that a node with a signing key has or had."""
        with self._database.connect() as connection:
            query = sa.select(_nodes.c.name).where(_nodes.c.fingerprint == fingerprint)
            return frozenset(connection.execute(query).scalars())

    def all(self) -> tuple[list[NodeRow], int]:
        """Return the nodes by name, and the database's clock."""
        with self._database.connect() as connection:
            clock = clock_us(connection)
            rows = connection.execute(sa.select(_nodes).order_by(_nodes.c.name)).all()
        return [NodeRow(**row._mapping) for row in rows], clock


def clock_us(connection: sa.Connection) -> int:
    """Return the database's clock, microseconds since 1970; of SQLite this machine's."""
    if connection.dialect.name == SQLITE:
        return time.time_ns() // 1000
    return connection.execute(sa.select(now_us())).scalar_one()
