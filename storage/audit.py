"""The audit log: append-only JSON lines, each bound to the one before by hash; free text kept apart.

Safe between processes (flock). What a line is stands in `storage.audit_entry`, how a log is checked in
`storage.audit_chain`. Cutting whole entries off the end can be noticed only against a head that was noted elsewhere:
give `AuditLog.verify` those that were.
"""

import contextlib
import fcntl
import hashlib
import json
import mmap
import os
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from storage.audit_chain import REPAIRED, AuditState, BadEntry, ChainWalk, Progress, checked_lines
from storage.audit_entry import GENESIS, AuditEntry, line_of, parse_line
from storage.audit_texts import AuditTexts, KeptTexts, salted
from storage.durable import SavedFile, make_folder, sync_folder
from storage.errors import AuditUnavailableError
from storage.group_modes import open_file
from storage.heads import Head

__all__ = ["GENESIS", "REPAIRED", "AuditEntry", "AuditLog", "AuditState", "AuditUnavailableError", "BadEntry"]

LOCK_S = 5.0
"""How long another process may hold the log's lock before an entry counts as not written."""
_TAIL_BYTES = 1 << 16
_LONGEST_NAP_S = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class ActsFound:
    """What `AuditLog.acts_after` found.

    Attributes:
        entries: Oldest first.
        at: Where to go on: the file, and how far it was read.
        is_anew: The log was begun anew, so these are all there are.
    """

    entries: list[AuditEntry]
    at: tuple[int, int]
    is_anew: bool


class AuditLog:
    """``audit.log`` and its texts in one folder, created at the first append.

    Args:
        folder: Where they lie.
        now: The clock.
        lock_s: How long the lock of another process is waited for.
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
        """Inode and size of the file after our last entry, and that entry: if both still fit, nobody came after us."""

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
        """Write an entry; it is on the disk when this returns, and so is its text.

        Args:
            act: What was done, ``noun.verb``.
            actor: Who did it.
            subject: What it was done to: a recording id, an account, or "".
            details: JSON-able facts, never free text.
            text: Free text such as a reason; kept apart so that it can expire.
            settles: Whether the text is settled as well; otherwise `settle` has to follow.

        Raises:
            AuditUnavailableError: It could not be written; the act must not go on.
        """
        try:
            make_folder(self._folder)
            with self._locked() as descriptor:
                last = self._repair(descriptor)
                entry = self._write(descriptor, last, (act, actor, subject), dict(details or {}), text)
                if settles and text is not None:
                    self._texts.settle(_names(descriptor))
                return entry
        except (OSError, sqlite3.Error, ValueError, TypeError) as error:
            raise AuditUnavailableError(f"the audit log {self._path} cannot be written: {error}") from error

    def settle(self) -> None:
        """Settle the texts that `append` left; what cannot be now is at the next entry with a text."""
        with contextlib.suppress(OSError), self._locked() as descriptor:
            self._texts.settle(_names(descriptor))

    def mend(self) -> bool:
        """Move aside what a kill or a power cut left of a last entry, and settle its text, as the next `append` would.

        Until that is done `verify` has to call the log damaged. Whoever starts after a kill does it; a log that is
        whole, or is not there, is not touched.

        Returns:
            Whether there was something to mend.

        Raises:
            AuditUnavailableError: The log cannot be read, or not be mended.
        """
        try:
            if not self._path.exists():
                return False
            with self._locked() as descriptor:
                before = os.fstat(descriptor).st_size
                self._repair(descriptor)
                self._texts.settle(_names(descriptor))
                return os.fstat(descriptor).st_size != before
        except (OSError, ValueError, TypeError) as error:
            raise AuditUnavailableError(f"the audit log {self._path} cannot be mended: {error}") from error

    def forget_text(self, entry: AuditEntry) -> None:
        """Delete the free text of an entry and its salt; the chain stays whole."""
        self.forget_texts([entry])

    def forget_texts(self, entries: Sequence[AuditEntry]) -> int:
        """Delete the free texts of many entries, and their salts, in one step; returns how many there were.

        Raises:
            AuditUnavailableError: They cannot be deleted; all are still there.
        """
        return self._texts.forget([entry.text_commitment for entry in entries if entry.text_commitment is not None])

    # --- reading

    def count_texts(self, entries: Iterable[AuditEntry]) -> int:
        """Return how many free texts of entries are there.

        Raises:
            AuditUnavailableError: They cannot be read.
        """
        return self._texts.count(entry.text_commitment for entry in entries if entry.text_commitment is not None)

    @property
    def folder(self) -> Path:
        """Where the log lies, and what was moved aside from it."""
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
        """Yield the entries from the first; stops at the first bad one, which `verify` names."""
        for _, _, found in checked_lines(self._path, self._snapshot()[0]):
            if not isinstance(found, AuditEntry):
                return
            yield found

    def newest_first(self) -> Iterator[AuditEntry]:
        """Yield the entries from the last one back, as they are now; a last line that is cut is left out.

        Each is checked against its own hash; that they follow from one another is `verify`'s.

        Raises:
            AuditUnavailableError: The log cannot be read, or a line is no entry.
        """
        try:
            for number, line in enumerate(self._lines_backwards()):
                if number or line.endswith(b"\n"):
                    yield parse_line(line)
        except (OSError, ValueError) as error:
            raise AuditUnavailableError(f"the audit log {self._path} cannot be read back: {error}") from error

    def head(self) -> Head | None:
        """Return number and hash of the newest entry that is there to stay; None: there is none yet.

        Raises:
            AuditUnavailableError: The log cannot be read, or its last line is no entry.
        """
        if not self._path.exists():
            return None
        try:
            with self._path.open("rb") as file:
                # An entry that the disk refuses is taken back before the lock is free again.
                _wait_for(file.fileno(), fcntl.LOCK_SH, self._lock_s)
                newest = next(self.newest_first(), None)
        except OSError as error:
            raise AuditUnavailableError(f"the audit log {self._path} cannot be read: {error}") from error
        return None if newest is None else Head(number=newest.number, hash=newest.hash)

    def of_act(self, *acts: str) -> Iterator[AuditEntry]:
        """Yield the entries of some acts from the first on, at the pace of the disk: no other line is looked into.

        Raises:
            AuditUnavailableError: The log cannot be read, or one of those lines is no entry.
        """
        starts = tuple(f'{{"act":{json.dumps(act)},'.encode("ascii") for act in acts)
        try:
            if self._path.exists():
                with self._path.open("rb") as file:
                    yield from (parse_line(line) for line in file if line.startswith(starts) and line.endswith(b"\n"))
        except (OSError, ValueError) as error:
            raise AuditUnavailableError(f"the audit log {self._path} cannot be read: {error}") from error

    def acts_after(self, mark: tuple[int, int], *acts: str) -> "ActsFound":
        """Return the entries of some acts that were written since, at the pace of the disk; not lines that are none.

        Args:
            mark: From the last answer; (0, 0) is from the first entry on.
            acts: As the log has them.

        Raises:
            AuditUnavailableError: The log cannot be read, or is not there any more.
        """
        starts = tuple(f'{{"act":{json.dumps(str(act))},'.encode("ascii") for act in acts)
        inode, at = mark
        try:
            with self._path.open("rb") as file:
                status = os.fstat(file.fileno())
                is_anew = mark != (0, 0) and (status.st_ino != inode or status.st_size < at)
                at = 0 if is_anew else at
                if status.st_size == at:
                    return ActsFound(entries=[], at=(status.st_ino, at), is_anew=is_anew)
                file.seek(at)
                entries = []
                for line in file:
                    if not line.endswith(b"\n"):
                        break
                    at += len(line)
                    if line.startswith(starts):
                        with contextlib.suppress(ValueError):  # `verify` names it
                            entries.append(parse_line(line))
                return ActsFound(entries=entries, at=(status.st_ino, at), is_anew=is_anew)
        except OSError as error:
            if mark == (0, 0) and isinstance(error, FileNotFoundError):
                return ActsFound(entries=[], at=mark, is_anew=False)
            raise AuditUnavailableError(f"the audit log {self._path} cannot be read: {error}") from error

    def entries_from(self, offset: int) -> Iterator[tuple[int, AuditEntry]]:
        """Yield the entries that begin at an offset or after it, each with its own; all of them if none begins there.

        Raises:
            AuditUnavailableError: The log cannot be read, or a line is no entry.
        """
        try:
            if not self._path.exists():
                return
            with self._path.open("rb") as file:
                if offset:
                    file.seek(offset - 1)
                    if file.read(1) != b"\n":
                        file.seek(0)
                at = file.tell()
                for line in file:
                    if line.endswith(b"\n"):
                        yield at, parse_line(line)
                    at += len(line)
        except (OSError, ValueError) as error:
            raise AuditUnavailableError(f"the audit log {self._path} cannot be read: {error}") from error

    def text(self, entry: AuditEntry) -> str | None:
        """Return the free text of an entry, or None: it has none, it expired, or it was changed.

        Raises:
            AuditUnavailableError: The texts cannot be read.
        """
        return self._texts.get(entry.text_commitment)

    def verify(self, heads: Iterable[Head] = (), progress: Progress = lambda _done, _total: None) -> AuditState:
        """Check every entry against its hash, its number, the entry before, its text, and heads noted elsewhere.

        Raises:
            AuditUnavailableError: The log cannot be read.
        """
        noted = list(heads)
        try:
            state = self._walk().run(noted, progress)
            if state.stray_texts:  # or some have just expired
                state = self._walk().run(noted, progress)
        except OSError as error:
            raise AuditUnavailableError(f"the audit log {self._path} cannot be read: {error}") from error
        return state

    def _walk(self) -> ChainWalk:
        return ChainWalk(self._path, *self._snapshot(), self._texts)

    def _snapshot(self) -> tuple[int, KeptTexts | None]:
        """Return the length of the log, and which texts there were just then; None: they cannot be read."""
        if not self._path.exists():
            return 0, self._count_texts()
        with self._path.open("rb") as file:
            _wait_for(file.fileno(), fcntl.LOCK_SH, self._lock_s)
            return os.fstat(file.fileno()).st_size, self._count_texts()

    def _count_texts(self) -> KeptTexts | None:
        try:
            with self._texts.reading() as texts:
                return KeptTexts(settled=texts.count(), prepared=texts.prepared())
        except (OSError, sqlite3.Error):
            return None

    def _lines_backwards(self) -> Iterator[bytes]:
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            at, rest = file.seek(0, os.SEEK_END), b""
            while at:
                size = min(_TAIL_BYTES, at)
                at -= size
                file.seek(at)
                first, *others = (file.read(size) + rest).splitlines(keepends=True)
                yield from reversed(others)
                rest = first
            if rest:
                yield rest

    # --- the end of the file

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
        """Write an entry and its text; neither, if one of them cannot be.

        The text is prepared only: whoever writes the next one, settles or mends, settles it.
        """
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

    def _repair(self, descriptor: int) -> AuditEntry | None:
        """Return the last entry; a tail that is none is moved aside first, and that is noted as an entry."""
        status = os.fstat(descriptor)
        size, known = status.st_size, self._known
        if known is not None and known[:2] == (status.st_ino, size):
            return known[2]
        return self._repaired(descriptor, size) if size else None

    def _repaired(self, descriptor: int, size: int) -> AuditEntry | None:
        tail_at = self._tail_offset(descriptor, size)
        tail = os.pread(descriptor, size - tail_at, tail_at)
        good, torn = self._split(tail, is_start=tail_at == 0)
        last = parse_line(good) if good else None
        if not torn:
            return last
        aside = self._folder / f"torn-{self._now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}.bin"
        SavedFile(aside).create(torn)
        os.ftruncate(descriptor, size - len(torn))
        details = {
            "bytes": len(torn),
            "sha256": hashlib.sha256(torn).hexdigest(),
            "file": aside.name,
            "is_whole": is_whole(torn),
        }
        return self._write(descriptor, last, (REPAIRED, "recorder", ""), details, None)

    @staticmethod
    def _tail_offset(descriptor: int, size: int) -> int:
        """Return where to read from so that the last two lines are whole in what is read."""
        reach = _TAIL_BYTES
        while reach < size:
            tail = os.pread(descriptor, reach, size - reach)
            if tail.count(b"\n") > 2:
                return size - reach + tail.index(b"\n") + 1
            reach *= 2
        return 0

    @staticmethod
    def _split(tail: bytes, *, is_start: bool) -> tuple[bytes, bytes]:
        """Return the last good line, and what follows it."""
        lines = tail.splitlines(keepends=True)
        for torn_lines in range(min(2, len(lines)) + 1):
            keep = lines[: len(lines) - torn_lines]
            torn = b"".join(lines[len(lines) - torn_lines :])
            if not keep and is_start:
                return b"", torn
            if keep and keep[-1].endswith(b"\n"):
                try:
                    parse_line(keep[-1])
                except ValueError:
                    continue
                return keep[-1], torn
        raise ValueError("its last lines are no entries: it was changed, `recorder audit verify` says where")


def _names(descriptor: int) -> Callable[[str], bool]:
    """Return what tells whether an entry of a log has a commitment."""

    def is_named(commitment: str) -> bool:
        if not os.fstat(descriptor).st_size:
            return False
        with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as log:
            return log.rfind(f'"text":"{commitment}"'.encode("ascii")) >= 0

    return is_named


def is_whole(torn: bytes) -> bool:
    """Tell whether what was moved aside is no torn write: whole lines, so that somebody or something changed them.

    A power cut leaves a line without its end, or zeros where a block was not written.
    """
    return torn.startswith(b"{") and torn.endswith(b"}\n") and b"\0" not in torn


def _wait_for(descriptor: int, kind: int, timeout_s: float) -> None:
    """Take a lock; TimeoutError if another process holds it for too long: one that hangs must not hang us."""
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
