"""Finds the last whole entry of an audit log, and the torn end that a kill or a power cut left behind it. Reads only.

`storage.audit.AuditLog` moves the torn end aside.
"""

import os
from dataclasses import dataclass

from storage.audit_entry import AuditEntry, parse_line

_FIRST_REACH_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The end of a log.

    Attributes:
        last: The last whole entry, or None: there is none.
        torn: The bytes after it that are not an entry.
    """

    last: AuditEntry | None
    torn: bytes

    @property
    def is_whole(self) -> bool:
        """Tell whether the torn bytes are whole lines, so that somebody or something changed them.

        A power cut leaves a line without its end, or zeros where a block was not written.
        """
        return self.torn.startswith(b"{") and self.torn.endswith(b"}\n") and b"\0" not in self.torn


def read_tail(descriptor: int, size: int) -> Tail:
    """Read the end of a log.

    Args:
        descriptor: Of the log, locked.
        size: Of the log, bytes; more than 0.

    Raises:
        ValueError: More than a torn write is damaged.
    """
    tail_at = _tail_offset(descriptor, size)
    tail = os.pread(descriptor, size - tail_at, tail_at)
    good, torn = _split(tail, is_start=tail_at == 0)
    return Tail(last=parse_line(good) if good else None, torn=torn)


def _tail_offset(descriptor: int, size: int) -> int:
    """Return an offset from which the last two lines can be read whole."""
    reach = _FIRST_REACH_BYTES
    while reach < size:
        tail = os.pread(descriptor, reach, size - reach)
        if tail.count(b"\n") > 2:
            return size - reach + tail.index(b"\n") + 1
        reach *= 2
    return 0


def _split(tail: bytes, *, is_start: bool) -> tuple[bytes, bytes]:
    """Return the last good line, and the bytes after it."""
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
    raise ValueError("its last lines are not entries: it was changed; `recorder audit verify` says where")
