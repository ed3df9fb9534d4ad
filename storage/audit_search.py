"""Finds what was done to something in the audit log, at the pace of the disk: only lines that name it are looked into.

Blocks are read and none is mapped: an entry that the disk refuses is cut off again, and a map would then end the
process.
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
"""Clocks of machines that write into one log are set right now and then."""


def entries_about(log: Path, subjects: Collection[str], *, since: datetime) -> Iterator[AuditEntry]:
    """Yield the entries on some subjects, the oldest first.

    Args:
        log: The file of entries.
        subjects: Whole names.
        since: What was written more than a day before it is left out as far as that saves reading.

    Raises:
        AuditUnavailableError: The log cannot be read, or a line that names one of them is no entry.
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
    """Yield the whole lines from here on that have one of the words."""
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
    """Return where a line begins before which nothing was written at that moment or later."""
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
