"""The table `file_removals`: deleted recordings whose files are on some node's disk, and whether that removed them.

A sweep on any node deletes the row of a recording and orders the removal of its file here, in one transaction. The node
that made the recording removes file and sealed key, and confirms it. Only then the deletion is done.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storage.database import SQLITE, Database
from storage.leases import now_us
from storage.tables import file_removals as _removals
from storage.tables import moment_of
from storage.types import RecordingId

PAGE = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The removals that one node has not confirmed.

    Attributes:
        node: Its name; "" is the node of recordings from before nodes had names.
        count: Number of recordings.
        since: When the oldest was ordered, by the database's clock.
        now: The database's clock.
    """

    node: str
    count: int
    since: datetime
    now: datetime


class FileRemovals:
    """The removals in one database; none in a SQLite file, which one node has for itself.

    Raises:
        DatabaseError: The database cannot be used; applies to every method.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_node(self, name: str, *, after: str = "", limit: int = PAGE) -> list[RecordingId]:
        """Return recordings whose files a node has to remove, by id, those with an id above ``after``."""
        if self._database.dialect == SQLITE:
            return []
        query = (
            sa.select(_removals.c.recording)
            .where(_removals.c.node == name, _removals.c.removed_us.is_(None), _removals.c.recording > after)
            .order_by(_removals.c.recording)
            .limit(limit)
        )
        with self._database.connect() as connection:
            return [RecordingId(one) for one in connection.execute(query).scalars()]

    def confirm(self, recordings: Sequence[RecordingId], name: str) -> int:
        """Store that file and key of some recordings are gone from a node; returns how many were waiting for that.

        Args:
            recordings: Efficient for some hundred.
            name: The node's name.
        """
        if not recordings or self._database.dialect == SQLITE:
            return 0
        is_it = sa.and_(
            _removals.c.recording.in_(recordings), _removals.c.node == name, _removals.c.removed_us.is_(None)
        )
        with self._database.begin() as connection:
            return connection.execute(_removals.update().where(is_it).values(removed_us=now_us())).rowcount

    def write_off(self, node: str) -> int:
        """Confirm all removals of a node whose disk is lost; returns how many were waiting."""
        if self._database.dialect == SQLITE:
            return 0
        is_it = sa.and_(_removals.c.node == node, _removals.c.removed_us.is_(None))
        with self._database.begin() as connection:
            return connection.execute(_removals.update().where(is_it).values(removed_us=now_us())).rowcount

    def waiting(self) -> list[Waiting]:
        """Return what nodes have not confirmed, the longest first."""
        if self._database.dialect == SQLITE:
            return []
        since = sa.func.min(_removals.c.ordered_us)
        query = (
            sa.select(_removals.c.node, sa.func.count().label("number"), since.label("since"), now_us().label("now"))
            .where(_removals.c.removed_us.is_(None))
            .group_by(_removals.c.node)
            .order_by(since, _removals.c.node)
        )
        with self._database.connect() as connection:
            return [
                Waiting(node=row.node, count=row.number, since=moment_of(row.since), now=moment_of(row.now))
                for row in connection.execute(query)
            ]


def order_removals(connection: sa.Connection, nodes: Mapping[RecordingId, str]) -> None:
    """Order the removal of files in the transaction that deletes the rows; an earlier order stays.

    Args:
        connection: Of that transaction.
        nodes: For each recording, the name of the node that has its file.
    """
    if not nodes:
        return
    known = connection.execute(
        sa.select(_removals.c.recording, _removals.c.node).where(_removals.c.recording.in_(list(nodes)))
    ).all()
    found = {(row.recording, row.node) for row in known}
    at_us = connection.execute(sa.select(now_us())).scalar_one()
    new = [
        {"recording": recording, "node": node, "ordered_us": at_us}
        for recording, node in nodes.items()
        if (recording, node) not in found
    ]
    if new:
        connection.execute(_removals.insert(), new)
