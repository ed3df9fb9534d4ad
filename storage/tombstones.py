"""Tombstones of deleted recordings, in the audit log and in the table `deletions`.

The audit log gets a tombstone before anything is destroyed. The table gets it when nothing is left, in the transaction
that deletes the row. So if the table lacks a tombstone of the log, a kill interrupted the deletion, or the index was
restored from a backup. One entry of the log may name many recordings.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import sqlalchemy as sa

from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from storage.audit_reading import newest_first
from storage.call_parties import delete_recordings
from storage.database import Database
from storage.objects import remove_objects_of
from storage.rows import time_from_json, time_to_json
from storage.tables import deletions as _deletions
from storage.tables import file_removals as _removals
from storage.tables import identities as _identities
from storage.tables import microseconds, moment_of
from storage.tables import officers as _officers
from storage.tables import recordings as _recordings
from storage.tree import DAY_CHARACTERS
from storage.types import RecordingId

_T = TypeVar("_T")

DELETED, AGAIN = "recording.deleted", "recording.deleted_again"
"""Acts of the audit log."""
NOT_DELETED = "recording.not_deleted"
"""Act of the audit log: an earlier entry announces a deletion that did not come about; nothing was destroyed."""
FILES_REMOVED = "recording.files_removed"
"""Act of the audit log: this node removed its files of recordings that another node's sweep had deleted."""

_ASKED_AT_ONCE = 500
"""Ids in one statement; every SQLite takes at least 999 values."""
_MONTH_CHARACTERS = 6
"""Length of the month at the beginning of an id: ``202611``."""
_AFTER_ALL = "~"
"""Sorts after all characters of an id, as bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """The proof that a recording was deleted, without caller or operator.

    Attributes:
        id: The recording's.
        deleted_at: When, UTC.
        rule: Why: ``retention``, or a case's reference.
        sha256: Of the destroyed container; None if unknown.
        bytes: Size of the container; None if read from the table, which does not have it.
        due: When the deletion was due; None if read from the table.
    """

    id: RecordingId
    deleted_at: datetime
    rule: str
    sha256: str | None = None
    bytes: int | None = None
    due: datetime | None = None

    @property
    def sentence(self) -> str:
        """The tombstone in words, for people, without a full stop."""
        return f"{self.id} was deleted on {self.deleted_at:%d/%m/%Y} ({self.rule}): nothing is left"


def deleted_details(rule: str, tombstones: Sequence[Tombstone]) -> dict[str, Any]:
    """Return the details of the audit entry of a deletion."""
    return {
        "rule": rule,
        "recordings": [
            {"id": one.id, "sha256": one.sha256, "bytes": one.bytes, "due": time_to_json(one.due)} for one in tombstones
        ],
    }


def tombstones_of(entry: AuditEntry) -> list[Tombstone]:
    """Return the tombstones in an entry of the audit log; none if it is of another act."""
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
    """The tombstones in one database.

    Raises:
        DatabaseError: The database cannot be used; applies to every method.
        OSError: The folder of its file cannot be made; applies to every method.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def clear_away(self) -> None:
        """Remove deleted data from the database's files, as far as it allows: `Database.vacuum`."""
        self._database.vacuum()

    def settle(self, tombstones: Sequence[Tombstone]) -> int:
        """Replace rows by tombstones, all or none; returns how many rows there were. Safe to repeat.

        Their objects in an object store are marked to be removed.
        """
        with self._database.begin() as connection:
            return bury(connection, tombstones)

    def get(self, recording: RecordingId) -> Tombstone | None:
        """Return the tombstone of a recording, or None: it has none."""
        with self._database.connect() as connection:
            found = connection.execute(_deletions.select().where(_deletions.c.id == recording)).one_or_none()
        return None if found is None else _tombstone(found)

    def known(self, recordings: Sequence[RecordingId]) -> set[RecordingId]:
        """Return the recordings among some that have a tombstone."""
        with self._database.connect() as connection:
            return buried_among(connection, recordings)

    def of_day(self, day: str) -> set[RecordingId]:
        """Return the recordings with a tombstone of a day (``20261124``)."""
        column = _deletions.c.id
        query = sa.select(column).where(column >= day, column < day + _AFTER_ALL)
        with self._database.connect() as connection:
            return {RecordingId(one) for one in connection.execute(query).scalars()}

    def days_of(self, month: str) -> set[str]:
        """Return the days of a month (``202611``) that have tombstones."""
        column = _deletions.c.id
        day = sa.func.substr(column, 1, DAY_CHARACTERS)
        query = sa.select(day).where(column >= month, column < month + _AFTER_ALL).distinct()
        with self._database.connect() as connection:
            return set(connection.execute(query).scalars())

    def began_within(self, start: datetime, end: datetime) -> set[RecordingId]:
        """Return the recordings with a tombstone of calls that began in [start, end), by their ids."""
        column = _deletions.c.id
        query = sa.select(column).where(column >= f"{start:%Y%m%dT%H%M%SZ}", column < f"{end:%Y%m%dT%H%M%SZ}")
        with self._database.connect() as connection:
            return {RecordingId(one) for one in connection.execute(query).scalars()}

    def returned_rows(self, limit: int, *, after: str = "") -> list[RecordingId]:
        """Return at most ``limit`` recordings, by id, that have a tombstone and yet a row here or in a table beside."""
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
        """Return the time of the oldest deletion with a tombstone, or None."""
        with self._database.connect() as connection:
            found: int | None = connection.execute(sa.select(sa.func.min(_deletions.c.deleted_us))).scalar()
        return moment_of(found)

    def count_before(self, moment: datetime) -> int:
        """Return how many tombstones `forget` would delete."""
        query = sa.select(sa.func.count()).where(_is_forgettable(moment))
        with self._database.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def forget(self, *, before: datetime) -> int:
        """Delete tombstones older than a moment from the table; returns how many. The audit log keeps them.

        Those of recordings whose files a node has not removed yet stay.
        """
        with self._database.begin() as connection:
            gone = connection.execute(_deletions.delete().where(_is_forgettable(before))).rowcount
            is_kept = sa.exists().where(_deletions.c.id == _removals.c.recording)
            connection.execute(_removals.delete().where(_removals.c.removed_us.is_not(None), ~is_kept))
        return gone


def bury(connection: sa.Connection, tombstones: Sequence[Tombstone]) -> int:
    """Replace rows by tombstones in a transaction; returns how many rows there were. Safe to repeat."""
    rows = 0
    for some in _in_parts(tombstones):
        ids = [one.id for one in some]
        rows += delete_recordings(connection, ids)
        remove_objects_of(connection, ids, max(one.deleted_at for one in some))
        known = _known(connection, ids)
        new = {one.id: _columns(one) for one in some if one.id not in known}
        if new:
            connection.execute(_deletions.insert(), list(new.values()))
    return rows


def buried_among(connection: sa.Connection, recordings: Sequence[RecordingId]) -> set[RecordingId]:
    """Return the recordings among some that have a tombstone, in a transaction."""
    return {one for some in _in_parts(recordings) for one in _known(connection, some)}


class GoneByDay:
    """The recordings with a tombstone by day, for one pass over many days.

    Most days have none, so the days with tombstones are queried once for each month.

    Args:
        deletions: The tombstones; those that are added meanwhile may be missed.
    """

    def __init__(self, deletions: Deletions) -> None:
        self._deletions = deletions
        self._days: dict[str, set[str]] = {}

    def of_day(self, day: str) -> set[RecordingId]:
        """Return the same as `Deletions.of_day`."""
        month = day[:_MONTH_CHARACTERS]
        if month not in self._days:
            self._days[month] = self._deletions.days_of(month)
        return self._deletions.of_day(day) if day in self._days[month] else set()


def not_deleted(entries: Iterable[AuditEntry]) -> set[int]:
    """Return the numbers of the entries of `DELETED` that entries of `NOT_DELETED` take back."""
    return {int(entry.details["entry"]) for entry in entries if entry.act == NOT_DELETED}


def since_settled(audit: AuditLog, deletions: Deletions) -> Iterator[AuditEntry]:
    """Yield the entries, newest first, back to the newest deletion whose tombstones are all in the table.

    An index restored from a backup can lack only these.

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


def _is_forgettable(before: datetime) -> sa.ColumnElement[bool]:
    is_waiting = sa.exists().where(_removals.c.recording == _deletions.c.id, _removals.c.removed_us.is_(None))
    return sa.and_(_deletions.c.deleted_us < microseconds(before), ~is_waiting)


def _columns(one: Tombstone) -> dict[str, Any]:
    return {"id": one.id, "deleted_us": microseconds(one.deleted_at), "rule": one.rule, "sha256": one.sha256}


def _tombstone(found: sa.Row[Any]) -> Tombstone:
    return Tombstone(
        id=RecordingId(found.id), deleted_at=moment_of(found.deleted_us), rule=found.rule, sha256=found.sha256
    )
