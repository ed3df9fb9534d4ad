"""The audit log: append-only JSON lines in a hash chain, with the free texts in a file of their own.

Appending is safe between processes (flock), durable when it returns, and moves a torn end aside first. An entry's
format is in `storage.audit_entry`, reading in `storage.audit_reading`, verifying in `storage.audit_chain`. Entries cut
off the end are only noticed with heads that were noted elsewhere: give them to `AuditLog.verify`.
"""

import contextlib
import fcntl
import hashlib
import mmap
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from storage.audit_chain import REPAIRED, AuditState, ChainWalk, Progress, checked_lines
from storage.audit_entry import GENESIS, RECORDER, AuditEntry, line_of, parse_line
from storage.audit_reading import newest_first
from storage.audit_tail import Tail, read_tail
from storage.audit_texts import AuditTexts, KeptTexts, salted
from storage.durable import SavedFile, make_folder, sync_folder
from storage.errors import AuditUnavailableError
from storage.group_modes import open_file
from storage.heads import Head

LOCK_S = 5.0
"""How long another process may hold the log's lock before an entry counts as not written."""
_LONGEST_NAP_S = 0.01


class AuditLog:
    """The log of one folder: ``audit.log`` and its texts, created by the first append.

    Args:
        folder: The folder of the log, its texts, and torn ends that were moved aside.
        now: The clock.
        lock_s: How long to wait for the lock of another process.
    """

    def __init__(
        self, folder: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC), lock_s: float = LOCK_S
    ) -> None:
        self._now = now
        self._lock_s = lock_s
        self._folder = folder
        self._path = folder / "audit.log"
        self._texts = AuditTexts(folder)
        self._known: tuple[int, int, AuditEntry] | None = None
        """Inode and size of the file after our last entry, and the entry; if both fit, no other process wrote since."""

    # --- writing

    def append(
        self,
        act: str,
        actor: str,
        subject: str,
        details: Mapping[str, Any] | None = None,
        text: str | None = None,
        *,
        settles: bool = True,
    ) -> AuditEntry:
        """Append an entry; it and its text are on the disk when this returns.

        Args:
            act: What was done, ``noun.verb``.
            actor: Who did it.
            subject: What it was done to: a recording id, an account, or "".
            details: JSON-able facts, never free text.
            text: Free text such as a reason; kept apart so that it can expire.
            settles: Whether to settle the text too; otherwise the caller calls `settle` afterwards.

        Raises:
            AuditUnavailableError: The entry could not be written; the act must not go on.
        """
        try:
            make_folder(self._folder)
            with self._locked() as descriptor:
                last = self._last_entry(descriptor)
                entry = self._write(descriptor, last, (act, actor, subject), dict(details or {}), text)
                if settles and text is not None:
                    self._texts.settle(_names(descriptor))
                return entry
        except (OSError, sqlite3.Error, ValueError, TypeError) as error:
            raise AuditUnavailableError(f"the audit log {self._path} cannot be written: {error}") from error

    def settle(self) -> None:
        """Settle the texts that `append` left prepared; on an error the next entry with a text settles them."""
        with contextlib.suppress(OSError), self._locked() as descriptor:
            self._texts.settle(_names(descriptor))

    def repair(self) -> bool:
        """Move a torn end aside and settle its text, as the next `append` would.

        Until then `verify` reports the log as damaged, so it is called at the start after a kill. A log that is whole
        or missing is not touched.

        Returns:
            Whether the log was changed.

        Raises:
            AuditUnavailableError: The log cannot be read or repaired.
        """
        try:
            if not self._path.exists():
                return False
            with self._locked() as descriptor:
                before = os.fstat(descriptor).st_size
                self._last_entry(descriptor)
                self._texts.settle(_names(descriptor))
                return os.fstat(descriptor).st_size != before
        except (OSError, ValueError, TypeError) as error:
            raise AuditUnavailableError(f"the audit log {self._path} cannot be repaired: {error}") from error

    def forget_texts(self, entries: Sequence[AuditEntry]) -> int:
        """Delete the free texts of entries and their salts in one step; returns how many there were.

        The chain stays whole: an entry has only the hash of its text.

        Raises:
            AuditUnavailableError: They cannot be deleted; all are still there.
        """
        return self._texts.forget([entry.text_commitment for entry in entries if entry.text_commitment is not None])

    # --- reading

    def count_texts(self, entries: Iterable[AuditEntry]) -> int:
        """Return how many of some entries still have their free text.

        Raises:
            AuditUnavailableError: The texts cannot be read.
        """
        return self._texts.count(entry.text_commitment for entry in entries if entry.text_commitment is not None)

    @property
    def folder(self) -> Path:
        """The folder of the log, its texts, and torn ends that were moved aside."""
        return self._folder

    @property
    def path(self) -> Path:
        """The file of entries."""
        return self._path

    @property
    def texts(self) -> AuditTexts:
        """The free texts."""
        return self._texts

    def entries(self) -> Iterator[AuditEntry]:
        """Yield the entries, oldest first, up to the first damaged one, which `verify` reports."""
        for _, _, found in checked_lines(self._path, self._snapshot()[0]):
            if not isinstance(found, AuditEntry):
                return
            yield found

    def head(self) -> Head | None:
        """Return number and hash of the newest entry, or None: there is none yet.

        Raises:
            AuditUnavailableError: The log cannot be read, or its last line is not an entry.
        """
        if not self._path.exists():
            return None
        try:
            with self._path.open("rb") as file:
                # A writer removes an entry that the disk refuses before it releases its lock.
                _wait_for(file.fileno(), fcntl.LOCK_SH, self._lock_s)
                newest = next(newest_first(self._path), None)
        except OSError as error:
            raise AuditUnavailableError(f"the audit log {self._path} cannot be read: {error}") from error
        return None if newest is None else Head(number=newest.number, hash=newest.hash)

    def size(self) -> int:
        """Return how many bytes of whole entries the log has; 0 if there is none.

        Raises:
            AuditUnavailableError: The log cannot be read.
        """
        try:
            with self._path.open("rb") as file:
                # A writer removes an entry that the disk refuses before it releases its lock.
                _wait_for(file.fileno(), fcntl.LOCK_SH, self._lock_s)
                return os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            return 0
        except OSError as error:
            raise AuditUnavailableError(f"the audit log {self._path} cannot be read: {error}") from error

    def text(self, entry: AuditEntry) -> str | None:
        """Return the free text of an entry, or None: it has none, it expired, or it was changed.

        Raises:
            AuditUnavailableError: The texts cannot be read.
        """
        return self._texts.get(entry.text_commitment)

    def verify(self, heads: Iterable[Head] = (), progress: Progress = lambda _done, _total: None) -> AuditState:
        """Check every entry against its hash, its number, the entry before, its text, and heads noted elsewhere.

        Args:
            heads: Heads that were noted elsewhere.
            progress: Called with the bytes done and the bytes in all.

        Raises:
            AuditUnavailableError: The log cannot be read.
        """
        noted = list(heads)
        try:
            state = self._walk().run(noted, progress)
            if state.stray_texts:  # texts may have expired during the walk
                state = self._walk().run(noted, progress)
        except OSError as error:
            raise AuditUnavailableError(f"the audit log {self._path} cannot be read: {error}") from error
        return state

    def _walk(self) -> ChainWalk:
        return ChainWalk(self._path, *self._snapshot(), self._texts)

    def _snapshot(self) -> tuple[int, KeptTexts | None]:
        """Return the length of the log, and the texts stored at that moment; None: they cannot be read."""
        if not self._path.exists():
            return 0, self._texts.kept()
        with self._path.open("rb") as file:
            _wait_for(file.fileno(), fcntl.LOCK_SH, self._lock_s)
            return os.fstat(file.fileno()).st_size, self._texts.kept()

    # --- the end of the file: locking, durable writing, torn ends

    @contextmanager
    def _locked(self) -> Iterator[int]:
        is_new = not self._path.exists()
        descriptor = open_file(self._path, os.O_RDWR | os.O_APPEND)
        try:
            if is_new:
                sync_folder(self._folder)
            _wait_for(descriptor, fcntl.LOCK_EX, self._lock_s)
            yield descriptor
        finally:
            os.close(descriptor)

    def _write(
        self,
        descriptor: int,
        last: AuditEntry | None,
        names: tuple[str, str, str],
        details: dict[str, Any],
        text: str | None,
    ) -> AuditEntry:
        """Write an entry and its text, or on an error neither. The text is only prepared."""
        stored = None if text is None else salted(text)
        fields: dict[str, Any] = {
            "n": last.number + 1 if last else 1,
            "at": self._now().isoformat().replace("+00:00", "Z"),
            "act": names[0],
            "actor": names[1],
            "subject": names[2],
            "details": details,
            "text": stored.commitment if stored else None,
            "prev": last.hash if last else GENESIS,
        }
        line = line_of(fields)
        before = os.fstat(descriptor)
        if stored is not None:
            self._texts.prepare(stored, _names(descriptor))
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError(28, os.strerror(28))
            os.fdatasync(descriptor)
        except BaseException:
            os.ftruncate(descriptor, before.st_size)
            raise
        entry = parse_line(line)
        self._known = (before.st_ino, before.st_size + len(line), entry)
        return entry

    def _last_entry(self, descriptor: int) -> AuditEntry | None:
        """Return the last entry; a torn end behind it is moved aside first, and an entry says so."""
        status = os.fstat(descriptor)
        size, known = status.st_size, self._known
        if known is not None and known[:2] == (status.st_ino, size):
            return known[2]
        if not size:
            return None
        tail = read_tail(descriptor, size)
        return self._move_aside(descriptor, tail, size) if tail.torn else tail.last

    def _move_aside(self, descriptor: int, tail: Tail, size: int) -> AuditEntry:
        aside = self._folder / f"torn-{self._now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}.bin"
        SavedFile(aside).create(tail.torn)
        os.ftruncate(descriptor, size - len(tail.torn))
        details = {
            "bytes": len(tail.torn),
            "sha256": hashlib.sha256(tail.torn).hexdigest(),
            "file": aside.name,
            "is_whole": tail.is_whole,
        }
        return self._write(descriptor, tail.last, (REPAIRED, RECORDER, ""), details, None)


def _names(descriptor: int) -> Callable[[str], bool]:
    """Return a function that tells whether an entry of the log has a commitment."""

    def is_named(commitment: str) -> bool:
        if not os.fstat(descriptor).st_size:
            return False
        with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as log:
            return log.rfind(f'"text":"{commitment}"'.encode("ascii")) >= 0

    return is_named


def _wait_for(descriptor: int, kind: int, timeout_s: float) -> None:
    """Take a lock.

    Raises:
        TimeoutError: Another process held it for too long; a process that hangs must not block this one.
    """
    deadline, nap_s = time.monotonic() + timeout_s, _LONGEST_NAP_S / 16
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise TimeoutError(f"another process has held its lock for {timeout_s:g} s") from error
        else:
            return
        time.sleep(nap_s)
        nap_s = min(2 * nap_s, _LONGEST_NAP_S)
