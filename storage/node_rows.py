"""What the index database tells of one node: its row, and its recordings. For adding and removing nodes."""

from dataclasses import dataclass

import sqlalchemy as sa

from storage.database import Database
from storage.nodes import REMOVED, STOPPED
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


def registered(database: Database) -> dict[str, str]:
    """Return the fingerprints of the nodes that have registered, by name; removed ones are left out.

    Raises:
        DatabaseError: The database does not answer or refuses.
    """
    query = sa.select(nodes.c.name, nodes.c.fingerprint).where(nodes.c.state != REMOVED)
    with database.connect() as connection:
        return {row.name: row.fingerprint for row in connection.execute(query)}


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


def mark_removed(database: Database, name: str) -> None:
    """Mark the row of a node as removed, so that it does not register any more; it may have none.

    Raises:
        DatabaseError: The database does not answer or refuses.
    """
    with database.begin() as connection:
        connection.execute(sa.update(nodes).where(nodes.c.name == name).values(state=REMOVED, calls=0))


def mark_added(database: Database, name: str) -> None:
    """Let a node register again that was removed; no effect on others.

    Raises:
        DatabaseError: The database does not answer or refuses.
    """
    removed = sa.and_(nodes.c.name == name, nodes.c.state == REMOVED)
    with database.begin() as connection:
        connection.execute(sa.update(nodes).where(removed).values(state=STOPPED))
