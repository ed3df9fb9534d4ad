"""The container of a recording that is being made, and what a failing disk makes of a call."""

import errno
import threading
from typing import Any

from audio.written import SinkError
from storage.errors import VaultError, WriteFailedError
from storage.recording import OpenRecording


class SharedContainer:
    """A container shared by the writer thread and the filing thread, one at a time.

    The writer knows only OSError: what the vault says of a failing disk becomes one.
    """

    __slots__ = ("_is_destroyed", "_lock", "_recording")

    def __init__(self, recording: OpenRecording) -> None:
        self._recording = recording
        self._lock = threading.Lock()
        self._is_destroyed = False

    def append(self, block: memoryview, end: int) -> None:
        """Append a block whose audio ends at ``end``; SinkError if the disk refused."""
        with self._lock:
            if self._is_destroyed:
                return
            try:
                self._recording.append(block, end=end)
            except WriteFailedError as error:
                raise _sink_error(error) from error

    def sync(self) -> None:
        """Make durable what was appended; SinkError if the disk refused."""
        with self._lock:
            if self._is_destroyed:
                return
            try:
                self._recording.sync()
            except WriteFailedError as error:
                raise _sink_error(error) from error

    def update(self, row: dict[str, Any]) -> None:
        """Say how the call stands, for recovery."""
        with self._lock:
            if not self._is_destroyed:
                self._recording.update(row)

    def mark(self, fields: dict[str, Any]) -> None:
        """Seal something with the audio. SinkError as for `append`."""
        with self._lock:
            if not self._is_destroyed:
                try:
                    self._recording.mark(fields)
                except WriteFailedError as error:
                    raise _sink_error(error) from error

    def destroy(self) -> None:
        """Destroy the key and the file, durably; what comes afterwards goes nowhere.

        Raises:
            OSError: The system refused; call again. Nothing more is written all the same.
        """
        with self._lock:
            self._is_destroyed = True
            try:
                self._recording.discard()
            except VaultError as error:
                raise OSError(*_os_error(error)) from error

    def take(self) -> OpenRecording:
        """Hand the container over to be closed; the writer has let go of it."""
        with self._lock:
            return self._recording


def _sink_error(error: WriteFailedError) -> SinkError:
    return SinkError(*_os_error(error), is_taken=error.is_taken)


def _os_error(error: VaultError) -> tuple[int, str]:
    return getattr(error.__cause__, "errno", None) or errno.EIO, str(error)


def fault_of(error: Exception) -> str:
    """Return the reason that a failed write gives a recording."""
    number = error.errno if isinstance(error, OSError) else getattr(error.__cause__, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "disk_full"
    if number in (errno.EROFS, errno.EACCES, errno.EPERM):
        return "disk_read_only"
    return "storage_fault"
