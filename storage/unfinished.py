"""The table `unfinished`: recordings that the nodes of a site have open, so that those of a dead node are known."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from storage.database import Database
from storage.leases import now_us
from storage.nodes import AWAY_US, REMOVED, STOPPED
from storage.tables import microseconds, moment_of
from storage.tables import nodes as _nodes
from storage.tables import unfinished as _unfinished
from storage.types import RecordingId

_STAMP = "%Y%m%dT%H%M%SZ"
_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """A recording that a node had open when it was last seen.

    Attributes:
        recording: The recording.
        node: The node's name.
        started_at: When its call began.
        seen_at: When the node was last seen, by the database's clock; None: never.
    """

    recording: RecordingId
    node: str
    started_at: datetime
    seen_at: datetime | None


class UnfinishedRecordings:
    """The unfinished recordings in one database on a server. Blocks; safe from any thread.

    Raises:
        DatabaseError: The database cannot be used; applies to every method.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_node(self, node: str) -> set[RecordingId]:
        """Return what the table has of one node."""
        query = sa.select(_unfinished.c.recording).where(_unfinished.c.node == node)
        with self._database.connect() as connection:
            return {RecordingId(one) for one in connection.execute(query).scalars()}

    def change(self, node: str, *, opened: Collection[RecordingId], ended: Collection[RecordingId]) -> None:
        """Add and remove recordings of a node, all or none. Safe to repeat."""
        with self._database.begin() as connection:
            for some in _in_parts(sorted({*opened, *ended})):
                connection.execute(_unfinished.delete().where(_unfinished.c.recording.in_(some)))
            values = [
                {"recording": one, "node": node, "started_us": microseconds(_started_at(one))} for one in sorted(opened)
            ]
            if values:
                connection.execute(_unfinished.insert(), values)

    def of_nodes_away(self) -> list[Unfinished]:
        """Return the recordings that nodes that are away had open, oldest first."""
        is_away = sa.or_(
            _nodes.c.seen_us.is_(None),
            _nodes.c.seen_us < now_us() - AWAY_US,
            _nodes.c.state.in_((STOPPED, REMOVED)),
        )
        query = (
            sa.select(_unfinished, _nodes.c.seen_us)
            .join(_nodes, _nodes.c.name == _unfinished.c.node)
            .where(is_away)
            .order_by(_unfinished.c.started_us, _unfinished.c.recording)
        )
        with self._database.connect() as connection:
            return [
                Unfinished(
                    recording=RecordingId(row.recording), node=row.node, started_at=moment_of(row.started_us),
                    seen_at=moment_of(row.seen_us),
                )
                for row in connection.execute(query)
            ]  # fmt: skip


def _started_at(recording: RecordingId) -> datetime:
    return datetime.strptime(recording.partition("-")[0], _STAMP).replace(tzinfo=UTC)


def _in_parts(values: list[RecordingId]) -> list[list[RecordingId]]:
    return [values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE)]
