"""Exports the audit log as a package that others can check: the entries unchanged, anchors, a table, a check script.

A package is a new folder or a new zip file. Nothing is replaced, other users cannot read it, and a failed one is
removed.
"""

import csv
import inspect
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from recorder.audit import check as audit_check
from recorder.common.plain_text import safe_cell
from storage.audit import AuditLog
from storage.audit_chain import checked_lines
from storage.audit_entry import AuditEntry
from storage.heads import Head
from storage.rows import time_to_json

_CHUNK_BYTES = 1 << 20
_COLUMNS = ("n", "at", "act", "actor", "subject", "details", "hash")

Progress = Callable[[float, float], None]
_Member = Callable[[str], AbstractContextManager[IO[bytes]]]
"""Opens a new file of a package by name."""

README = """\
AUDIT LOG OF {site}
Exported {at} by {by}. Node {node}.

entries.jsonl  {entries} entries, byte for byte as the recorder wrote them, one a line
anchors.jsonl  heads of the log as they were noted on other machines, by the recorder's own database
entries.csv    the same entries as a table (a cell that a spreadsheet would run begins with ')
{texts}check.py       checks all of it: python3 check.py [FILE ...]. Read it first, it is short

WHAT IS IN AN ENTRY
n        counts from 1 without a gap
at       when it was written, UTC. With "late": true in details the act happened before, at happened_at,
         while the log could not be written
act      what was done; actor: who; subject: to what; details: facts
text     null, or the SHA-256 of a salt (32 bytes) followed by the free text in UTF-8: a reason, a search.
         Texts expire; the entry stays
prev     the hash of the entry before; 64 zeros in the first
hash     SHA-256, in hex, of the line without  "hash":"...",  and without the line feed at its end.
         (The line is JSON with sorted keys, "," and ":" without blanks, ASCII.)

HOW TO CHECK IT
1. Each line's hash fits; n counts from 1; prev is the hash of the line before. Then nothing in it was
   changed, taken out, put in or moved since the last entry was written ...
2. ... unless somebody wrote the log anew from some entry on, or cut off its end. That shows against heads
   (number and hash of an entry) which were noted elsewhere at the time: ask whoever keeps the syslog, the
   mailbox or the share for theirs, and give the files to check.py. anchors.jsonl comes from the recorder
   itself, so by itself it proves nothing to you.
3. Entries since the last head that was noted elsewhere are not protected against either.
An entry "audit.repaired" says that a torn end was moved aside (a power cut); with "is_whole": true it was no
torn write: ask.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packaged:
    """The written package."""

    path: Path
    entries: int
    head: str
    texts: int


class PackageExistsError(Exception):
    """The name exists already; the message is a sentence."""


def write_package(
    log: AuditLog,
    target: Path,
    *,
    heads: Iterable[Head],
    site: str,
    node: str,
    by: str,
    at: datetime,
    with_texts: bool,
    progress: Progress = lambda _done, _total: None,
) -> Packaged:
    """Write a package; constant memory.

    Args:
        log: The audit log; entries written meanwhile are left out.
        target: A new name: a zip file if it ends with ``.zip``, else a folder.
        heads: Heads that were anchored.
        site: Name of the council.
        node: The node of the log.
        by: Who exports it.
        at: When.
        with_texts: Include free texts.
        progress: Called with steps done and the total.

    Raises:
        PackageExistsError: The name exists already, and is unchanged.
        OSError, sqlite3.Error: The log or its texts cannot be read, or the disk failed; nothing is left.
    """
    size = log.path.stat().st_size
    with _package(target) as member:
        with member("entries.jsonl") as file:
            _copy(log.path, size, file)
        progress(1, 4)
        with member("anchors.jsonl") as file:
            file.writelines(f"{head.to_line()}\n".encode("ascii") for head in heads)
        with member("entries.csv") as file:
            entries, head, texts = _write_table(log, size, file, with_texts=with_texts)
        progress(2, 4)
        if with_texts:
            with member("texts.jsonl") as file:
                _write_texts(log, size, file)
        progress(3, 4)
        with member("check.py") as file:
            file.write(inspect.getsource(audit_check).encode())
        packaged = Packaged(path=target, entries=entries, head=head, texts=texts if with_texts else 0)
        with member("README.txt") as file:
            file.write(_readme(packaged, site=site, node=node, by=by, at=at, with_texts=with_texts).encode())
        progress(4, 4)
    return packaged


def _readme(packaged: Packaged, *, site: str, node: str, by: str, at: datetime, with_texts: bool) -> str:
    line = f"texts.jsonl    {packaged.texts} free texts with their salts\n" if with_texts else ""
    return README.format(
        site=site, at=time_to_json(at), by=by, node=node or "unknown", entries=packaged.entries, texts=line
    )


def _copy(path: Path, size: int, file: IO[bytes]) -> None:
    with path.open("rb") as source:
        left = size
        while left:
            chunk = source.read(min(left, _CHUNK_BYTES))
            if not chunk:
                raise OSError(5, "the log became shorter while it was exported")
            file.write(chunk)
            left -= len(chunk)


def _entries(log: AuditLog, size: int) -> Iterator[tuple[int, AuditEntry | str]]:
    for line, _, found in checked_lines(log.path, size):
        yield line, found


class _Encoded:
    """Encodes text for a binary file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, text: str) -> object:
        """Write text as UTF-8."""
        return self._file.write(text.encode())


def _write_table(log: AuditLog, size: int, file: IO[bytes], *, with_texts: bool) -> tuple[int, str, int]:
    """Write the table; returns the number of entries, the hash of the last, and the number of free texts."""
    count, head, texts = 0, "", 0
    with log.texts.reading() as read:
        writer = csv.writer(_Encoded(file), lineterminator="\n")
        writer.writerow([*_COLUMNS, "free_text"] if with_texts else _COLUMNS)
        for line, found in _entries(log, size):
            if isinstance(found, str):
                writer.writerow([safe_cell(f"line {line}: {found}")])
                continue
            count, head = count + 1, found.hash
            fields = found.to_json() | {"details": json.dumps(found.details, ensure_ascii=False)}
            cells = [safe_cell(fields[name]) for name in _COLUMNS]
            if with_texts:
                stored = read.get(found.text_commitment) if found.text_commitment else None
                texts += stored is not None and stored.fits
                cells.append(safe_cell(stored.text if stored is not None and stored.fits else ""))
            writer.writerow(cells)
    return count, head, texts


def _write_texts(log: AuditLog, size: int, file: IO[bytes]) -> None:
    with log.texts.reading() as read:
        for _, found in _entries(log, size):
            if isinstance(found, str) or found.text_commitment is None:
                continue
            stored = read.get(found.text_commitment)
            if stored is not None and stored.fits:
                fields = {"n": found.number, "salt": stored.salt.hex(), "text": stored.text}
                file.write(json.dumps(fields).encode("ascii") + b"\n")


@contextmanager
def _package(target: Path) -> Iterator[_Member]:
    """Yield a function that opens a new file of a new package; a failed package is removed."""
    if target.suffix.lower() == ".zip":
        with _zip_file(target) as member:
            yield member
    else:
        with _folder(target) as member:
            yield member


@contextmanager
def _folder(target: Path) -> Iterator[_Member]:
    try:
        target.mkdir(mode=0o700)
    except FileExistsError as error:
        raise PackageExistsError(f"{target} exists already; give a new name") from error

    @contextmanager
    def member(name: str) -> Iterator[IO[bytes]]:
        descriptor = os.open(target / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())

    try:
        yield member
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


@contextmanager
def _zip_file(target: Path) -> Iterator[_Member]:
    try:
        descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise PackageExistsError(f"{target} exists already; give a new name") from error
    try:
        with os.fdopen(descriptor, "w+b") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                yield lambda name: archive.open(name, "w", force_zip64=True)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        target.unlink(missing_ok=True)
        raise
