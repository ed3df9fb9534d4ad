"""Files rows in the index; while the database is unavailable, keeps them in files and files them later.

The row of a recorded call is also in its container. The row of any other call is nowhere else. A row is durable, in the
index or in a file, before its filing is published. If the disk takes no file, the row stays in memory until it does.
Filing thread only, except `Filing.waiting`.
"""

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from storage.durable import make_folder, remove, save_atomically
from storage.errors import StorageError
from storage.rows import row_from_text, row_to_json
from storage.types import RecordingId, RecordingRow

_log = logging.getLogger(__name__)

FOLDER = "rows"
"""The files' folder, in the home's folder of states."""
RETRY_S = 3.0
"""Pause after a failure of the database: each attempt may last until its time-out, and other rows wait meanwhile."""
_AT_ONCE = 100
"""Most late rows that are filed in one go, before new rows have their turn."""
_MOST_IN_MEMORY = 10_000
"""Most rows in memory while neither database nor disk takes them: at most about 100 MB."""


class Rows(Protocol):
    """The index; implemented by `storage.index.Index`."""

    def save(self, row: RecordingRow) -> None:
        """Store a row durably."""

    def save_late(self, row: RecordingRow) -> bool:
        """Store a row durably unless the index has a newer one; return whether it was stored."""


class Filing:
    """Files rows in the index, at once or later.

    Args:
        folder: The folder of waiting rows; made when it is needed. Rows of an earlier process are filed too.
        alarm: Called with ``index_unavailable`` for each row that waits, with ``row_in_memory`` if its file cannot be
            written, and with ``row_lost`` if there is no memory for it either.
        clock: Monotonic clock, seconds.
    """

    def __init__(
        self, rows: Rows, folder: Path, *, alarm: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rows = rows
        self._folder = folder
        self._alarm = alarm
        self._clock = clock
        self._waiting = {path.stem for path in folder.glob("*.json")}
        self._in_memory: dict[str, RecordingRow] = {}
        self._failed_at: float | None = None

    @property
    def waiting(self) -> int:
        """Return how many rows wait for the database. Any thread may call this."""
        return len(self._waiting) + len(self._in_memory)

    def save(self, row: RecordingRow) -> None:
        """File a row; on return it is durable in the index or in a file, if possible. Never raises."""
        if self._failed_at is None or self._clock() >= self._failed_at + RETRY_S:
            try:
                self._rows.save(row)
            except Exception as error:  # noqa: BLE001 - no error of the database may lose a row
                self._failed(row.id, error)
            else:
                self._failed_at = None
                self._forget(row.id)
                return
        self._alarm("index_unavailable")
        self._put_aside(row)

    def catch_up(self) -> None:
        """File some of the waiting rows, oldest first, if it is time to retry. Never raises."""
        if self._failed_at is not None and self._clock() < self._failed_at + RETRY_S:
            return
        for name in sorted(self._waiting | self._in_memory.keys())[:_AT_ONCE]:
            try:
                is_stored = self._rows.save_late(self._in_memory.get(name) or self._read(name))
            except (KeyError, TypeError, ValueError) as error:
                _log.error("call %s: its row cannot be read: %s. Run `recorder index rebuild`", name, error)
                self._waiting.discard(name)  # the file stays on disk for diagnosis
            except Exception as error:  # noqa: BLE001 - likewise
                self._failed(name, error)
                return
            else:
                self._failed_at = None
                self._forget(RecordingId(name))
                _log.info("call %s: its row was filed late%s", name, "" if is_stored else "; the index had a newer one")

    def _failed(self, name: str, error: Exception) -> None:
        if self._failed_at is None:
            reason = str(error) if isinstance(error, StorageError | OSError) else type(error).__name__
            _log.error("call %s: its row is not in the index yet; retrying: %s", name, reason)
        self._failed_at = self._clock()

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _read(self, name: str) -> RecordingRow:
        return row_from_text(self._path(name).read_bytes())

    def _put_aside(self, row: RecordingRow) -> None:
        try:
            make_folder(self._folder)
            save_atomically(self._path(row.id), json.dumps(row_to_json(row, with_peaks=True)).encode())
        except OSError as error:
            self._keep_in_memory(row, error)
        else:
            self._in_memory.pop(row.id, None)
            self._waiting.add(row.id)

    def _keep_in_memory(self, row: RecordingRow, error: OSError) -> None:
        if row.id in self._in_memory or len(self._in_memory) < _MOST_IN_MEMORY:
            self._in_memory[row.id] = row
            self._alarm("row_in_memory")
            _log.error("call %s: its row is only in memory, because it cannot be written: %s", row.id, error)
            return
        self._alarm("row_lost")
        _log.error(
            "call %s: its row is lost: %s. If it was recorded, `recorder index rebuild` restores the row", row.id, error
        )

    def _forget(self, name: RecordingId) -> None:
        self._in_memory.pop(name, None)
        if name not in self._waiting:
            return
        try:
            remove(self._path(name))
        except OSError as error:
            # The row is filed once more later, which changes nothing.
            _log.error("call %s: the file of its row cannot be removed: %s", name, error)
        else:
            self._waiting.discard(name)
