"""The tables beside the recordings' rows: further officers and further numbers of a call.

Most calls have one officer and two numbers, which the recording's row holds. Rows of these tables are stored and
deleted together with it.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from storage.made_once import run
from storage.phone_numbers import normalise_number
from storage.tables import identities as _identities
from storage.tables import microseconds
from storage.tables import officers as _officers
from storage.tables import recordings as _recordings
from storage.types import RecordingRow

_AT_ONCE = 500
"""Ids in one statement; every SQLite takes at least 999 values."""
_FORGET = tuple(
    table.delete().where(table.c.recording.in_(sa.bindparam("some", expanding=True)))
    for table in (_officers, _identities)
)
"""Made once: a statement refers to itself, so only the garbage collector would free one made for each call."""
_FORGET_ONE = tuple(
    table.delete().where(table.c.recording == sa.bindparam("one")) for table in (_officers, _identities)
)
"""For one recording, as at the end of each call: half the work, since a list's text is made anew each time."""
LONGEST = 80
"""Longest number that is indexed, characters; a longer text is not a number."""


def save_parties(connection: sa.Connection, rows: Sequence[RecordingRow]) -> None:
    """Store the further officers and numbers of some recordings; earlier ones are replaced."""
    _forget(connection, [row.id for row in rows])
    if others := [other for row in rows for other in officers_of(row)]:
        connection.execute(_officers.insert(), others)
    if numbers := [number for row in rows for number in identities_of(row)]:
        connection.execute(_identities.insert(), numbers)


def delete_recordings(connection: sa.Connection, recordings: Sequence[str]) -> int:
    """Delete the rows of some recordings, and their rows beside; returns how many recordings there were."""
    _forget(connection, recordings)
    removed = 0
    for some in _parts(recordings):
        removed += connection.execute(_recordings.delete().where(_recordings.c.id.in_(some))).rowcount
    return removed


def stored_officers(connection: sa.Connection, recordings: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the stored further officers of some recordings, by recording, sorted by extension."""
    return _stored(connection, _officers, "extension", recordings)


def stored_identities(connection: sa.Connection, recordings: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the stored further numbers of some recordings, by recording, sorted by number."""
    return _stored(connection, _identities, "number", recordings)


def _stored(
    connection: sa.Connection, table: sa.Table, key: str, recordings: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for some in _parts(recordings):
        for one in connection.execute(table.select().where(table.c.recording.in_(some))).mappings():
            found.setdefault(one["recording"], []).append(dict(one))
    for theirs in found.values():
        theirs.sort(key=lambda one: str(one[key]))  # a server may sort by another collation
    return found


def parties_without_row(connection: sa.Connection, limit: int, *, after: str = "") -> list[str]:
    """Return at most ``limit`` ids, in order, that have rows beside but no row of a recording."""
    lone = [
        sa.select(column.label("id")).where(column > after, ~sa.exists().where(_recordings.c.id == column))
        for column in (_officers.c.recording, _identities.c.recording)
    ]
    query = sa.union(*lone).order_by("id").limit(limit)
    return [str(one) for one in connection.execute(query).scalars()]


def _forget(connection: sa.Connection, recordings: Sequence[str]) -> None:
    if len(recordings) == 1:
        for statement in _FORGET_ONE:
            run(connection, statement, {"one": recordings[0]})
        return
    for some in _parts(recordings):
        for statement in _FORGET:
            connection.execute(statement, {"some": list(some)})


def _parts(recordings: Sequence[str]) -> list[Sequence[str]]:
    return [recordings[start : start + _AT_ONCE] for start in range(0, len(recordings), _AT_ONCE)]


def officers_of(row: RecordingRow) -> list[dict[str, Any]]:
    """Return the rows of a recording's further officers."""
    # The officer of the row is not always the first: a call that was handed over before it was joined is filed under
    # who answered. There may be fewer names than extensions, if one officer had several.
    names = (name for name in dict.fromkeys(row.operators) if name not in ("", row.operator))
    extensions = [extension for extension in dict.fromkeys(row.extensions) if extension != row.extension]
    if not extensions:
        return []  # as of most calls
    copies, teams = _copies(row), _teams_of_extensions(row)
    found: list[dict[str, Any]] = []
    known = {row.team}
    for extension in extensions:
        team = teams.get(extension, "")
        own_team = "" if team in known else team
        known.add(team)
        found.append(
            {"recording": row.id, "extension": extension, "operator": next(names, ""), **copies, "own_team": own_team}
        )
    return found


def _teams_of_extensions(row: RecordingRow) -> dict[str, str]:
    """Return the team of each extension during the call, as far as segments name it."""
    return {one.extension: one.team for segment in row.segments for one in segment.officers}


def identities_of(row: RecordingRow) -> list[dict[str, Any]]:
    """Return the rows of the numbers by which a party was known, besides the calling and the called number."""
    written = (*row.numbers, *(one.number for one in row.participants))
    if not written:
        return []  # as of most calls
    copies, numbers = _copies(row), dict.fromkeys(map(normalise_number, written))
    known = ("", copies["caller_e164"], copies["called_e164"])
    return [
        {"recording": row.id, "number": number, "reversed": number[::-1], **copies}
        for number in numbers
        if number not in known and len(number) <= LONGEST
    ]


def _copies(row: RecordingRow) -> dict[str, Any]:
    """Return the columns of the row that the tables beside it repeat."""
    return {
        "started_us": microseconds(row.started_at), "first_extension": row.extension, "first_operator": row.operator,
        "outcome": str(row.outcome), "caller_e164": normalise_number(row.caller),
        "called_e164": normalise_number(row.called), "team": row.team, "service": row.service,
    }  # fmt: skip
