"""Deletes recordings from an index that several nodes share, for the holder of a lease.

One transaction compares the lease's fence, checks the holds again, writes the entry of the audit log, replaces the rows
by tombstones, and orders each node to remove its files (`storage.file_removals`). Only after its commit a node destroys
keys and files, so a node that was stopped and wakes up after another took over has destroyed nothing. If the commit
fails after the entry was written, a second entry says that the recordings were not deleted.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage.audit import AuditLog
from storage.audit_entry import RECORDER, AuditEntry
from storage.database import Database
from storage.errors import AuditUnavailableError, LeaseLostError, StorageError
from storage.file_removals import FileRemovals, order_removals
from storage.hold_lock import lock_holds
from storage.holds import kinds_in_effect
from storage.tables import nodes as _nodes_table
from storage.tables import recordings as _recordings
from storage.tombstones import NOT_DELETED, Tombstone, buried_among, bury, tombstones_of
from storage.types import RecordingId

Enter = Callable[[Sequence[Tombstone]], AuditEntry]
"""Writes the entry of a deletion to the audit log."""


_TRANSACTION = sa.text("SELECT CAST(pg_current_xact_id() AS text)")
_STATUS = sa.text("SELECT pg_xact_status(CAST(:transaction AS xid8))")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """An entry that announces a deletion, its recordings, and the id of the transaction that deletes them."""

    entry: AuditEntry
    ids: list[RecordingId]
    transaction: str


@dataclass(slots=True, kw_only=True)
class SettledDeletion:
    """The result of one transaction.

    Attributes:
        tombstones: Recordings that are deleted now, with the time of the entry.
        rows: Number of rows deleted.
        nodes: For each of them that has a file, the name of the node that made it.
        held: Recordings that stay, because a hold was placed meanwhile.
        known: Recordings that another node had deleted already.
    """

    tombstones: list[Tombstone] = field(default_factory=list)
    rows: int = 0
    nodes: dict[RecordingId, str] = field(default_factory=dict)
    held: set[RecordingId] = field(default_factory=set)
    known: set[RecordingId] = field(default_factory=set)


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedDeletion:
    """Deletes the rows of recordings, and confirms the removal of this node's files.

    Attributes:
        database: The index; `storage.leases.Leases.fenced` for who deletes, the plain one for who only confirms.
        audit: This node's audit log.
        node: This node's name; "" if it has none.
        now: The clock, for holds.
    """

    database: Database
    audit: AuditLog
    node: str
    now: Callable[[], datetime]

    @property
    def names(self) -> Collection[str]:
        """Return the names under which files of this node are listed: its own, and that of before nodes had names."""
        return {self.node, ""}

    @property
    def removals(self) -> FileRemovals:
        """Return the removals of files."""
        return FileRemovals(self.database)

    def confirm(self, recordings: Sequence[RecordingId], here: Collection[RecordingId]) -> None:
        """Confirm that this node has no file and no key of some recordings.

        Args:
            recordings: The recordings.
            here: Those among them of which there was something here: only these are confirmed for the node without a
                name, which may be another one, unless the site has no nodes with names.
        """
        if self.node:
            self.removals.confirm(recordings, self.node)
        of_nobody = [one for one in recordings if one in here] if self._has_names() else list(recordings)
        self.removals.confirm(of_nobody, "")

    def _has_names(self) -> bool:
        with self.database.connect() as connection:
            return connection.execute(sa.select(sa.literal(1)).select_from(_nodes_table).limit(1)).scalar() is not None

    def settle(self, doomed: Sequence[Tombstone], enter: Enter) -> SettledDeletion:
        """Delete rows, all or none.

        Args:
            doomed: Recordings, at most some hundred.
            enter: Called, at most once, with those that are deleted.

        Raises:
            LeaseLostError: Another node has taken over; nothing was deleted, and if an entry was written already, a
                second one says so.
            AuditUnavailableError: The entry cannot be written; nothing was deleted.
            DatabaseError: Nothing was deleted, or it is not known; `storage.deletion.Shredder.finish` goes on.
        """
        written: list[_Written] = []

        def entered(connection: sa.Connection, tombstones: Sequence[Tombstone]) -> AuditEntry:
            transaction = connection.execute(_TRANSACTION).scalar_one()
            entry = enter(tombstones)
            written.append(_Written(entry=entry, ids=[one.id for one in tombstones], transaction=transaction))
            return entry

        try:
            with self.database.begin() as connection:
                settled = self._settle(connection, doomed, entered)
        except AuditUnavailableError:
            raise
        except StorageError as error:
            if written:
                self._take_back(written[0], error)
            raise
        return settled

    def _settle(
        self, connection: sa.Connection, doomed: Sequence[Tombstone],
        enter: Callable[[sa.Connection, Sequence[Tombstone]], AuditEntry],
    ) -> SettledDeletion:  # fmt: skip
        lock_holds(connection)
        ids = [one.id for one in doomed]
        settled = SettledDeletion(
            known=buried_among(connection, ids), held=set(kinds_in_effect(connection, ids, self.now())),
        )  # fmt: skip
        left = [one for one in doomed if one.id not in settled.known and one.id not in settled.held]
        if left:
            settled.nodes = _nodes(connection, [one.id for one in left])
            entry = enter(connection, left)
            entered = {one.id: one for one in tombstones_of(entry)}
            settled.tombstones = [entered[one.id] for one in left]
            settled.rows = bury(connection, settled.tombstones)
            order_removals(connection, settled.nodes)
        return settled

    def _take_back(self, written: _Written, error: StorageError) -> None:
        """Note that a deletion of the audit log did not come about, unless the commit's answer alone was lost."""
        if not isinstance(error, LeaseLostError) and self._is_aborted(written.transaction) is not True:
            return  # done, or not known: `storage.deletion.Shredder.finish` looks again
        details: dict[str, Any] = {"entry": written.entry.number, "recordings": written.ids}
        self.audit.append(NOT_DELETED, RECORDER, "", details)

    def _is_aborted(self, transaction: str) -> bool | None:
        """Tell whether a transaction was rolled back; None: the database does not answer or does not know."""
        try:
            with self.database.connect() as connection:
                found = connection.execute(_STATUS, {"transaction": transaction}).scalar()
        except StorageError:
            return None
        return None if found in (None, "in progress") else found == "aborted"


def _nodes(connection: sa.Connection, recordings: Sequence[RecordingId]) -> dict[RecordingId, str]:
    """Return which node has the file of each recording among some; calls of which nothing was kept are left out."""
    query = sa.select(_recordings.c.id, _recordings.c.document).where(_recordings.c.id.in_(recordings))
    found = {}
    for row in connection.execute(query):
        try:
            document = json.loads(row.document)
            path, node = document.get("path"), document.get("node")
        except (ValueError, AttributeError):  # a damaged row does not say; each node looks for a file of it
            path, node = "", ""
        if path is not None:
            found[RecordingId(row.id)] = str(node or "")
    return found
