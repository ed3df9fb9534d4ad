"""A file that says which port pairs are in use, so that the next run can let those of a killed one rest.

One byte for each even port of an address: 1 while its pair is out or rests. Nothing else is in it.
"""

import contextlib
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

_log = logging.getLogger(__name__)
_BYTES = 65536 // 2


def _open_private(path: Path, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT | os.O_CLOEXEC, 0o600)


class PortMemory:
    """The ports of this run in a file, and what the run before left there.

    Args:
        path: The file; made if it is not there. Without it (an OSError is logged) nothing is remembered.
        run: Has a function called on a thread that may wait for a disk; several in their order.
        open_file: Opens the file by a path and flags, or makes it, and returns the descriptor; without it the file is
            made as its owner's alone.
    """

    def __init__(
        self,
        path: Path,
        run: Callable[[Callable[[], None]], object],
        open_file: Callable[[Path, int], int] = _open_private,
    ) -> None:
        self._path = path
        self._run = run
        self.former: frozenset[int] = frozenset()
        """Even ports of the pairs that were in use when the last run ended."""
        self._descriptor = -1
        self._lock = threading.Lock()
        self._noted: list[tuple[int, bool]] = []
        try:
            self._descriptor = open_file(path, os.O_RDWR)
            content = os.pread(self._descriptor, _BYTES, 0)
            self.former = frozenset(2 * at for at, value in enumerate(content) if value)
        except OSError as error:
            self._fail(error)

    def note(self, port: int, *, is_used: bool) -> None:
        """Write down that a pair is used, or is no longer; returns before it is written."""
        with self._lock:
            self._noted.append((port, is_used))
            is_first = len(self._noted) == 1
        if is_first:  # else the thread has been woken already: a call takes two pairs at once
            with contextlib.suppress(RuntimeError):  # that thread has ended: pairs rest after the next start, no harm
                self._run(self._write)

    def _write(self) -> None:
        with self._lock:
            noted, self._noted = self._noted, []
        if self._descriptor < 0:
            return
        try:
            for port, is_used in noted:
                os.pwrite(self._descriptor, bytes([is_used]), port // 2)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        _log.warning("%s: which media ports are in use is not remembered: %s", self._path, error.strerror)
        self.close()

    def close(self) -> None:
        """Close the file; nothing is written any more. Idempotent.

        Call it on the thread that writes, or once that has ended: the descriptor's number may be another file's next.
        """
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)
