"""The audit log: append-only JSON lines, each bound to the one before by hash; free text kept apart.

Safe between processes (flock). Cutting whole entries off the end can be noticed only against a head that was noted
elsewhere: compare `AuditLog.verify` with it.
"""

import fcntl
import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from storage.durable import SavedFile, make_folder, sync_folder
from storage.errors import AuditUnavailableError

__all__ = ["AuditEntry", "AuditLog", "AuditState", "AuditUnavailableError", "BadEntry"]

GENESIS = "0" * 64
"""``prev`` of the first entry."""
REPAIRED = "audit.repaired"
"""Act of the entry that notes a torn tail which was moved aside."""
_TAIL_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One act.

    Attributes:
        number: Counts from 1 without a gap.
        at: When, UTC.
        act: What, ``noun.verb``.
        actor: Who.
        subject: On what, or "".
        details: JSON-able facts; no free text.
        text_commitment: SHA-256 of salt and free text, or None; `AuditLog.text` has the text until it expires.
        previous: Hash of the entry before.
        hash: SHA-256 of this entry's canonical JSON, ``previous`` included.
    """

    number: int
    at: str
    act: str
    actor: str
    subject: str
    details: dict[str, Any] = field(default_factory=dict)
    text_commitment: str | None = None
    previous: str
    hash: str

    def to_json(self) -> dict[str, Any]:
        """Return the entry with the names that the file has."""
        return {
            "n": self.number,
            "at": self.at,
            "act": self.act,
            "actor": self.actor,
            "subject": self.subject,
            "details": self.details,
            "text": self.text_commitment,
            "prev": self.previous,
            "hash": self.hash,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BadEntry:
    """The first line that is not what was written: its number counting from 1, its offset, and why."""

    line: int
    offset: int
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditState:
    """What `AuditLog.verify` found: entries that are good, the hash of the last of them, the first bad one."""

    entries: int
    head: str
    bad: BadEntry | None


def _digest(fields: Mapping[str, Any]) -> str:
    text = json.dumps({k: v for k, v in fields.items() if k != "hash"}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _parse(line: bytes) -> AuditEntry:
    """Read a line.

    Raises:
        ValueError: It is not an entry, or its hash does not fit.
    """
    try:
        fields = json.loads(line)
        if fields["hash"] != _digest(fields):
            raise ValueError("its hash does not fit: it was changed")
        return AuditEntry(
            number=fields["n"],
            at=fields["at"],
            act=fields["act"],
            actor=fields["actor"],
            subject=fields["subject"],
            details=fields["details"],
            text_commitment=fields["text"],
            previous=fields["prev"],
            hash=fields["hash"],
        )
    except (KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError("it is not an entry") from error


def _commit(salt: bytes, text: str) -> str:
    return hashlib.sha256(salt + text.encode()).hexdigest()


class AuditLog:
    """``audit.log`` and its texts in one folder, created at the first append."""

    def __init__(self, folder: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._folder = folder
        self._path = folder / "audit.log"
        self._known: tuple[int, int, AuditEntry] | None = None
        """Inode and size of the file after our last entry, and that entry: if both still fit, nobody came after us."""

    def append(
        self,
        act: str,
        actor: str,
        subject: str,
        details: Mapping[str, Any] | None = None,
        text: str | None = None,
    ) -> AuditEntry:
        """Write an entry; it is on the disk when this returns.

        Args:
            act: What was done, ``noun.verb``.
            actor: Who did it.
            subject: What it was done to: a recording id, an account, or "".
            details: JSON-able facts, never free text.
            text: Free text such as a reason; kept apart so that it can expire.

        Raises:
            AuditUnavailableError: It could not be written; the act must not go on.
        """
        try:
            make_folder(self._folder)
            commitment = None if text is None else self._keep_text(text)
            with self._locked() as descriptor:
                last = self._repair(descriptor)
                return self._write(descriptor, last, (act, actor, subject), dict(details or {}), commitment)
        except (OSError, sqlite3.Error, ValueError, TypeError) as error:
            raise AuditUnavailableError(f"the audit log {self._path} cannot be written: {error}") from error

    def entries(self) -> Iterator[AuditEntry]:
        """Yield the entries from the first; stops at the first bad one, which `verify` names."""
        for _, _, found in self._lines():
            if not isinstance(found, AuditEntry):
                return
            yield found

    @property
    def folder(self) -> Path:
        """Where the log lies, and what was moved aside from it."""
        return self._folder

    def newest_first(self) -> Iterator[AuditEntry]:
        """Yield the entries from the last one back, as they are now; a last line that is cut is left out.

        Each is checked against its own hash; that they follow from one another is `verify`'s.

        Raises:
            AuditUnavailableError: The log cannot be read, or a line is no entry.
        """
        try:
            for number, line in enumerate(self._lines_backwards()):
                if number or line.endswith(b"\n"):
                    yield _parse(line)
        except (OSError, ValueError) as error:
            raise AuditUnavailableError(f"the audit log {self._path} cannot be read back: {error}") from error

    def of_act(self, *acts: str) -> Iterator[AuditEntry]:
        """Yield the entries of some acts from the first on, at the pace of the disk: no other line is looked into.

        Raises:
            AuditUnavailableError: The log cannot be read, or one of those lines is no entry.
        """
        starts = tuple(f'{{"act":{json.dumps(act)},'.encode("ascii") for act in acts)
        try:
            if self._path.exists():
                with self._path.open("rb") as file:
                    yield from (_parse(line) for line in file if line.startswith(starts) and line.endswith(b"\n"))
        except (OSError, ValueError) as error:
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
                        yield at, _parse(line)
                    at += len(line)
        except (OSError, ValueError) as error:
            raise AuditUnavailableError(f"the audit log {self._path} cannot be read: {error}") from error

    def text(self, entry: AuditEntry) -> str | None:
        """Return the free text of an entry, or None: it has none, it expired, or it was changed."""
        if entry.text_commitment is None or not self._texts.exists():
            return None
        with closing(self._database()) as database:
            row = database.execute("SELECT salt, text FROM texts WHERE hash = ?", (entry.text_commitment,)).fetchone()
        return row[1] if row and _commit(row[0], row[1]) == entry.text_commitment else None

    def forget_text(self, entry: AuditEntry) -> None:
        """Delete the free text of an entry and its salt; the chain stays whole."""
        if entry.text_commitment is not None:
            with closing(self._database()) as database, database:
                database.execute("DELETE FROM texts WHERE hash = ?", (entry.text_commitment,))

    def forget_texts(self, entries: Sequence[AuditEntry]) -> int:
        """Delete the free texts of many entries, and their salts, in one step; returns how many there were.

        Raises:
            AuditUnavailableError: They cannot be deleted; all are still there.
        """
        hashes = [(entry.text_commitment,) for entry in entries if entry.text_commitment is not None]
        if not hashes or not self._texts.exists():
            return 0
        try:
            with closing(self._database()) as database, database:
                return database.executemany("DELETE FROM texts WHERE hash = ?", hashes).rowcount
        except (OSError, sqlite3.Error) as error:
            raise AuditUnavailableError(f"the texts of the audit log cannot be deleted: {error}") from error

    def verify(self) -> AuditState:
        """Check every entry against its hash, its number and the entry before."""
        last: AuditEntry | None = None
        for line, offset, found in self._lines():
            problem = found if isinstance(found, str) else _break(last, found)
            if problem is not None:
                bad = BadEntry(line=line, offset=offset, problem=problem)
                return AuditState(entries=line - 1, head=last.hash if last else GENESIS, bad=bad)
            assert isinstance(found, AuditEntry)
            last = found
        return AuditState(entries=last.number if last else 0, head=last.hash if last else GENESIS, bad=None)

    def _lines(self) -> Iterator[tuple[int, int, AuditEntry | str]]:
        if not self._path.exists():
            return
        offset = 0
        with self._path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            size = os.fstat(file.fileno()).st_size
            fcntl.flock(file, fcntl.LOCK_UN)
            for number, line in enumerate(file, 1):
                if offset >= size:
                    return
                try:
                    yield number, offset, _parse(line) if line.endswith(b"\n") else "it is cut"
                except ValueError as error:
                    yield number, offset, str(error)
                offset += len(line)

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

    @contextmanager
    def _locked(self) -> Iterator[int]:
        is_new = not self._path.exists()
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            if is_new:
                sync_folder(self._folder)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield descriptor
        finally:
            os.close(descriptor)

    def _write(
        self,
        descriptor: int,
        last: AuditEntry | None,
        names: tuple[str, str, str],
        details: dict[str, Any],
        commitment: str | None,
    ) -> AuditEntry:
        fields: dict[str, Any] = {
            "n": last.number + 1 if last else 1,
            "at": self._now().isoformat().replace("+00:00", "Z"),
            "act": names[0],
            "actor": names[1],
            "subject": names[2],
            "details": details,
            "text": commitment,
            "prev": last.hash if last else GENESIS,
        }
        fields["hash"] = _digest(fields)
        line = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode("ascii") + b"\n"
        before = os.fstat(descriptor)
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError(28, os.strerror(28))
            os.fdatasync(descriptor)
        except OSError:
            os.ftruncate(descriptor, before.st_size)
            raise
        entry = _parse(line)
        self._known = (before.st_ino, before.st_size + len(line), entry)
        return entry

    def _repair(self, descriptor: int) -> AuditEntry | None:
        """Return the last entry; a tail that is none is moved aside first, and that is noted as an entry."""
        status = os.fstat(descriptor)
        size, known = status.st_size, self._known
        if known is not None and known[:2] == (status.st_ino, size):
            return known[2]
        if size == 0:
            return None
        tail_at = self._tail_offset(descriptor, size)
        tail = os.pread(descriptor, size - tail_at, tail_at)
        good, torn = self._split(tail, is_start=tail_at == 0)
        last = _parse(good) if good else None
        if not torn:
            return last
        aside = self._folder / f"torn-{self._now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}.bin"
        SavedFile(aside).create(torn)
        os.ftruncate(descriptor, size - len(torn))
        details = {"bytes": len(torn), "sha256": hashlib.sha256(torn).hexdigest(), "file": aside.name}
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
                    _parse(keep[-1])
                except ValueError:
                    continue
                return keep[-1], torn
        raise ValueError("its last lines are no entries: it was changed, `recorder audit verify` says where")

    @property
    def _texts(self) -> Path:
        return self._folder / "texts.sqlite"

    def _database(self) -> sqlite3.Connection:
        self._texts.touch(mode=0o600)
        database = sqlite3.connect(self._texts, timeout=5.0)
        database.execute("PRAGMA secure_delete=ON")
        database.execute("PRAGMA synchronous=FULL")
        database.execute("PRAGMA temp_store=MEMORY")
        database.execute("CREATE TABLE IF NOT EXISTS texts (hash TEXT PRIMARY KEY, salt BLOB, text TEXT)")
        return database

    def _keep_text(self, text: str) -> str:
        salt = secrets.token_bytes(32)
        commitment = _commit(salt, text)
        with closing(self._database()) as database, database:
            database.execute("INSERT INTO texts VALUES (?, ?, ?)", (commitment, salt, text))
        return commitment


def _break(last: AuditEntry | None, entry: AuditEntry) -> str | None:
    number, previous = (last.number + 1, last.hash) if last else (1, GENESIS)
    if entry.number != number:
        return f"it has number {entry.number}, expected {number}"
    if entry.previous != previous:
        return "it does not follow from the entry before"
    return None
