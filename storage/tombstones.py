"""Tombstones: what was deleted, in the audit log and in the table `deletions`; what has one never comes back.

The audit log has a tombstone before anything is destroyed, the table when nothing is left, in the same transaction that
takes the row away. So a tombstone that the log has and the table has not is a deletion that a kill cut off - or the
index was restored from a backup. One entry of the log may name many recordings.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from storage.audit_reading import newest_first
from storage.beside import delete_recordings
from storage.database import Database
from storage.rows import time_from_json, time_to_json
from storage.tables import deletions as _deletions
from storage.tables import identities as _identities
from storage.tables import microseconds, moment_of
from storage.tables import officers as _officers
from storage.tables import recordings as _recordings
from storage.tree import DAY_CHARACTERS
from storage.types import RecordingId

_T = TypeVar("_T")

DELETED, AGAIN = "recording.deleted", "recording.deleted_again"
"""Acts of the audit log."""

_ASKED_AT_ONCE = 500
"""Ids in one statement: SQLite takes 999 values at the least."""
_MONTH_CHARACTERS = 6
"""Of an id, that name its month: ``202611``."""
_AFTER_ALL = "~"
"""Sorts after whatever may stand in an id, as bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """What is left of a recording: enough to prove that it was deleted, without caller or operator.

    Attributes:
        id: The recording's.
        deleted_at: When, UTC.
        rule: Why: ``retention``, or a case's reference.
        sha256: Of the container that was destroyed; None where that was not known.
        bytes: Its size; None in the table, which does not keep it.
        due: When it had to go; likewise.
    """

    id: RecordingId
    deleted_at: datetime
    rule: str
    sha256: str | None = None
    bytes: int | None = None
    due: datetime | None = None

    @property
    def sentence(self) -> str:
        """Return it for people, without a full stop."""
        return f"{self.id} was deleted on {self.deleted_at:%d/%m/%Y} ({self.rule}): nothing is left"


def deleted_details(rule: str, tombstones: Sequence[Tombstone]) -> dict[str, Any]:
    """Return what the audit entry of a deletion says."""
    return {
        "rule": rule,
        "recordings": [
            {"id": one.id, "sha256": one.sha256, "bytes": one.bytes, "due": time_to_json(one.due)} for one in tombstones
        ],
    }


def tombstones_of(entry: AuditEntry) -> list[Tombstone]:
    """Return the tombstones that an entry of the audit log holds; none if it is of another act."""
    if entry.act != DELETED:
        return []
    at = time_from_json(entry.at)
    assert at is not None
    return [
        Tombstone(
            id=RecordingId(one["id"]),
            deleted_at=at,
            rule=entry.details["rule"],
            sha256=one["sha256"],
            bytes=one["bytes"],
            due=time_from_json(one["due"]),
        )
        for one in entry.details["recordings"]
    ]


class Deletions:
    """The tombstones in the database.

    Args:
        database: Which has them, beside the recordings.

    Raises:
        DatabaseError: The database cannot be used; so for every method.
        OSError: The folder of its file cannot be made; so for every method.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def clear_away(self) -> None:
        """Leave nothing in the database of what was deleted, as far as it lets us: `Database.look_over`."""
        self._database.look_over()

    def settle(self, tombstones: Sequence[Tombstone]) -> int:
        """Put tombstones in the place of rows, all or none; returns how many rows there were. May be done again."""
        rows = 0
        with self._database.begin() as connection:
            for some in _in_parts(tombstones):
                ids = [one.id for one in some]
                rows += delete_recordings(connection, ids)
                known = _known(connection, ids)
                new = {one.id: _columns(one) for one in some if one.id not in known}
                if new:
                    connection.execute(_deletions.insert(), list(new.values()))
        return rows

    def get(self, recording: RecordingId) -> Tombstone | None:
        """Return the tombstone of a recording, or None: it has none."""
        with self._database.connect() as connection:
            found = connection.execute(_deletions.select().where(_deletions.c.id == recording)).one_or_none()
        return None if found is None else _tombstone(found)

    def known(self, recordings: Sequence[RecordingId]) -> set[RecordingId]:
        """Return which of some recordings have a tombstone."""
        found: set[RecordingId] = set()
        with self._database.connect() as connection:
            for some in _in_parts(recordings):
                found |= _known(connection, some)
        return found

    def of_day(self, day: str) -> set[RecordingId]:
        """Return the recordings of a day, ``20261124``, that have a tombstone."""
        column = _deletions.c.id
        query = sa.select(column).where(column >= day, column < day + _AFTER_ALL)
        with self._database.connect() as connection:
            return {RecordingId(one) for one in connection.execute(query).scalars()}

    def days_of(self, month: str) -> set[str]:
        """Return the days of a month, ``202611``, of which a recording has a tombstone."""
        column = _deletions.c.id
        day = sa.func.substr(column, 1, DAY_CHARACTERS)
        query = sa.select(day).where(column >= month, column < month + _AFTER_ALL).distinct()
        with self._database.connect() as connection:
            return set(connection.execute(query).scalars())

    def began_within(self, start: datetime, end: datetime) -> set[RecordingId]:
        """Return the recordings with a tombstone of calls that began in [start, end), as their ids say."""
        column = _deletions.c.id
        query = sa.select(column).where(column >= f"{start:%Y%m%dT%H%M%SZ}", column < f"{end:%Y%m%dT%H%M%SZ}")
        with self._database.connect() as connection:
            return {RecordingId(one) for one in connection.execute(query).scalars()}

    def returned_rows(self, limit: int, *, after: str = "") -> list[RecordingId]:
        """Return at most so many recordings that have a row, or something beside one, beside their tombstone, by id."""
        rows = [
            sa.select(column.label("id")).join(_deletions, _deletions.c.id == column).where(column > after)
            for column in (_recordings.c.id, _officers.c.recording, _identities.c.recording)
        ]
        query = sa.union(*rows).order_by("id").limit(limit)
        with self._database.connect() as connection:
            return [RecordingId(one) for one in connection.execute(query).scalars()]

    def count(self, rule: str, *, since: datetime) -> int:
        """Return how many recordings were deleted by a rule since a moment."""
        query = sa.select(sa.func.count()).where(
            _deletions.c.rule == rule, _deletions.c.deleted_us >= microseconds(since)
        )
        with self._database.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def oldest(self) -> datetime | None:
        """Return when the oldest deletion was of which there is a tombstone, or None: there is none."""
        with self._database.connect() as connection:
            found: int | None = connection.execute(sa.select(sa.func.min(_deletions.c.deleted_us))).scalar()
        return moment_of(found)

    def count_before(self, moment: datetime) -> int:
        """Return how many tombstones `forget` would take out."""
        query = sa.select(sa.func.count()).where(_deletions.c.deleted_us < microseconds(moment))
        with self._database.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def forget(self, *, before: datetime) -> int:
        """Take tombstones older than a moment out of the table; returns how many. The audit log keeps them."""
        query = _deletions.delete().where(_deletions.c.deleted_us < microseconds(before))
        with self._database.begin() as connection:
            return connection.execute(query).rowcount


class GoneByDay:
    """The recordings that have a tombstone, asked for by day, for one look through many days.

    Most days have none: which have some is asked once a month of theirs, and not once each.

    Args:
        deletions: The tombstones. One that is added meanwhile may be passed over.
    """

    def __init__(self, deletions: Deletions) -> None:
        self._deletions = deletions
        self._days: dict[str, set[str]] = {}

    def of_day(self, day: str) -> set[RecordingId]:
        """Return what `Deletions.of_day` does."""
        month = day[:_MONTH_CHARACTERS]
        if month not in self._days:
            self._days[month] = self._deletions.days_of(month)
        return self._deletions.of_day(day) if day in self._days[month] else set()


def since_settled(audit: AuditLog, deletions: Deletions) -> Iterator[AuditEntry]:
    """Yield the entries, newest first, back to the newest deletion that the table knows in full.

    Those are the ones that an index restored from a backup can have missed; in an index that was not, they are those
    since the last deletion.

    Raises:
        AuditUnavailableError: The log cannot be read.
        DatabaseError, OSError: The database cannot be used.
    """
    for entry in newest_first(audit.path):
        if entry.act == DELETED:
            ids = [one.id for one in tombstones_of(entry)]
            if deletions.known(ids) >= set(ids):
                return
        yield entry


def _in_parts(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(values), _ASKED_AT_ONCE):
        yield values[start : start + _ASKED_AT_ONCE]


def _known(connection: sa.Connection, ids: Sequence[RecordingId]) -> set[RecordingId]:
    query = sa.select(_deletions.c.id).where(_deletions.c.id.in_(ids))
    return {RecordingId(one) for one in connection.execute(query).scalars()}


def _columns(one: Tombstone) -> dict[str, Any]:
    return {"id": one.id, "deleted_us": microseconds(one.deleted_at), "rule": one.rule, "sha256": one.sha256}


def _tombstone(found: sa.Row[Any]) -> Tombstone:
    return Tombstone(
        id=RecordingId(found.id), deleted_at=moment_of(found.deleted_us), rule=found.rule, sha256=found.sha256
    )
