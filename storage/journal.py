"""A small table of states that is durable after one ``fdatasync``: a journal written in place.

A change is one line, appended to a file whose blocks are on the disk already. So making it durable needs no commit of
the file system's own journal, does not wait for the files of other threads, and does not fail on a full disk. When the
file is full it is replaced by a new one that holds the states alone.

A line is the CRC-32 of what follows it, in hex, then JSON: ``{"n": 7, "set": {"a": {...}, "b": null}}``. ``n`` counts
the lines of the file from 1; null takes a state away. Everything after the last line is zeros. What was written and
not yet synced may be torn by a power cut: reading ends at the first line that is not whole, and nobody was told that
what follows is durable.
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
"""Bytes of a new file: some 1500 changes."""
_CRC_CHARACTERS = 8


class StateJournal:
    """Writes the journal of one file; one thread at a time.

    What an earlier process left is kept until the first `save`, which begins a new file.
    """

    def __init__(self, path: Path, *, size: int = SIZE) -> None:
        self._path = path
        self._size = size
        self._descriptor = -1
        self._position = 0
        self._end = 0
        self._line = 0

    def save(self, changes: States, states: States) -> None:
        """Make changes durable.

        Args:
            changes: What is new since the last `save` that succeeded; None takes a state away.
            states: All of them, the changes included: what a new file begins with, where one is needed.

        Raises:
            OSError: It could not be written; what the file then holds is unknown until the next `save`, which writes
                everything.
        """
        line = _line(self._line + 1, changes)
        if self._descriptor < 0 or self._position + len(line) > self._end:
            self._begin(states)
            return
        try:
            written = os.pwrite(self._descriptor, line, self._position)
            if written != len(line):
                raise OSError(28, os.strerror(28))
            os.fdatasync(self._descriptor)
        except OSError:
            self.close()  # after a failed sync nobody knows what is on the disk
            raise
        self._position += len(line)
        self._line += 1

    def close(self) -> None:
        """Give the descriptor back; idempotent."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def _begin(self, states: States) -> None:
        self.close()
        self._position = write_states(self._path, states, size=self._size)
        self._end = self._path.stat().st_size
        self._line = 1
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)


def write_states(path: Path, states: States, *, size: int = SIZE) -> int:
    """Replace a journal by one that holds these states alone; returns where its next line goes.

    Raises:
        OSError: As the system says; the old file is untouched.
    """
    line = _line(1, states)
    save_atomically(path, line.ljust(max(size, 2 * len(line)), b"\0"))
    return len(line)


def read_states(path: Path) -> dict[str, Any]:
    """Return the states that a journal holds; none where there is no file.

    Raises:
        OSError: It is there and cannot be read.
    """
    states: dict[str, Any] = {}
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return states
    for changes in _changes(content):
        states.update(changes)
    return {name: state for name, state in states.items() if state is not None}


def _line(number: int, changes: States) -> bytes:
    text = json.dumps({"n": number, "set": dict(changes)}, separators=(",", ":")).encode("ascii")
    return b"%08x%s\n" % (zlib.crc32(text), text)


def _changes(content: bytes) -> Iterator[dict[str, Any]]:
    """Yield the changes of each whole line, up to the first that is not."""
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
