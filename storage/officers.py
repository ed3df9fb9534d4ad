"""Rows of recordings and of the officers whose calls they were, stored and deleted together.

Most calls have one officer, who stands in the recording's own row; the others stand in a table beside it.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from storage.rows import normalise_number
from storage.tables import microseconds
from storage.tables import officers as _officers
from storage.tables import recordings as _recordings
from storage.types import RecordingRow

_AT_ONCE = 500
"""Ids in one statement: SQLite takes 999 values at the least."""
_FORGET = _officers.delete().where(_officers.c.recording.in_(sa.bindparam("some", expanding=True)))
"""Made once, though it is run for each call: a statement refers to itself, so that only Python's collector frees it."""


def save_officers(connection: sa.Connection, rows: Sequence[RecordingRow]) -> None:
    """Store who else's call each of some recordings was, in place of what was stored before."""
    _forget(connection, [row.id for row in rows])
    if others := [other for row in rows for other in officers_of(row)]:
        connection.execute(_officers.insert(), others)


def delete_recordings(connection: sa.Connection, recordings: Sequence[str]) -> int:
    """Delete the rows of some recordings, their officers' too; returns how many recordings there were."""
    _forget(connection, recordings)
    removed = 0
    for some in _parts(recordings):
        removed += connection.execute(_recordings.delete().where(_recordings.c.id.in_(some))).rowcount
    return removed


def stored_officers(connection: sa.Connection, recordings: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Return what the table holds of some recordings, by recording; a recording's by extension."""
    found: dict[str, list[dict[str, Any]]] = {}
    for some in _parts(recordings):
        for one in connection.execute(_officers.select().where(_officers.c.recording.in_(some))).mappings():
            found.setdefault(one["recording"], []).append(dict(one))
    for theirs in found.values():
        theirs.sort(key=lambda one: str(one["extension"]))  # a server may have an order of its own
    return found


def lone_officers(connection: sa.Connection, limit: int, *, after: str = "") -> list[str]:
    """Return at most so many ids, in order, of which the table has officers and nobody has a row."""
    column = _officers.c.recording
    is_lone = ~sa.exists().where(_recordings.c.id == column)
    query = sa.select(column).distinct().where(column > after, is_lone).order_by(column).limit(limit)
    return [str(one) for one in connection.execute(query).scalars()]


def _forget(connection: sa.Connection, recordings: Sequence[str]) -> None:
    for some in _parts(recordings):
        connection.execute(_FORGET, {"some": list(some)})


def _parts(recordings: Sequence[str]) -> list[Sequence[str]]:
    return [recordings[start : start + _AT_ONCE] for start in range(0, len(recordings), _AT_ONCE)]


def officers_of(row: RecordingRow) -> list[dict[str, Any]]:
    """Return what the table is to hold of a recording."""
    # Who stands in the row is not always the first: a call that was handed over before it was joined is filed under who
    # answered. There are fewer names than extensions where one officer sat at several.
    names = (name for name in dict.fromkeys(row.operators) if name not in ("", row.operator))
    extensions = (extension for extension in dict.fromkeys(row.extensions) if extension != row.extension)
    of_the_call = {
        "started_us": microseconds(row.started_at), "first_extension": row.extension, "first_operator": row.operator,
        "outcome": str(row.outcome), "caller_e164": normalise_number(row.caller),
        "called_e164": normalise_number(row.called), "team": row.team,
    }  # fmt: skip
    return [
        {"recording": row.id, "extension": extension, "operator": next(names, ""), **of_the_call}
        for extension in extensions
    ]
