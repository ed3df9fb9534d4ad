"""The container of a recording in progress, shared between threads, and the reasons for failed writes."""

import errno
import threading
from typing import Any

from audio.written import SinkError
from storage.errors import VaultError, WriteFailedError
from storage.recording import OpenRecording


class SharedContainer:
    """A container that the writer thread and the filing thread use in turn.

    The writer handles only OSError, so errors of the vault are converted to that.
    """

    __slots__ = ("_is_destroyed", "_lock", "_recording")

    def __init__(self, recording: OpenRecording) -> None:
        self._recording = recording
        self._lock = threading.Lock()
        self._is_destroyed = False

    def append(self, block: memoryview, end: int) -> None:
        """Append a block whose audio ends at ``end``, in ticks.

        Raises:
            SinkError: The disk refused.
        """
        with self._lock:
            if self._is_destroyed:
                return
            try:
                self._recording.append(block, end=end)
            except WriteFailedError as error:
                raise _sink_error(error) from error

    def sync(self) -> None:
        """Make the appended blocks durable; SinkError if the disk refused."""
        with self._lock:
            if self._is_destroyed:
                return
            try:
                self._recording.sync()
            except WriteFailedError as error:
                raise _sink_error(error) from error

    def update(self, row: dict[str, Any]) -> None:
        """Store the row, for recovery."""
        with self._lock:
            if not self._is_destroyed:
                self._recording.update(row)

    def mark(self, fields: dict[str, Any]) -> None:
        """Seal fields into the container; SinkError as for `append`."""
        with self._lock:
            if not self._is_destroyed:
                try:
                    self._recording.mark(fields)
                except WriteFailedError as error:
                    raise _sink_error(error) from error

    def destroy(self) -> None:
        """Destroy the key and the file, durably; later writes are dropped.

        Raises:
            OSError: The system refused. Nothing more is written all the same, and this can be called again.
        """
        with self._lock:
            self._is_destroyed = True
            try:
                self._recording.discard()
            except VaultError as error:
                raise OSError(*_os_error(error)) from error

    def take(self) -> OpenRecording:
        """Return the container for closing; the writer must have finished with it."""
        with self._lock:
            return self._recording


def _sink_error(error: WriteFailedError) -> SinkError:
    return SinkError(*_os_error(error), is_taken=error.is_taken)


def _os_error(error: VaultError) -> tuple[int, str]:
    return getattr(error.__cause__, "errno", None) or errno.EIO, str(error)


def fault_of(error: Exception) -> str:
    """Return the reason for a recording's row after a failed write."""
    number = error.errno if isinstance(error, OSError) else getattr(error.__cause__, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "disk_full"
    if number in (errno.EROFS, errno.EACCES, errno.EPERM):
        return "disk_read_only"
    return "storage_fault"
