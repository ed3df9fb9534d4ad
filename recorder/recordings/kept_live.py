"""Decides whether the recording of a call in progress must be kept, so that a card payment does not discard it.

Discarding and placing a hold both take the lock of holds (`storage.hold_journal.steady`). So a placed hold is seen, and
a later one is refused because the recording is being discarded.
"""

import contextlib
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from recorder.recordings.visibility import begun_row
from storage.audit import AuditLog
from storage.claims import OPEN, Claims
from storage.database import Database
from storage.durable import make_folder
from storage.group_modes import touch
from storage.hold_journal import steady
from storage.holds import Holds
from storage.query_holds import QueryHolds
from storage.types import RecordingId
from storage.vault import Vault

FOLDER = "discarding"
"""In the folder of states: an empty file named after each call that is being discarded."""
_MARKED_FOR = timedelta(days=1)
"""How long such a file stays; the recording is gone long before."""


def is_kept(database: Database, vault: Vault, recording: RecordingId, now: datetime) -> bool:
    """Tell whether a legal hold, also one by search, or an open rights request keeps a recording."""
    if Holds(database).keeping(recording, now):
        return True
    if any(claim.state in OPEN for claim in Claims(database).of_recording(recording)):
        return True
    queries, row = QueryHolds(database), begun_row(vault, recording)
    if row is None:  # its row cannot be read, so it may fit any search
        return bool(vault.files_of(recording)) and bool(queries.active(now))
    return bool(queries.keeping(row, now))


def is_being_discarded(state: Path, recording: str) -> bool:
    """Tell whether a recording is being discarded, so that it cannot be held any more."""
    return (state / FOLDER / recording).exists()


def being_discarded(state: Path) -> list[RecordingId]:
    """Return the recordings that are being discarded, or were when their daemon ended."""
    with contextlib.suppress(FileNotFoundError):
        return [RecordingId(path.name) for path in sorted((state / FOLDER).iterdir())]
    return []


class Discards:
    """Decides whether recordings may be discarded.

    Args:
        database: Holds and rights requests.
        vault: Knows the calls in progress.
        now: The clock, UTC.
    """

    def __init__(
        self, state: Path, database: Database, audit: AuditLog, vault: Vault, *, now: Callable[[], datetime]
    ) -> None:
        self._state = state
        self._database = database
        self._audit = audit
        self._vault = vault
        self._now = now

    def decide(self, recording: RecordingId) -> bool:
        """Tell whether a recording may be discarded; if so, nobody can hold it any more.

        Raises:
            StorageError, OSError: Unknown, so keep it.
        """
        with steady(self._state, Holds(self._database), self._audit):
            if is_kept(self._database, self._vault, recording, self._now()):
                return False
            self._mark(recording)
        return True

    def settle(self, recording: RecordingId) -> None:
        """Note that a recording is discarded, or will not be; then it can be held again.

        Raises:
            OSError: The disk failed.
        """
        settle(self._state, recording)

    def _mark(self, recording: RecordingId) -> None:
        folder = self._state / FOLDER
        make_folder(folder)
        for path in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < (self._now() - _MARKED_FOR).timestamp():
                    path.unlink()
        touch(folder / recording)
        os.utime(folder / recording)


def settle(state: Path, recording: RecordingId) -> None:
    """Do what `Discards.settle` does; ``state`` is the home's folder of states."""
    (state / FOLDER / recording).unlink(missing_ok=True)
