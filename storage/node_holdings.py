"""What the index database tells of one node's recordings and files, before the node is removed."""

from dataclasses import dataclass

import sqlalchemy as sa

from storage.database import Database
from storage.object_queries import ObjectState
from storage.tables import file_removals, nodes, objects, recordings, unfinished


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeHoldings:
    """What a node has.

    Attributes:
        calls: Calls in progress, as it last said.
        recordings: Rows of recordings with a container that it made.
        unfinished: Recordings that it had open when it was last seen.
        not_stored: Recordings that wait to be stored in the object store.
        files_waiting: Deleted recordings whose files it has not confirmed to be removed.
    """

    calls: int
    recordings: int
    unfinished: int
    not_stored: int
    files_waiting: int


def holdings(database: Database, name: str, fingerprint: str) -> NodeHoldings:
    """Return what a node has, as far as the tables tell. Reads every row: some seconds for a million.

    Args:
        database: The site's index database.
        name: The node's name.
        fingerprint: Of its signing key.

    Raises:
        DatabaseError: The database does not answer or refuses.
    """
    made_here = recordings.c.document.contains(f'"node": "{name}"', autoescape=True)
    is_kept = ~recordings.c.document.contains('"path": null', autoescape=True)
    waiting = sa.and_(file_removals.c.node == name, file_removals.c.removed_us.is_(None))
    not_stored = sa.and_(objects.c.node == fingerprint, objects.c.state == str(ObjectState.WAITING))
    with database.connect() as connection:

        def count(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> int:
            return connection.scalar(sa.select(sa.func.count()).select_from(table).where(*conditions)) or 0

        return NodeHoldings(
            calls=connection.scalar(sa.select(nodes.c.calls).where(nodes.c.name == name)) or 0,
            recordings=count(recordings, made_here, is_kept),
            unfinished=count(unfinished, unfinished.c.node == name),
            not_stored=count(objects, not_stored),
            files_waiting=count(file_removals, waiting),
        )
