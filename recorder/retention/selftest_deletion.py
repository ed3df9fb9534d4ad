"""Deletes the recordings of self-tests, and nothing else: they are of no person, and count in no report.

A recording is one if its id has the mark that only such a call can have (`recorder.rules.policy.recording_id`), and its
row names nobody but the self-test. One that has become anything else, or is held, is kept.
"""

import logging
from collections.abc import Callable, Collection
from datetime import datetime

from recorder.common.home import Home
from recorder.recordings.resurrection_guard import LOCK, alone
from storage.audit import AuditLog
from storage.database import Database
from storage.deletion import Shredder
from storage.hold_journal import steady
from storage.holds import Holds
from storage.index import Index
from storage.shared_deletion import SharedDeletion
from storage.tombstones import Deletions, Tombstone
from storage.types import SELFTEST, SELFTEST_MARK, RecordingId, RecordingRow, Search
from storage.vault import Vault

_log = logging.getLogger(__name__)

RULE = "selftest"
"""Rule that the tombstones name; reports count those of `recorder.retention.call_deletion.RULE`."""


class SelfTestDeletion:
    """Deletes the recordings of self-tests of one node.

    Args:
        home: The recorder's home.
        vault: Its recordings.
        database: The index.
        now: The clock, UTC.
        node: This node's name, where several share the index; "" if it has none.
        shares: Whether the index may be shared with other nodes.
    """

    def __init__(
        self, home: Home, vault: Vault, database: Database, now: Callable[[], datetime], *, node: str, shares: bool
    ) -> None:
        self._home, self._index, self._now, self._node = home, Index(database), now, node
        self._audit, self._holds = AuditLog(home.audit, now=now), Holds(database)
        shared = SharedDeletion(database=database, audit=self._audit, node=node, now=now) if shares else None
        self._shredder = Shredder(vault, Deletions(database), self._audit, shared)

    def delete(self, by: str, *, is_open: Callable[[str], bool]) -> dict[RecordingId, str]:
        """Delete every recording of an earlier self-test and of this one.

        Args:
            by: Who ran it, for the audit log.
            is_open: Tells whether a recording is still being written.

        Returns:
            The recordings that are kept, with the reason.

        Raises:
            SweepBusyError: The sweep or a rewriting runs; try again.
            StorageError, OSError: Audit log, database or disk cannot be used; try again.
        """
        kept: dict[RecordingId, str] = {}
        state = self._home.state
        with alone(state / LOCK), alone(self._home.erasing_lock), steady(state, self._holds, self._audit):
            rows = [row for row in self._rows() if not is_open(row.id)]
            held = self._holds.held_among([row.id for row in rows], self._now())
            for row in rows:
                if (why := _obstacle(row, held)) is not None:
                    kept[row.id] = why
            doomed = [row for row in rows if row.id not in kept]
            if doomed:
                done = self._shredder.delete([self._tombstone(row) for row in doomed], rule=RULE, by=by)
                kept |= done.problems
        for recording, why in kept.items():
            _log.error("recording %s of a self-test is kept: %s", recording, why)
        return kept

    def _rows(self) -> list[RecordingRow]:
        found = self._index.find(Search(extension=SELFTEST, selftests=True))
        return [row for row in found if SELFTEST_MARK in row.id and row.node == self._node]

    def _tombstone(self, row: RecordingRow) -> Tombstone:
        return Tombstone(id=row.id, deleted_at=self._now(), rule=RULE, sha256=row.sha256, bytes=row.bytes)


def _obstacle(row: RecordingRow, held: Collection[RecordingId]) -> str | None:
    """Return why a recording must stay, or None."""
    if row.id in held:
        return "it is under a legal hold"
    if row.operators != (SELFTEST,) or row.extensions != (SELFTEST,) or row.related or row.numbers:
        return "another party was on the call"
    return None
