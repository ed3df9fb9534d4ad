"""Follows the audit log from a position that outlives the process. Reads only.

The log is the queue: nothing is copied before it is sent. Writers are never delayed: the log's lock is shared, and held
only while its length is read.
"""

import hashlib
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from storage.audit import AuditLog
from storage.audit_entry import AuditEntry, parse_line
from storage.durable import make_folder, save_atomically
from storage.errors import AuditUnavailableError

_log = logging.getLogger(__name__)

_FIRST_REACH_BYTES = 1 << 16
MOST_ENTRIES, MOST_BYTES = 500, 4 << 20
"""One look returns at most so many entries, and ends with the one that exceeds so many bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """The place after an entry.

    Attributes:
        start: Offset of the entry, bytes.
        end: Offset after it; 0 before the first entry.
        number: Its number; of a line that is no entry, the number before.
        hash: Its hash, by which a log that was replaced or cut is noticed; of a line that is no entry, its SHA-256.
    """

    start: int = 0
    end: int = 0
    number: int = 0
    hash: str = ""


def position_of(text: str | bytes) -> Position:
    """Return the position that `text_of` wrote.

    Raises:
        ValueError: The text is none.
    """
    try:
        found = Position(**json.loads(text))
        is_sound = 0 <= found.start <= found.end and found.number >= 0 and isinstance(found.hash, str)
    except TypeError as error:
        raise ValueError("it is no position") from error
    if not is_sound or not all(type(one) is int for one in (found.start, found.end, found.number)):
        raise ValueError("it is no position")
    return found


def text_of(position: Position) -> str:
    """Return a position as JSON."""
    return json.dumps(asdict(position))


@dataclass(frozen=True, slots=True)
class DamagedLine:
    """A line that is no entry, and its offset in bytes."""

    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What follows a position: entries and damaged lines in order, each with the position after it.

    Attributes:
        is_anew: The log is not the one of the position, so it was read from its first entry.
        is_cut: There were too many or too long ones; more may follow.
    """

    lines: "Lines"
    is_anew: bool = False
    is_cut: bool = False


Lines = list[tuple[AuditEntry | DamagedLine, Position]]


def follow(log: AuditLog, position: Position, *, most: int = MOST_ENTRIES) -> Followed:
    """Return the entries after a position, at most ``most``.

    If the log was replaced, it is read after the entry with the position's hash, or from its beginning.

    Raises:
        AuditUnavailableError: The log cannot be read.
    """
    try:
        size = log.size()
        if size == position.end:  # also of a log that is missing
            return Followed(lines=[])
        found = _place_of(log.path, position, size)
        lines = []
        after, is_cut = found or Position(), False
        for line in _lines(log.path, after, size):
            lines.append(line)
            is_cut = len(lines) == most or line[1].end - after.end > MOST_BYTES
            if is_cut:
                break
        return Followed(lines=lines, is_anew=found is None, is_cut=is_cut)
    except OSError as error:
        raise AuditUnavailableError(f"the audit log {log.path} cannot be read: {error}") from error


def end_of(log: AuditLog) -> Position:
    """Return the position after the newest entry.

    Raises:
        AuditUnavailableError: The log cannot be read.
    """
    try:
        size = log.size()
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
    line = whole[before + 1 :]
    entry = _entry_in(line)
    return Position(start=begin, end=end, number=entry.number if entry else 0, hash=_hash_of(line, entry))


def _lines(path: Path, after: Position, size: int) -> Iterator[tuple[AuditEntry | DamagedLine, Position]]:
    start, number = after.end, after.number
    with path.open("rb") as file:
        file.seek(start)
        while start < size and (line := file.readline(size - start)).endswith(b"\n"):
            end, entry = start + len(line), _entry_in(line)
            number = number if entry is None else entry.number
            position = Position(start=start, end=end, number=number, hash=_hash_of(line, entry))
            yield entry or DamagedLine(start), position
            start = end


def _entry_in(line: bytes) -> AuditEntry | None:
    """Return the entry of a line; None if it has none, or fields of types that the recorder never writes."""
    try:
        entry = parse_line(line)
    except ValueError:
        return None
    texts = (entry.at, entry.act, entry.actor, entry.subject, entry.hash)
    return entry if all(isinstance(one, str) for one in texts) and isinstance(entry.details, dict) else None


def _hash_of(line: bytes, entry: AuditEntry | None) -> str:
    return hashlib.sha256(line).hexdigest() if entry is None else entry.hash


def _place_of(path: Path, position: Position, size: int) -> Position | None:
    """Return where the position is in this log; None if its entry is not there any more."""
    if not position.end or (position.end <= size and _is_at(path, position)):
        return position
    sought, at = position.hash.encode(), 0
    with path.open("rb") as file:
        for line in file:
            if sought in line and _is_at(path, found := replace(position, start=at, end=at + len(line))):
                return found
            at += len(line)
    return None


def _is_at(path: Path, position: Position) -> bool:
    with path.open("rb") as file:
        file.seek(position.start)
        line = file.read(position.end - position.start)
    return line.endswith(b"\n") and _hash_of(line, _entry_in(line)) == position.hash


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
            return position_of(self._path.read_bytes())
        except FileNotFoundError:
            return Position()
        except (OSError, ValueError) as error:
            _log.error("%s cannot be read, so the audit log is sent from its first entry: %s", self._path, error)
            return Position()

    def save(self, position: Position) -> None:
        """Store a position durably.

        Raises:
            OSError: It cannot be stored; the old one is still there.
        """
        make_folder(self._path.parent)
        save_atomically(self._path, text_of(position).encode())
