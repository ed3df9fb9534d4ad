"""Rows find their way into the index, now or later: while the database is down they wait in files of their own.

A call that was recorded has its row in its container as well; one that was not has it nowhere else. A row is in a file
before anybody is told that it is filed, and the file goes when the index has it; on a disk that takes no file it stays
in memory until there is room. Everything here runs on one thread, the filing thread, but for `Filing.waiting`.
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
"""Of the files, in the home's folder of states."""
RETRY_S = 3.0
"""How long a database that failed is left in peace: each try may cost its time-out, and recordings wait meanwhile."""
_AT_ONCE = 100
"""Rows that are caught up before others may be filed."""
_MOST_IN_MEMORY = 10_000
"""Rows that are kept in memory while neither database nor disk takes them: some 100 MB at the most."""


class Rows(Protocol):
    """Where rows belong; `storage.index.Index` is the real one."""

    def save(self, row: RecordingRow) -> None:
        """Store a row durably."""

    def save_late(self, row: RecordingRow) -> bool:
        """Store a row durably unless something newer is known; tells whether it was stored."""


class Filing:
    """Files rows, whatever the database says.

    Args:
        rows: The index.
        folder: Where rows wait; made when it is needed. What an earlier process left in it is filed too.
        alarm: Told ``index_unavailable`` for each row that has to wait, ``row_in_memory`` for one that no file takes
            either, ``row_lost`` for one for which there is no memory.
        clock: Monotonic, seconds.
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
        """Return how many rows wait for the database; from any thread."""
        return len(self._waiting) + len(self._in_memory)

    def save(self, row: RecordingRow) -> None:
        """File a row; returns when it is durable, in the index or in its file. Never raises."""
        if self._failed_at is None or self._clock() >= self._failed_at + RETRY_S:
            try:
                self._rows.save(row)
            except Exception as error:  # noqa: BLE001 - whatever the database says, the row must not be lost
                self._failed(row.id, error)
            else:
                self._failed_at = None
                self._forget(row.id)
                return
        self._alarm("index_unavailable")
        self._put_aside(row)

    def catch_up(self) -> None:
        """File rows that wait, oldest first, if it is time to try again; some of them, so that others may come between.

        Never raises.
        """
        if self._failed_at is not None and self._clock() < self._failed_at + RETRY_S:
            return
        for name in sorted(self._waiting | self._in_memory.keys())[:_AT_ONCE]:
            try:
                is_stored = self._rows.save_late(self._in_memory.get(name) or self._read(name))
            except (KeyError, TypeError, ValueError) as error:
                _log.error("the row of %s cannot be read (%s); `recorder reindex` may know it", name, error)
                self._waiting.discard(name)  # it stays on disk for whoever looks into it
            except Exception as error:  # noqa: BLE001 - likewise
                self._failed(name, error)
                return
            else:
                self._failed_at = None
                self._forget(RecordingId(name))
                _log.info("the row of %s was filed late%s", name, "" if is_stored else ": the index knew better")

    def _failed(self, name: str, error: Exception) -> None:
        if self._failed_at is None:
            words = str(error) if isinstance(error, StorageError | OSError) else type(error).__name__
            _log.error("recording %s is not in the index yet: %s", name, words)
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
            _log.error("the row of %s is only in memory, as it cannot be written: %s", row.id, error)
            return
        self._alarm("row_lost")
        _log.error("the row of %s cannot be kept (%s); `recorder reindex` brings back what has a file", row.id, error)

    def _forget(self, name: RecordingId) -> None:
        self._in_memory.pop(name, None)
        if name not in self._waiting:
            return
        try:
            remove(self._path(name))
        except OSError as error:
            _log.error("the file of a row that was filed stays: %s", error)  # it is filed again, which changes nothing
        else:
            self._waiting.discard(name)
