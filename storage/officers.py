"""Rows of recordings and of the officers whose calls they were, stored and deleted together.

Most calls have one officer, who stands in the recording's own row; the others stand in a table beside it.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from storage.tables import microseconds
from storage.tables import officers as _officers
from storage.tables import recordings as _recordings
from storage.types import RecordingRow

_AT_ONCE = 500
"""Ids in one statement: SQLite takes 999 values at the least."""


def save_officers(connection: sa.Connection, rows: Sequence[RecordingRow]) -> None:
    """Store who else's call each of some recordings was, in place of what was stored before."""
    _forget(connection, [row.id for row in rows])
    if others := [other for row in rows for other in _others(row)]:
        connection.execute(_officers.insert(), others)


def delete_recordings(connection: sa.Connection, recordings: Sequence[str]) -> int:
    """Delete the rows of some recordings, their officers' too; returns how many recordings there were."""
    _forget(connection, recordings)
    removed = 0
    for some in _parts(recordings):
        removed += connection.execute(_recordings.delete().where(_recordings.c.id.in_(some))).rowcount
    return removed


def _forget(connection: sa.Connection, recordings: Sequence[str]) -> None:
    for some in _parts(recordings):
        connection.execute(_officers.delete().where(_officers.c.recording.in_(some)))


def _parts(recordings: Sequence[str]) -> list[Sequence[str]]:
    return [recordings[start : start + _AT_ONCE] for start in range(0, len(recordings), _AT_ONCE)]


def _others(row: RecordingRow) -> list[dict[str, Any]]:
    # Who stands in the row is not always the first: a call that was handed over before it was joined is filed under who
    # answered. There are fewer names than extensions where one officer sat at several.
    names = (name for name in dict.fromkeys(row.operators) if name not in ("", row.operator))
    extensions = (extension for extension in dict.fromkeys(row.extensions) if extension != row.extension)
    started_us = microseconds(row.started_at)
    return [
        {"recording": row.id, "extension": extension, "operator": next(names, ""), "started_us": started_us}
        for extension in extensions
    ]
