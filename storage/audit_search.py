"""Finds the entries of an audit log about some subjects; only the lines that name them are parsed.

The log is read in blocks, not mapped: a writer may cut off an entry that the disk refuses, and reading a mapping beyond
the end of the file would end the process.
"""

import json
import os
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from storage.audit_entry import AuditEntry, parse_line
from storage.errors import AuditUnavailableError

_BLOCK_BYTES = 1 << 22
_NEAR_BYTES = 1 << 16
_SLACK = timedelta(days=1)
"""The clocks of the machines that write to one log may be corrected by so much."""


def entries_about(log: Path, subjects: Collection[str], *, since: datetime) -> Iterator[AuditEntry]:
    """Yield the entries about some subjects, oldest first.

    Args:
        log: The file of entries, `AuditLog.path`.
        subjects: Whole names.
        since: Entries from more than a day before it may be left out, to save reading.

    Raises:
        AuditUnavailableError: The log cannot be read, or a line that names a subject is not an entry.
    """
    wanted = frozenset(subjects)
    words = [b'"subject":' + json.dumps(one).encode("ascii") for one in wanted]
    try:
        if not wanted or not log.exists():
            return
        with log.open("rb") as file:
            file.seek(_offset_of(file, (since - _SLACK).isoformat()))
            for line in _lines_with(file, words):
                entry = parse_line(line)
                if entry.subject in wanted:
                    yield entry
    except (OSError, ValueError) as error:
        raise AuditUnavailableError(f"the audit log {log} cannot be read: {error}") from error


def _lines_with(file: BinaryIO, words: list[bytes]) -> Iterator[bytes]:
    """Yield the complete lines from the present position that have one of the words."""
    rest = b""
    while block := file.read(_BLOCK_BYTES):
        lines, _, rest = (rest + block).rpartition(b"\n")
        found = {start for word in words for start in _starts(lines, word)}
        for start in sorted(found):
            end = lines.find(b"\n", start)
            yield lines[start : end if end >= 0 else len(lines)]


def _starts(lines: bytes, word: bytes) -> Iterator[int]:
    at = lines.find(word)
    while at >= 0:
        yield lines.rfind(b"\n", 0, at) + 1
        end = lines.find(b"\n", at)
        at = lines.find(word, end) if end >= 0 else -1


def _offset_of(file: BinaryIO, since: str) -> int:
    """Return the offset of a line before which all entries are older than a time, by binary search."""
    low, high = 0, file.seek(0, os.SEEK_END)
    while high - low > _NEAR_BYTES:
        file.seek((low + high) // 2)
        file.readline()
        middle = file.tell()
        if middle >= high:
            break
        if parse_line(file.readline()).at < since:
            low = middle
        else:
            high = middle
    return low
