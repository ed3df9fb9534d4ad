"""Closes containers that a full or failing disk left open, as soon as the disk allows, without a restart.

Their calls have ended and have a row that says what was kept and why; only the signed footer is missing.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from recorder.calls.filing import Filing
from storage.errors import NotFoundError, StorageError
from storage.index import Index
from storage.recovery import close_left_open
from storage.rows import row_to_json
from storage.types import Outcome, RecordingId, RecordingRow
from storage.vault import Vault, destroy

_log = logging.getLogger(__name__)

FAULTS = ("disk_full", "disk_read_only", "storage_fault")
"""Alarms after which a container may have been left open."""


class LeftOpen:
    """Finds and closes such containers. Filing thread, except `notice`.

    Args:
        index: Knows how their calls ended.
        rows: Files the completed rows.
        is_live: Tells whether another part of the daemon still has a recording open.
        settled: Called with each recording that is done.
        now: The clock, UTC.
    """

    def __init__(
        self,
        vault: Vault,
        index: Index,
        rows: Filing,
        *,
        is_live: Callable[[str], bool],
        settled: Callable[[str], None],
        now: Callable[[], datetime],
    ) -> None:
        self._vault = vault
        self._index = index
        self._rows = rows
        self._is_live = is_live
        self._settled = settled
        self._now = now
        self._faults = 0
        self._is_due = False

    def notice(self, alarms: Mapping[str, int]) -> bool:
        """Tell whether there may be something to close: a write failed since the last look that found nothing.

        Args:
            alarms: How often each alarm was raised since the start.
        """
        faults = sum(alarms.get(name, 0) for name in FAULTS)
        if faults != self._faults:
            self._faults, self._is_due = faults, True
        return self._is_due

    def close(self) -> None:
        """Close the containers that can be closed now; never raises.

        Containers that are still open elsewhere are not looked for again: failing to close those is another fault.
        """
        try:
            left = [path for path in self._parts() if not self._is_live(path.stem) and not self._close(path)]
        except (StorageError, OSError) as error:
            _log.warning("Closing what a failing disk left open failed; retrying: %s", error)
            return
        self._is_due = bool(left)

    def _parts(self) -> list[Path]:
        days = (self._now() - timedelta(days=age) for age in (0, 1))
        found = (path for day in days for path in (self._vault.root / day.strftime("%Y/%m/%d")).glob("*/*.part"))
        return sorted(found)

    def _close(self, path: Path) -> bool:
        """Close one container; tell whether nothing is left to do."""
        recording = RecordingId(path.stem)
        try:
            row = self._index.get(recording)
        except NotFoundError:
            return False  # its row is not filed yet
        if row.outcome is Outcome.BLOCKED:
            destroy(self._vault, recording)
        elif not self._finish(path, row):
            return False
        self._settled(recording)
        return True

    def _finish(self, path: Path, row: RecordingRow) -> bool:
        found = close_left_open(self._vault, path, row_to_json(row, with_peaks=True))
        if found.problem is not None:
            _log.info("Container not closed yet: %s", found.problem)
            return False
        if found.finished is not None:
            file = found.finished
            self._rows.save(replace(row, path=file.path, bytes=file.bytes, sha256=file.sha256))
            _log.warning("recording %s: a failing disk had left it open; closed as partial", row.id)
        return True
