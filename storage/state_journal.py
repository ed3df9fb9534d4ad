"""A small table of named states, made durable by one ``fdatasync``: a journal in a preallocated file.

A change is one line, written into a file whose blocks are already on the disk. So making it durable needs no commit of
the file system's journal, does not wait for the files of other threads, and does not fail on a full disk. A full file
is replaced by a new one that holds the present states.

A line is the CRC-32 of the rest of the line, in hex, then JSON: ``{"n": 7, "set": {"a": {...}, "b": null}}``. ``n``
counts the lines of the file from 1; null removes a state. The rest of the file is zeros. A power cut may tear lines
that were not synced: reading ends at the first incomplete line, and nothing after it was reported as durable.
"""

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from storage.durable import save_atomically

States = Mapping[str, Any]
"""JSON-able values by name."""

SIZE = 1 << 18
"""Size of a new file, bytes: some 1500 changes."""
_CRC_CHARACTERS = 8


class StateJournal:
    """Writes one journal; one thread at a time.

    The file of an earlier process is kept until the first `save`, which begins a new one.

    Args:
        path: The file.
        size: Of a new file, bytes.
        is_synced: False leaves changes to the system's cache: they survive this process, but not a power cut.
    """

    def __init__(self, path: Path, *, size: int = SIZE, is_synced: bool = True) -> None:
        self._path = path
        self._is_synced = is_synced
        self._size = size
        self._descriptor = -1
        self._position = 0
        self._end = 0
        self._line = 0

    def save(self, changes: States, states: States) -> None:
        """Make changes durable.

        Args:
            changes: The changes since the last successful `save`; None removes a state.
            states: All states, with the changes; a new file begins with them.

        Raises:
            OSError: Writing failed. The content of the file is unknown until the next `save`, which writes all states.
        """
        line = _line(self._line + 1, changes)
        if self._descriptor < 0 or self._position + len(line) > self._end:
            self.renew(states)
            return
        try:
            written = os.pwrite(self._descriptor, line, self._position)
            if written != len(line):
                raise OSError(28, os.strerror(28))
            if self._is_synced:
                os.fdatasync(self._descriptor)
        except OSError:
            self.close()  # after a failed sync the content of the disk is unknown
            raise
        self._position += len(line)
        self._line += 1

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def renew(self, states: States) -> None:
        """Begin a new file with some states; nothing is left of former ones.

        Raises:
            OSError: As `save`.
        """
        self.close()
        self._position = write_states(self._path, states, size=self._size)
        self._end = self._path.stat().st_size
        self._line = 1
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)


def write_states(path: Path, states: States, *, size: int = SIZE) -> int:
    """Replace a journal by a new one with some states; returns the offset of its next line.

    Raises:
        OSError: From the system; the old file is unchanged.
    """
    line = _line(1, states)
    save_atomically(path, line.ljust(max(size, 2 * len(line)), b"\0"))
    return len(line)


def read_states(path: Path) -> dict[str, Any]:
    """Return the states of a journal; a missing file has none.

    Raises:
        OSError: It cannot be read.
    """
    states: dict[str, Any] = {}
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return states
    for changes in _changes(content):
        states.update(changes)
    return {name: state for name, state in states.items() if state is not None}


def is_damaged(path: Path) -> bool:
    """Tell whether a journal has something after its last whole line, which is none of a change.

    Raises:
        OSError: It cannot be read.
    """
    content = path.read_bytes()
    whole = sum(1 for _ in _changes(content))
    rest = content.split(b"\n", whole)[whole]
    return whole == 0 or bool(rest.strip(b"\0"))


def _line(number: int, changes: States) -> bytes:
    text = json.dumps({"n": number, "set": dict(changes)}, separators=(",", ":")).encode("ascii")
    return b"%08x%s\n" % (zlib.crc32(text), text)


def _changes(content: bytes) -> Iterator[dict[str, Any]]:
    """Yield the changes of each line, up to the first incomplete line."""
    for number, line in enumerate(content.split(b"\n"), 1):
        crc, text = line[:_CRC_CHARACTERS], line[_CRC_CHARACTERS:]
        if crc != b"%08x" % zlib.crc32(text):
            return
        try:
            fields = json.loads(text)
            if fields["n"] != number:
                return
            changes = dict(fields["set"])
        except (ValueError, TypeError, KeyError, RecursionError):
            return
        yield changes
