"""The objects of recordings: what the table holds, and its queries. `storage.objects` changes it."""

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage.database import Database
from storage.errors import DatabaseError
from storage.rows import row_from_text
from storage.tables import deletions as _deletions
from storage.tables import microseconds, moment_of
from storage.tables import objects as _objects
from storage.tables import recordings as _recordings
from storage.types import RecordingId, RecordingRow

_ASKED_AT_ONCE = 500
_NOTHING_KEPT = '%"path": null%'
"""In the document of a call of which nothing was kept; a text inside has its quotes escaped."""


class ObjectState(enum.StrEnum):
    """State of an object; PARTS is that of a recording in progress, named by the digest of its prologue."""

    PARTS = "parts"
    WAITING = "waiting"
    STORED = "stored"
    REMOVING = "removing"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """A row of the table.

    Attributes:
        sha256: Digest of the container, hex: the object's name.
        recording: The recording.
        node: Fingerprint of the machine that has or had the file.
        state: Its state.
        size: Of the container, bytes.
        key_epoch: Epoch of the stored sealed key; None: none is stored yet.
        since: Since when it is in this state.
        stored_at: When it was read back and was right; None: not yet.
        released_at: When the local file was removed; None: it is still there.
        locked_until: When the store's lock on it ends, if it is known to prevent removal.
        problem: Why the last try failed, or "".
    """

    sha256: str
    recording: RecordingId
    node: str
    state: ObjectState
    size: int
    key_epoch: str | None = None
    since: datetime
    stored_at: datetime | None = None
    released_at: datetime | None = None
    locked_until: datetime | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectCounts:
    """How many objects are in each state.

    Attributes:
        stored: Objects in the store.
        stored_bytes: Bytes of their containers.
        released: Those of them whose local file was removed.
        waiting: Recordings that wait to be uploaded.
        waiting_bytes: Bytes of their containers.
        waiting_since: Since when the oldest waits; None without one.
        removing: Objects that must go and were not removed yet.
        removing_since: Since when the oldest of them must go; None without one.
        locked: Those of them that a lock of the store protects.
        locked_until: When the last of these locks ends; None without one.
    """

    stored: int = 0
    stored_bytes: int = 0
    released: int = 0
    waiting: int = 0
    waiting_bytes: int = 0
    waiting_since: datetime | None = None
    removing: int = 0
    removing_since: datetime | None = None
    locked: int = 0
    locked_until: datetime | None = None


@dataclass(slots=True, kw_only=True)
class Unknown:
    """A page of recordings without an object.

    Attributes:
        rows: Their rows, without peaks.
        last: Id of the last one that was looked at, "" at the end.
    """

    rows: list[RecordingRow] = field(default_factory=list)
    last: str = ""


class ObjectQueries:
    """Reads the objects in one database.

    Raises:
        DatabaseError: The database cannot be used; applies to every method.
        OSError: The folder of its file cannot be made; applies to every method.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def unknown(self, *, after: str = "", started_from: datetime | None = None, limit: int = 500) -> Unknown:
        """Return finished recordings that have no object, by id: a page after an id."""
        column = _recordings.c.id
        has_one = sa.exists().where(_objects.c.recording == column, _objects.c.state.in_(_FINISHED))
        query = (
            sa.select(column, _recordings.c.document)
            .where(column > after, ~has_one, ~_recordings.c.document.like(_NOTHING_KEPT))
            .order_by(column)
            .limit(limit)
        )
        if started_from is not None:
            query = query.where(_recordings.c.started_us >= microseconds(started_from))
        with self.database.connect() as connection:
            found = connection.execute(query).all()
        rows = [row for one in found if (row := _row_of(one.document)) is not None]
        return Unknown(
            rows=[row for row in rows if row.path is not None and row.sha256 is not None],
            last=found[-1].id if len(found) == limit else "",
        )

    def in_state(self, state: ObjectState, *, node: str | None = None, limit: int = 100) -> list[StoredObject]:
        """Return objects in a state, those without a problem first, then the oldest."""
        query = (
            _objects.select()
            .where(_objects.c.state == str(state))
            .order_by(sa.case((_objects.c.problem == "", 0), else_=1), _objects.c.since_us, _objects.c.sha256)
            .limit(limit)
        )
        if node is not None:
            query = query.where(_objects.c.node == node)
        return self._found(query)

    def with_old_key(self, node: str, *, limit: int = 100) -> list[StoredObject]:
        """Return stored objects of a machine whose present sealed key is not stored."""
        column = _objects.c
        return self._found(
            _objects.select()
            .where(column.state == str(ObjectState.STORED), column.node == node, column.is_key_old == 1)
            .limit(limit)
        )

    def to_release(self, node: str, *, before: datetime, limit: int = 100) -> list[StoredObject]:
        """Return objects that were stored before a moment and whose file is still on a machine, oldest first."""
        column = _objects.c
        return self._found(
            _objects.select()
            .where(
                column.node == node, column.released_us.is_(None), column.stored_us < microseconds(before),
                column.state == str(ObjectState.STORED), column.is_key_old == 0,
            )
            .order_by(column.stored_us)
            .limit(limit)
        )  # fmt: skip

    def of(self, recording: RecordingId) -> list[StoredObject]:
        """Return the objects of a recording."""
        return self._found(_objects.select().where(_objects.c.recording == recording))

    def each_stored(self) -> Iterator[StoredObject]:
        """Yield every stored object by digest; each page is a query of its own."""
        last = ""
        while True:
            found = self._found(
                _objects.select()
                .where(_objects.c.sha256 > last, _objects.c.state == str(ObjectState.STORED))
                .order_by(_objects.c.sha256)
                .limit(_ASKED_AT_ONCE)
            )
            yield from found
            if len(found) < _ASKED_AT_ONCE:
                return
            last = found[-1].sha256

    def sealed_to(self, epoch: str) -> set[RecordingId]:
        """Return the recordings whose stored sealed key is sealed to an epoch."""
        query = sa.select(_objects.c.recording).where(_objects.c.key_epoch == epoch)
        with self.database.connect() as connection:
            return {RecordingId(one) for one in connection.execute(query).scalars()}

    def has_any(self) -> bool:
        """Tell whether any object is in the store, or is to be removed there."""
        query = sa.select(_objects.c.sha256).where(_objects.c.state != str(ObjectState.WAITING)).limit(1)
        with self.database.connect() as connection:
            return connection.execute(query).first() is not None

    def known(self, digests: Sequence[str]) -> set[str]:
        """Return those of some digests that have a row here."""
        return self._among(_objects.c.sha256, digests)

    def deleted(self, digests: Sequence[str]) -> set[str]:
        """Return those of some digests that are of deleted recordings, by their tombstones."""
        return self._among(_deletions.c.sha256, digests)

    def _among(self, column: sa.Column[Any], digests: Sequence[str]) -> set[str]:
        found: set[str] = set()
        with self.database.connect() as connection:
            for start in range(0, len(digests), _ASKED_AT_ONCE):
                some = digests[start : start + _ASKED_AT_ONCE]
                found |= set(connection.execute(sa.select(column).where(column.in_(some))).scalars())
        return found

    def counts(self, node: str | None = None, *, has_stored: bool = True) -> ObjectCounts:
        """Return how many objects are in each state.

        Args:
            node: Of one machine; None of all.
            has_stored: Count those in the store too, which reads all their rows.
        """
        column = _objects.c
        query = sa.select(
            column.state, sa.func.count(), sa.func.sum(column.size), sa.func.min(column.since_us),
            sa.func.count(column.released_us), sa.func.count(column.locked_until_us),
            sa.func.max(column.locked_until_us),
        ).group_by(column.state)  # fmt: skip
        if node is not None:
            query = query.where(column.node == node)
        if not has_stored:
            query = query.where(column.state.in_([str(ObjectState.WAITING), str(ObjectState.REMOVING)]))
        with self.database.connect() as connection:
            found = {one[0]: one for one in connection.execute(query)}
        none = (None, 0, 0, None, 0, 0, None)
        stored, waiting, removing = (found.get(str(one), none) for one in _ORDER)
        return ObjectCounts(
            stored=stored[1], stored_bytes=int(stored[2]), released=stored[4],
            waiting=waiting[1], waiting_bytes=int(waiting[2]), waiting_since=moment_of(waiting[3]),
            removing=removing[1], removing_since=moment_of(removing[3]),
            locked=removing[5], locked_until=moment_of(removing[6]),
        )  # fmt: skip

    def _found(self, query: sa.Select[Any]) -> list[StoredObject]:
        with self.database.connect() as connection:
            return [_object(one) for one in connection.execute(query)]


_FINISHED = (str(ObjectState.WAITING), str(ObjectState.STORED))
_ORDER = (ObjectState.STORED, ObjectState.WAITING, ObjectState.REMOVING)


def _row_of(document: str) -> RecordingRow | None:
    """Return a row; None if it is damaged, which `recorder index check` reports."""
    try:
        return row_from_text(document)
    except (KeyError, TypeError, ValueError, DatabaseError):
        return None


def _object(found: sa.Row[Any]) -> StoredObject:
    return StoredObject(
        sha256=found.sha256, recording=RecordingId(found.recording), node=found.node,
        state=ObjectState(found.state), size=found.size, key_epoch=found.key_epoch, since=moment_of(found.since_us),
        stored_at=moment_of(found.stored_us), released_at=moment_of(found.released_us),
        locked_until=moment_of(found.locked_until_us), problem=found.problem,
    )  # fmt: skip
