"""Reads the entries of an audit log: the newest first, those of some acts, or those after an offset.

A line is checked against its own hash only; `storage.audit.AuditLog.verify` checks the chain. Only the lines of the
wanted acts are parsed. Entries about a subject are found by `storage.audit_search`.
"""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from storage.audit_entry import AuditEntry, parse_line
from storage.errors import AuditUnavailableError

_BLOCK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ActsFound:
    """The result of `acts_after`.

    Attributes:
        entries: Oldest first.
        at: Where the next call continues: inode of the file, and the offset up to which it was read.
        is_anew: The log was replaced or cut since the mark, so it was read from its beginning.
    """

    entries: list[AuditEntry]
    at: tuple[int, int]
    is_anew: bool


def newest_first(log: Path) -> Iterator[AuditEntry]:
    """Yield the entries from the last back to the first; an incomplete last line is left out.

    Args:
        log: The file of entries, `AuditLog.path`; a missing file has no entries.

    Raises:
        AuditUnavailableError: The log cannot be read, or a line is not an entry.
    """
    try:
        for number, line in enumerate(_lines_backwards(log)):
            if number or line.endswith(b"\n"):
                yield parse_line(line)
    except (OSError, ValueError) as error:
        raise AuditUnavailableError(f"the audit log {log} cannot be read back: {error}") from error


def of_act(log: Path, *acts: str) -> Iterator[AuditEntry]:
    """Yield the entries of some acts, oldest first.

    Args:
        log: The file of entries, `AuditLog.path`; a missing file has no entries.
        acts: Acts as the log has them.

    Raises:
        AuditUnavailableError: The log cannot be read, or a line of one of the acts is not an entry.
    """
    starts = _starts(acts)
    try:
        if log.exists():
            with log.open("rb") as file:
                yield from (parse_line(line) for line in file if line.startswith(starts) and line.endswith(b"\n"))
    except (OSError, ValueError) as error:
        raise AuditUnavailableError(f"the audit log {log} cannot be read: {error}") from error


def acts_after(log: Path, mark: tuple[int, int], *acts: str) -> ActsFound:
    """Return the entries of some acts that were written after a mark; damaged lines are skipped.

    Args:
        log: The file of entries, `AuditLog.path`.
        mark: ``at`` of the result before; (0, 0) reads from the first entry.
        acts: Acts as the log has them.

    Raises:
        AuditUnavailableError: The log cannot be read, or is missing although a mark was given.
    """
    starts = _starts(acts)
    inode, at = mark
    try:
        with log.open("rb") as file:
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
                    with contextlib.suppress(ValueError):  # `AuditLog.verify` reports it
                        entries.append(parse_line(line))
            return ActsFound(entries=entries, at=(status.st_ino, at), is_anew=is_anew)
    except OSError as error:
        if mark == (0, 0) and isinstance(error, FileNotFoundError):
            return ActsFound(entries=[], at=mark, is_anew=False)
        raise AuditUnavailableError(f"the audit log {log} cannot be read: {error}") from error


def entries_from(log: Path, offset: int) -> Iterator[tuple[int, AuditEntry]]:
    """Yield the entries from an offset on, each with its own offset in bytes.

    Args:
        log: The file of entries, `AuditLog.path`; a missing file has no entries.
        offset: Where an entry begins; if none begins there, all entries are yielded.

    Raises:
        AuditUnavailableError: The log cannot be read, or a line is not an entry.
    """
    try:
        if not log.exists():
            return
        with log.open("rb") as file:
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
        raise AuditUnavailableError(f"the audit log {log} cannot be read: {error}") from error


def _starts(acts: tuple[str, ...]) -> tuple[bytes, ...]:
    """Return how the lines of some acts begin: "act" is the first field, since the names are sorted."""
    return tuple(f'{{"act":{json.dumps(str(act))},'.encode("ascii") for act in acts)


def _lines_backwards(log: Path) -> Iterator[bytes]:
    if not log.exists():
        return
    with log.open("rb") as file:
        at, rest = file.seek(0, os.SEEK_END), b""
        while at:
            size = min(_BLOCK_BYTES, at)
            at -= size
            file.seek(at)
            first, *others = (file.read(size) + rest).splitlines(keepends=True)
            yield from reversed(others)
            rest = first
        if rest:
            yield rest
