"""Compresses finished recordings that are old enough, on the key holder, by the rule of ``[archive]``.

Recordings that are held, locked by an order to erase, or archived already are skipped. Each recording is done alone
under the lock that erasing and the sweep also take, so neither waits for long. The run may be interrupted anywhere and
started again.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from recorder.common.file_lock import locked
from recorder.config.settings import Archive
from storage.archive import archive
from storage.audit import AuditLog
from storage.audit_entry import RECORDER
from storage.container_rows import read_row
from storage.database import Database
from storage.epochs import EpochKeys
from storage.erasures import Erasures, is_open
from storage.errors import AuditUnavailableError, NotFoundError, StorageError
from storage.format import ARCHIVE_VERSION, ContainerScan, open_container
from storage.hold_journal import steady
from storage.holds import Holds
from storage.index import Index
from storage.reader import fresh_path
from storage.rewrite import clear_up
from storage.rows import archived_to_json, row_from_json
from storage.types import RecordingId, RecordingRow, Search
from storage.vault import Vault

_log = logging.getLogger(__name__)

Progress = Callable[[float, float], None]
"""Called with the number of recordings done and the total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueToPack:
    """Recordings due to be archived: their number, and their bytes now."""

    recordings: int
    bytes: int


@dataclass(slots=True, kw_only=True)
class Packed:
    """The results of one run.

    Attributes:
        recordings: Number that were archived.
        bytes_before: Bytes of their containers before.
        bytes_after: Bytes of their containers after.
    """

    recordings: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archiver:
    """Archives recordings, on the machine with the private keys.

    Attributes:
        lock: File lock of the process that may change finished recordings.
        rule: After how long, and in which format.
        now: The clock, UTC.
    """

    vault: Vault
    keys: EpochKeys
    index: Index
    erasures: Erasures
    holds: Holds
    audit: AuditLog
    lock: Path
    rule: Archive
    now: Callable[[], datetime]

    def on(self, database: Database) -> "Archiver":
        """Return the same over another view of the database, as the one of a lease's holder."""
        return replace(self, index=Index(database), erasures=Erasures(database), holds=Holds(database))

    def due(self) -> DueToPack:
        """Count what is due now, without changing anything or opening a private key.

        Raises:
            StorageError: The database does not answer.
        """
        locked = {order.recording for order in self.erasures.open_orders()}
        found = [row.bytes or 0 for row in self._candidates() if not row.holds and row.id not in locked]
        return DueToPack(recordings=len(found), bytes=sum(found))

    def run(
        self, *, stopping: threading.Event | None = None, progress: Progress = lambda _done, _total: None
    ) -> Packed:
        """Finish interrupted archiving, then archive what is due, oldest last.

        Args:
            stopping: Ends the run between two recordings.
            progress: Called with the progress.

        Raises:
            StorageError, OSError: Database or audit log failed; the next run goes on.
        """
        done = Packed()
        for path in self._cut_off():
            self._attempt(RecordingId(path.stem), self._finish, done)  # even if held: what has begun must end
        if self.rule.after_days is None:
            return done
        due = [row.id for row in self._candidates()]
        for number, recording in enumerate(due):
            if stopping is not None and stopping.is_set():
                break
            progress(number, len(due))
            self._attempt(recording, self._pack, done)
        return done

    def _candidates(self) -> Iterator[RecordingRow]:
        if self.rule.after_days is None:
            return
        before = self.now() - timedelta(days=self.rule.after_days)
        for row in self.index.each(Search(started_to=before), on_damaged=lambda _: None):
            if row.path is not None and row.archived is None and (row.ended_at or row.started_at) < before:
                yield row

    def _cut_off(self) -> list[Path]:
        """Return new containers of interrupted archiving; those of orders to erase are the eraser's."""
        found = self.vault.root.glob("*/*/*/*/*.erasing")
        return [path for path in found if not self._has_order(RecordingId(path.stem))]

    def _is_free(self, recording: RecordingId) -> bool:
        return not self.holds.keeping(recording, self.now()) and not self._has_order(recording)

    def _has_order(self, recording: RecordingId) -> bool:
        return any(map(is_open, self.erasures.of_recording(recording)))

    def _attempt(self, recording: RecordingId, act: Callable[[RecordingRow, Packed], None], done: Packed) -> None:
        """Act on one recording while nobody else may change it; a failure is noted, and the next run tries again."""
        try:
            with locked(self.lock, wait=True), steady(self.lock.parent, self.holds, self.audit):
                row = self.index.get(recording)
                act(row, done)
        except AuditUnavailableError:
            raise
        except NotFoundError:
            return  # deleted meanwhile
        except (StorageError, OSError, ValueError) as error:
            done.problems.append(f"recording {recording}: {error}")

    def _pack(self, row: RecordingRow, done: Packed) -> None:
        if row.archived is not None or row.path is None or not self._is_free(row.id):
            return
        if self._is_packed(self.vault.bring(row)):
            self._file(row, self._row_in_container(row))  # interrupted before the row was saved
            return
        now = archive(self.vault, self.keys, row, self.rule.format, at=self.now())
        self._file(row, now)
        done.recordings += 1
        done.bytes_before += row.bytes or 0
        done.bytes_after += now.bytes or 0

    def _finish(self, row: RecordingRow, done: Packed) -> None:
        """Bring a recording whose archiving was interrupted to the old or the new state."""
        if row.path is None or self._has_order(row.id):
            return
        path = self.vault.locate(row.path)
        if fresh_path(path).exists():
            clear_up(self.vault, self.keys, path)
        if row.archived is None and self._is_packed(path):
            self._file(row, self._row_in_container(row))
            done.recordings += 1

    def _row_in_container(self, row: RecordingRow) -> RecordingRow:
        assert row.path is not None, "only recordings with a container are archived"
        return row_from_json(read_row(self.vault, self.vault.locate(row.path)))

    @staticmethod
    def _is_packed(path: Path) -> bool:
        with open_container(path) as file:
            return ContainerScan(file).prologue.version == ARCHIVE_VERSION

    def _file(self, before: RecordingRow, now: RecordingRow) -> None:
        """Write the audit entry, then save only the fields that changed."""
        assert now.archived is not None, "the row is that of the archived container"
        self.audit.append(
            act="recording.archived",
            actor=RECORDER,
            subject=now.id,
            details={**archived_to_json(now.archived), "sha256": now.sha256, "bytes": now.bytes},
        )
        self.index.save_rewritten(
            replace(self.index.get(before.id), archived=now.archived, sha256=now.sha256, bytes=now.bytes),
            before=before.sha256, node=self.vault.node.fingerprint, at=self.now(),
        )  # fmt: skip
        _log.info("recording %s: archived as %s", now.id, now.archived.format)
