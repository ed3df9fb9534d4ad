"""Follows the audit log from a position that outlives the process. Reads only.

The log is the queue: nothing is copied before it is sent. Writers are never delayed: the log's lock is shared, and held
only while its length is read.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from storage.audit import AuditLog
from storage.audit_entry import AuditEntry, parse_line
from storage.durable import make_folder, save_atomically
from storage.errors import AuditUnavailableError

_FIRST_REACH_BYTES = 1 << 16
MOST_ENTRIES = 500
"""Most entries that one look returns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """The place after an entry.

    Attributes:
        start: Offset of the entry, bytes.
        end: Offset after it; 0 before the first entry.
        number: Its number.
        hash: Its hash, by which a log that was replaced or cut is noticed.
    """

    start: int = 0
    end: int = 0
    number: int = 0
    hash: str = ""


@dataclass(frozen=True, slots=True)
class DamagedLine:
    """A line that is no entry, and its offset in bytes."""

    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What follows a position: entries and damaged lines in order, each with the position after it.

    Attributes:
        is_anew: The log is not the one of the position, so it was read from its first entry.
    """

    lines: list[tuple[AuditEntry | DamagedLine, Position]]
    is_anew: bool = False


def follow(log: AuditLog, position: Position, *, most: int = MOST_ENTRIES) -> Followed:
    """Return the entries after a position, at most ``most``.

    If the log was replaced, it is read after the entry with the position's hash, or from its beginning.

    Raises:
        AuditUnavailableError: The log cannot be read.
    """
    try:
        size = log.length()
        if size == position.end:  # also of a log that is missing
            return Followed(lines=[])
        found = _place_of(log.path, position, size)
        lines = []
        for line in _lines(log.path, (found or Position()).end, size):
            lines.append(line)
            if len(lines) == most:
                break
        return Followed(lines=lines, is_anew=found is None)
    except OSError as error:
        raise AuditUnavailableError(f"the audit log {log.path} cannot be read: {error}") from error


def end_of(log: AuditLog) -> Position:
    """Return the position after the newest entry.

    Raises:
        AuditUnavailableError: The log cannot be read.
    """
    try:
        size = log.length()
        if not size:
            return Position()
        with log.path.open("rb") as file:
            reach = _FIRST_REACH_BYTES
            while True:
                start = max(size - reach, 0)
                file.seek(start)
                tail = file.read(size - start)
                whole = tail[: tail.rfind(b"\n") + 1]
                before = whole.rfind(b"\n", 0, -1)
                if before >= 0 or not start:
                    break
                reach *= 2
    except OSError as error:
        raise AuditUnavailableError(f"the audit log {log.path} cannot be read: {error}") from error
    end, begin = start + len(whole), start + before + 1
    try:
        entry = parse_line(whole[before + 1 :])
    except ValueError:
        return Position(start=begin, end=end)
    return Position(start=begin, end=end, number=entry.number, hash=entry.hash)


def _lines(path: Path, start: int, size: int) -> Iterator[tuple[AuditEntry | DamagedLine, Position]]:
    with path.open("rb") as file:
        file.seek(start)
        while start < size and (line := file.readline(size - start)).endswith(b"\n"):
            end = start + len(line)
            try:
                entry = parse_line(line)
            except ValueError:
                yield DamagedLine(start), Position(start=start, end=end)
            else:
                yield entry, Position(start=start, end=end, number=entry.number, hash=entry.hash)
            start = end


def _place_of(path: Path, position: Position, size: int) -> Position | None:
    """Return where the position is in this log; None if its entry is not there any more."""
    if not position.end or (position.end <= size and _is_at(path, position)):
        return position
    sought, at = position.hash.encode(), 0
    with path.open("rb") as file:
        for line in file:
            if sought and sought in line and _is_at(path, found := replace(position, start=at, end=at + len(line))):
                return found
            at += len(line)
    return None


def _is_at(path: Path, position: Position) -> bool:
    with path.open("rb") as file:
        file.seek(position.start)
        line = file.read(position.end - position.start)
    if not position.hash:
        return line.endswith(b"\n")
    try:
        return parse_line(line).hash == position.hash
    except ValueError:
        return False


class PositionFile:
    """A position in a file that is replaced as a whole.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Position:
        """Return the position; the beginning of the log if there is none, or none that can be read."""
        try:
            return Position(**json.loads(self._path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return Position()

    def save(self, position: Position) -> None:
        """Store a position durably.

        Raises:
            OSError: It cannot be stored; the old one is still there.
        """
        make_folder(self._path.parent)
        save_atomically(self._path, json.dumps(asdict(position)).encode())
