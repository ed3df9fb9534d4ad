"""The table of copies that were made of recordings, in the database of the index.

Each copy is in the audit log first; pages read this table. A copy is listed before its first byte is sent, so that an
incomplete one is listed too. Safe from any thread and from several processes.
"""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storage.database import Database
from storage.rows import time_to_json
from storage.tables import copies as _copies
from storage.tables import microseconds, moment_of
from storage.types import RecordingId


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyMade:
    """A copy of one recording.

    Attributes:
        id: 8 hex.
        recording: The recording.
        made_by: Who made it, as the audit log names them.
        made_at: When it was begun, UTC.
        format: Value of `storage.encoding.CopyFormat`.
        start_s: Start in the recording, seconds.
        end_s: End in the recording, seconds.
        redactions: Number of silenced spans.
        sha256: Of the file, hex; None until it is complete.
    """

    id: str
    recording: RecordingId
    made_by: str
    made_at: datetime
    format: str
    start_s: float
    end_s: float
    redactions: int = 0
    sha256: str | None = None


def new_copy_id() -> str:
    """Return a fresh id of a copy: 8 hex."""
    return secrets.token_hex(4)


def copy_to_json(copy: CopyMade) -> dict[str, object]:
    """Return a copy as JSON-able values."""
    return {
        "id": copy.id,
        "made_by": copy.made_by,
        "made_at": time_to_json(copy.made_at),
        "format": copy.format,
        "start_s": copy.start_s,
        "end_s": copy.end_s,
        "redactions": copy.redactions,
        "sha256": copy.sha256,
    }


class CopyList:
    """The copies in one database.

    Raises:
        DatabaseError: The database cannot be used; applies to every method.
        OSError: The folder of its file cannot be made; applies to every method.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, copy: CopyMade) -> None:
        """Store a new copy durably."""
        with self._database.begin() as connection:
            connection.execute(_copies.insert().values(_columns(copy)))

    def finish(self, copy_id: str, sha256: str) -> None:
        """Store the hash of a copy that was sent completely."""
        with self._database.begin() as connection:
            connection.execute(_copies.update().where(_copies.c.id == copy_id).values(sha256=sha256))

    def save(self, copies: Iterable[CopyMade]) -> int:
        """Add missing copies and missing hashes, all or none; returns how many were added."""
        changed = 0
        with self._database.begin() as connection:
            for copy in copies:
                found = connection.execute(_copies.select().where(_copies.c.id == copy.id)).one_or_none()
                if found is None:
                    connection.execute(_copies.insert().values(_columns(copy)))
                elif found.sha256 is None and copy.sha256 is not None:
                    connection.execute(_copies.update().where(_copies.c.id == copy.id).values(sha256=copy.sha256))
                else:
                    continue
                changed += 1
        return changed

    def of_recording(self, recording: RecordingId) -> list[CopyMade]:
        """Return the copies of one recording, oldest first, incomplete ones included."""
        query = _copies.select().where(_copies.c.recording == recording)
        with self._database.connect() as connection:
            return [_copy(found) for found in connection.execute(query.order_by(_copies.c.made_us, _copies.c.id))]


def _columns(copy: CopyMade) -> dict[str, object]:
    return {
        "id": copy.id,
        "recording": copy.recording,
        "made_by": copy.made_by,
        "made_us": microseconds(copy.made_at),
        "format": copy.format,
        "start_s": copy.start_s,
        "end_s": copy.end_s,
        "redactions": copy.redactions,
        "sha256": copy.sha256,
    }


def _copy(found: sa.Row[tuple[object, ...]]) -> CopyMade:
    return CopyMade(
        id=found.id,
        recording=RecordingId(found.recording),
        made_by=found.made_by,
        made_at=moment_of(found.made_us),
        format=found.format,
        start_s=found.start_s,
        end_s=found.end_s,
        redactions=found.redactions,
        sha256=found.sha256,
    )
