"""Packs finished recordings that are old enough, on the key holder, by the rule of ``[archive]``.

What is held, locked by an order to erase, or archived already is left alone. One recording at a time, each under the
lock that erasing and the sweep take too, so that neither waits for long. It may be killed anywhere, and run again.
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
"""Called with recordings done and in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueToPack:
    """What the rule is about to pack: how many recordings, and their bytes now."""

    recordings: int
    bytes: int


@dataclass(slots=True, kw_only=True)
class Packed:
    """What one run did.

    Attributes:
        recordings: That were packed.
        bytes_before: Of their containers.
        bytes_after: Likewise.
        problems: Sentences.
    """

    recordings: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archiver:
    """Whoever has the private keys.

    Attributes:
        vault: Where recordings lie.
        keys: The private keys.
        index: Recordings.
        erasures: Orders to erase.
        holds: Holds.
        audit: The audit log.
        lock: A file; whoever holds its lock may change finished recordings.
        rule: When, and in what.
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

    def due(self) -> DueToPack:
        """Count what is due now; nothing is changed, and no private key is opened.

        Raises:
            StorageError: The database does not answer.
        """
        locked = {order.recording for order in self.erasures.open_orders()}
        found = [row.bytes or 0 for row in self._candidates() if not row.holds and row.id not in locked]
        return DueToPack(recordings=len(found), bytes=sum(found))

    def run(
        self, *, stopping: threading.Event | None = None, progress: Progress = lambda _done, _total: None
    ) -> Packed:
        """Finish what a kill cut off, then pack what is due, oldest last.

        Args:
            stopping: Ends it between two recordings.
            progress: Told how far it is.

        Raises:
            StorageError, OSError: Database or audit log do not answer; the rest comes later.
        """
        done = Packed()
        for path in self._cut_off():
            self._attempt(RecordingId(path.stem), self._finish, done)  # held or not: what is begun must end
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
        """Return the new containers that a kill kept from their places; those of orders to erase are the eraser's."""
        found = self.vault.root.glob("*/*/*/*/*.erasing")
        return [path for path in found if not self._has_order(RecordingId(path.stem))]

    def _is_free(self, recording: RecordingId) -> bool:
        """Tell whether nobody holds a recording, and no order to erase is open for it."""
        return not self.holds.keeping(recording, self.now()) and not self._has_order(recording)

    def _has_order(self, recording: RecordingId) -> bool:
        return any(map(is_open, self.erasures.of_recording(recording)))

    def _attempt(self, recording: RecordingId, act: Callable[[RecordingRow, Packed], None], done: Packed) -> None:
        """Do something with one recording while nobody else may change it; what fails is a problem, and comes again."""
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
        if self._is_packed(self.vault.locate(row.path)):
            self._file(row, self._told(row))  # a kill kept the row from the index
            return
        now = archive(self.vault, self.keys, row, self.rule.format, at=self.now())
        self._file(row, now)
        done.recordings += 1
        done.bytes_before += row.bytes or 0
        done.bytes_after += now.bytes or 0

    def _finish(self, row: RecordingRow, done: Packed) -> None:
        """Bring a recording whose archiving was killed to the old state or to the new one."""
        if row.path is None or self._has_order(row.id):
            return
        path = self.vault.locate(row.path)
        if fresh_path(path).exists():
            clear_up(self.vault, self.keys, path)
        if row.archived is None and self._is_packed(path):
            self._file(row, self._told(row))
            done.recordings += 1

    def _told(self, row: RecordingRow) -> RecordingRow:
        """Return the row as its container has it."""
        assert row.path is not None, "it has a container"
        return row_from_json(read_row(self.vault, self.vault.locate(row.path)))

    @staticmethod
    def _is_packed(path: Path) -> bool:
        with open_container(path) as file:
            return ContainerScan(file).prologue.version == ARCHIVE_VERSION

    def _file(self, before: RecordingRow, now: RecordingRow) -> None:
        """Write down what was done, then save what it changed and nothing else."""
        assert now.archived is not None, "it was just archived"
        self.audit.append(
            act="recording.archived",
            actor=RECORDER,
            subject=now.id,
            details={**archived_to_json(now.archived), "sha256": now.sha256, "bytes": now.bytes},
        )
        self.index.save(replace(self.index.get(before.id), archived=now.archived, sha256=now.sha256, bytes=now.bytes))
        _log.info("recording %s is archived as %s", now.id, now.archived.format)
