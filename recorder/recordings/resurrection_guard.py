"""Destroys deleted recordings that an interrupted deletion left, or that a backup brought back.

It runs at the start of daemon and console, in `recorder recordings recover`, and at the start of each sweep.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path

from recorder.common.file_lock import locked
from recorder.common.home import Home
from storage.audit import AuditLog
from storage.audit_reading import newest_first, of_act
from storage.database import SQLITE, Database
from storage.deletion import Done, Shredder, Spared
from storage.errors import StorageError
from storage.hold_journal import ACTS as HOLD_ACTS
from storage.hold_journal import replay_holds, steady
from storage.holds import Holds
from storage.shared_deletion import SharedDeletion
from storage.tombstones import FILES_REMOVED, Deletions, Tombstone, since_settled
from storage.types import RecordingId
from storage.vault import Vault

_log = logging.getLogger(__name__)

LOCK = "retention.lock"
_NEWEST = 10_000
"""How many entries of the audit log are searched for a removal that was interrupted."""


class SweepBusyError(StorageError):
    """Another process or thread is sweeping or rewriting a recording."""


def destroy_returned(
    home: Home, vault: Vault, database: Database, now: Callable[[], datetime], *, node: str | None = None
) -> list[RecordingId]:
    """Destroy deleted recordings that are there again, with an audit entry and a log line.

    If another process holds the locks it is left to that: every sweep begins with the same. In an index that is a file
    rows are looked for too: its write-ahead log, restored alone, brings rows back and leaves the newer tombstones.

    Args:
        home: The recorder's home.
        vault: Its recordings.
        database: The index.
        now: The clock, UTC.
        node: This node's name if several nodes share the index, which have deleted recordings while this one was
            away; None if it has its index for itself.

    Returns:
        Recordings that were there again, or not completely deleted.

    Raises:
        StorageError, OSError: Audit log, database or disk cannot be used.
    """
    try:
        return destroy_returned_alone(home, vault, database, now, node=node)
    except SweepBusyError:
        return []


def destroy_returned_alone(
    home: Home, vault: Vault, database: Database, now: Callable[[], datetime], *, node: str | None = None
) -> list[RecordingId]:
    """Do what `destroy_returned` does.

    Raises:
        SweepBusyError: Another process holds the locks; nothing was done.
        StorageError, OSError: Audit log, database or disk cannot be used.
    """
    audit, holds = AuditLog(home.audit, now=now), Holds(database)
    shared = None if node is None else SharedDeletion(database=database, audit=audit, node=node, now=now)
    shredder = Shredder(vault, Deletions(database), audit, shared)
    with alone(home.state / LOCK), alone(home.erasing_lock), steady(home.state, holds, audit):
        is_file = database.dialect == SQLITE
        done = catch_up(shredder, holds, now, is_thorough=is_file) if shared is None else clear_out(shredder)
    return done.ids


def catch_up(shredder: Shredder, holds: Holds, now: Callable[[], datetime], *, is_thorough: bool = False) -> Done:
    """Bring database and disk to the state of holds and deletions in the audit log.

    An index restored from a backup knows neither the holds placed after the backup nor the deletions. The caller holds
    the locks.

    Raises:
        StorageError, OSError: Audit log, database or disk cannot be used.
    """
    audit = shredder.audit
    if any(entry.act in HOLD_ACTS for entry in since_settled(audit, shredder.deletions)):
        replay_holds(of_act(audit.path, *HOLD_ACTS), holds, text=audit.text)
    done = shredder.finish(held_since(holds, now))
    remove_ordered(shredder)
    done.add(shredder.destroy_returned(is_thorough=is_thorough))
    _say_returned(done)
    for recording in sorted(done.spared):
        _log.error("recording %s: kept, because it was held after its deletion was interrupted", recording)
    return done


def clear_out(shredder: Shredder, *, is_thorough: bool = False) -> Done:
    """Destroy this machine's keys and files of recordings that have a tombstone in an index that several nodes share.

    The caller holds the locks.

    Raises:
        StorageError, OSError: Audit log, database or disk cannot be used.
    """
    done = remove_ordered(shredder)
    returned = shredder.destroy_returned(is_thorough=is_thorough)
    _say_returned(returned)
    done.add(returned)
    return done


def remove_ordered(shredder: Shredder) -> Done:
    """Remove this machine's files of recordings that other nodes deleted, and confirm it. The caller holds the locks.

    Raises:
        StorageError, OSError: Audit log, database or disk cannot be used.
    """
    done = shredder.remove_ordered(is_known=_Announced(shredder.audit))
    if done.files or done.keys:
        _log.info("%d recordings that other nodes deleted: their files were removed here", len(done.ids))
    for recording, problem in done.problems.items():
        _log.error("recording %s: another node deleted it, but its file here was not removed: %s", recording, problem)
    return done


def _say_returned(done: Done) -> None:
    if done.files or done.keys or done.rows:
        _log.warning(
            "%d deleted recordings had come back and were destroyed again: %d files, %d keys, %d rows",
            len(done.ids), done.files, done.keys, done.rows,
        )  # fmt: skip


class _Announced:
    """Tells whether the newest entry on removed files names a recording: a kill may have interrupted that removal.

    Args:
        audit: Read at the first question.
    """

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit
        self._ids: frozenset[str] | None = None

    def __call__(self, recording: RecordingId) -> bool:
        if self._ids is None:
            entries = islice(newest_first(self._audit.path), _NEWEST)
            newest = next((entry for entry in entries if entry.act == FILES_REMOVED), None)
            self._ids = frozenset(() if newest is None else newest.details["recordings"])
        return recording in self._ids


def held_since(holds: Holds, now: Callable[[], datetime]) -> Spared:
    """Return a function for the recordings that were held after their deletion was interrupted, which must be kept.

    A hold from before the deletion does not count: it had ended, and a backup has brought it back.
    """

    def spared(tombstones: Sequence[Tombstone]) -> set[RecordingId]:
        at = {one.id: one.deleted_at for one in tombstones}
        held = holds.held_among(list(at), now())
        return {one for one in held if any(hold.placed_at > at[one] for hold in holds.keeping(one, now()))}

    return spared


@contextlib.contextmanager
def alone(lock: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold a lock between processes and threads.

    Raises:
        SweepBusyError: Another one holds it, and ``wait`` is false.
    """
    with locked(lock, wait=wait) as is_ours:
        if not is_ours:
            raise SweepBusyError("a sweep is running already")
        yield
