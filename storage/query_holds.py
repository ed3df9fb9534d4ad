"""Holds by search: a case holds every recording that matches a search. Tables in the database of the index.

The held recordings are computed at each query, so that recordings made or indexed later are held too. A person can
release single recordings from the holds of a case; those are held for a grace period more. Each act is in the audit log
first (`storage.query_journal`), so the tables can be rebuilt from it.
"""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from storage.database import Database
from storage.hold_lock import lock_holds
from storage.phone_numbers import normalise_number
from storage.retention_types import Hold, HoldKind
from storage.tables import identities as _identities
from storage.tables import microseconds, moment_of
from storage.tables import officers as _officers
from storage.tables import query_holds as _queries
from storage.tables import query_releases as _releases
from storage.tables import recordings as _recordings
from storage.types import RecordingId, RecordingRow, Search

_ASKED_AT_ONCE = 500
"""Ids in one statement; every SQLite takes at least 999 values."""
_PAGE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryHold:
    """A hold of a case on every recording that matches a search.

    Attributes:
        id: 8 hex.
        case_reference: The case.
        kind: The kind of hold.
        owner: The account that handles the case.
        placed_by: Who placed it, as the audit log names them.
        placed_at: When, UTC.
        started_from: The call began then or later; None is any time.
        started_to: The call began before that; None is any time.
        operator: An officer of the call, or None.
        extension: An extension of the call, or None.
        number: A number of a party, as it was typed, or None.
        is_number_lost: The text of the number has expired; the search then matches any number, so holds more.
        ends_at: Until when it holds; None is until its case is closed.
    """

    id: str
    case_reference: str
    kind: HoldKind
    owner: str
    placed_by: str
    placed_at: datetime
    started_from: datetime | None = None
    started_to: datetime | None = None
    operator: str | None = None
    extension: str | None = None
    number: str | None = None
    is_number_lost: bool = False
    ends_at: datetime | None = None

    def is_active_at(self, now: datetime) -> bool:
        """Tell whether it is active at a moment."""
        return self.ends_at is None or self.ends_at > now

    @property
    def search(self) -> Search:
        """The search."""
        return Search(
            started_from=self.started_from, started_to=self.started_to, operator=self.operator,
            extension=self.extension, number=self.number,
        )  # fmt: skip

    def fits(self, row: RecordingRow) -> bool:
        """Tell whether the row of a call in progress, which is in no table yet, matches."""
        numbers = {row.caller, row.called, *row.numbers, *(one.number for one in row.participants)}
        return (
            (self.started_from is None or row.started_at >= self.started_from)
            and (self.started_to is None or row.started_at < self.started_to)
            and (self.operator is None or self.operator in (row.operator, *row.operators))
            and (self.extension is None or self.extension in (row.extension, *row.extensions))
            and (self.number is None or normalise_number(self.number) in map(normalise_number, numbers))
        )

    def as_hold(self, recording: RecordingId) -> Hold:
        """Return it as a hold of one recording."""
        return Hold(
            id=self.id, recording=recording, kind=self.kind, reason=f"case {self.case_reference}",
            case_reference=self.case_reference, owner=self.owner, placed_by=self.placed_by, placed_at=self.placed_at,
            review_on=(self.ends_at or self.placed_at).date(),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """The release of a recording from the holds of a case; they hold it until ``grace_until``."""

    case_reference: str
    recording: RecordingId
    grace_until: datetime


class QueryHolds:
    """The holds by search in one database.

    Raises:
        DatabaseError: The database cannot be used; applies to every method.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def active(self, now: datetime) -> list[QueryHold]:
        """Return the holds by search that are active at a moment, oldest first."""
        with self._database.connect() as connection:
            return _active(connection, now)

    def of_case(self, case_reference: str) -> list[QueryHold]:
        """Return all holds by search of a case, oldest first."""
        query = _queries.select().where(_queries.c.case_reference == case_reference)
        with self._database.connect() as connection:
            return _sorted(connection.execute(query))

    def get(self, query_id: str) -> QueryHold | None:
        """Return a hold by search, or None: there is none with the id."""
        with self._database.connect() as connection:
            found = connection.execute(_queries.select().where(_queries.c.id == query_id)).one_or_none()
            return None if found is None else _query_hold(found)

    def released(self, case_reference: str) -> set[RecordingId]:
        """Return the recordings that were released from the holds of a case, with those in grace."""
        query = sa.select(_releases.c.recording).where(_releases.c.case_reference == case_reference)
        with self._database.connect() as connection:
            return set(map(RecordingId, connection.execute(query).scalars()))

    def releases(self) -> set[Release]:
        """Return the releases of all cases."""
        with self._database.connect() as connection:
            return {
                Release(
                    case_reference=one.case_reference, recording=RecordingId(one.recording),
                    grace_until=moment_of(one.grace_until_us),
                )
                for one in connection.execute(_releases.select())
            }  # fmt: skip

    def take_back(self, releases: Iterable[Release]) -> int:
        """Delete releases, all or none, so that their cases hold the recordings again; returns how many there were."""
        with self._database.begin() as connection:
            lock_holds(connection)
            return sum(connection.execute(_releases.delete().where(_is_release(one))).rowcount for one in releases)

    def keeping(self, row: RecordingRow, now: datetime) -> list[QueryHold]:
        """Return the holds by search that hold the recording of a call whose row is not in the index yet."""
        with self._database.connect() as connection:
            free = _free_of(connection, [row.id], now)
            return [
                one for one in _active(connection, now) if one.fits(row) and (one.case_reference, row.id) not in free
            ]

    def save(self, queries: Iterable[QueryHold], releases: Iterable[Release] = ()) -> int:
        """Store holds by search and releases, all or none; returns how many were missing or different.

        A stored number is kept if none is given.
        """
        changed = 0
        with self._database.begin() as connection:
            lock_holds(connection)
            for one in queries:
                found = connection.execute(_queries.select().where(_queries.c.id == one.id)).one_or_none()
                known = None if found is None else _query_hold(found)
                wanted = one
                if known is not None and known.number is not None and one.number is None:
                    wanted = replace(one, number=known.number, is_number_lost=False)
                if known is None:
                    connection.execute(_queries.insert().values(_columns(wanted)))
                elif known != wanted:
                    connection.execute(_queries.update().where(_queries.c.id == one.id).values(_columns(wanted)))
                else:
                    continue
                changed += 1
            changed += sum(_save_release(connection, one) for one in releases)
        return changed


def query_holds_among(
    connection: sa.Connection, recordings: Sequence[RecordingId], now: datetime
) -> dict[RecordingId, list[QueryHold]]:
    """Return the holds by search on each held recording among some in the index."""
    queries = _active(connection, now) if recordings else []
    if not queries:
        return {}
    free = _free_of(connection, recordings, now)
    held: dict[RecordingId, list[QueryHold]] = {}
    for query in queries:
        for start in range(0, len(recordings), _ASKED_AT_ONCE):
            some = recordings[start : start + _ASKED_AT_ONCE]
            fitting = sa.select(_recordings.c.id).where(_recordings.c.id.in_(some), *_conditions(query))
            for recording in map(RecordingId, connection.execute(fitting).scalars()):
                if (query.case_reference, recording) not in free:
                    held.setdefault(recording, []).append(query)
    return held


def ids_held_by_queries(database: Database, now: datetime) -> Iterator[RecordingId]:
    """Yield every recording that is held by a search, once and by id."""
    with database.connect() as connection:
        queries = _active(connection, now)
    for recording, _ in groupby(heapq.merge(*(_ids(database, query, now) for query in queries))):
        yield recording


def _ids(database: Database, query: QueryHold, now: datetime) -> Iterator[RecordingId]:
    column = _recordings.c.id
    page = sa.select(column).where(*_conditions(query)).order_by(column).limit(_PAGE)
    last = ""
    while True:
        with database.connect() as connection:
            found = [RecordingId(one) for one in connection.execute(page.where(column > last)).scalars()]
            free = _free_of(connection, found, now)
        yield from (one for one in found if (query.case_reference, one) not in free)
        if len(found) < _PAGE:
            return
        last = found[-1]


def _conditions(query: QueryHold) -> list[sa.ColumnElement[bool]]:
    row = _recordings.c
    conditions: list[sa.ColumnElement[bool]] = []
    if query.started_from is not None:
        conditions.append(row.started_us >= microseconds(query.started_from))
    if query.started_to is not None:
        conditions.append(row.started_us < microseconds(query.started_to))
    if query.operator is not None:
        conditions.append(sa.or_(row.operator == query.operator, _beside(_officers.c.operator, query.operator)))
    if query.extension is not None:
        conditions.append(sa.or_(row.extension == query.extension, _beside(_officers.c.extension, query.extension)))
    if query.number is not None:
        number = normalise_number(query.number)
        theirs = (row.caller_e164 == number, row.called_e164 == number, _beside(_identities.c.number, number))
        conditions.append(sa.or_(*theirs))
    return conditions


def _beside(column: sa.Column[Any], value: str) -> sa.ColumnElement[bool]:
    """Return the condition that a table beside the row has a value for the recording."""
    return sa.exists().where(column.table.c.recording == _recordings.c.id, column == value)


_ACTIVE = _queries.select().where(
    sa.or_(_queries.c.ends_us.is_(None), _queries.c.ends_us > sa.bindparam("now_us", type_=sa.BigInteger))
)
"""Made once, as every row that is read asks for its holds."""


def _active(connection: sa.Connection, now: datetime) -> list[QueryHold]:
    return _sorted(connection.execute(_ACTIVE, {"now_us": microseconds(now)}))


def _free_of(
    connection: sa.Connection, recordings: Sequence[RecordingId], now: datetime
) -> set[tuple[str, RecordingId]]:
    """Return the pairs of case and recording whose release has passed its grace period."""
    free: set[tuple[str, RecordingId]] = set()
    for start in range(0, len(recordings), _ASKED_AT_ONCE):
        some = recordings[start : start + _ASKED_AT_ONCE]
        query = sa.select(_releases.c.case_reference, _releases.c.recording).where(
            _releases.c.recording.in_(some), _releases.c.grace_until_us <= microseconds(now)
        )
        free |= {(case, RecordingId(recording)) for case, recording in connection.execute(query)}
    return free


def _is_release(release: Release) -> sa.ColumnElement[bool]:
    return sa.and_(_releases.c.case_reference == release.case_reference, _releases.c.recording == release.recording)


def _save_release(connection: sa.Connection, release: Release) -> bool:
    is_it = _is_release(release)
    until_us = microseconds(release.grace_until)
    known = connection.execute(sa.select(_releases.c.grace_until_us).where(is_it)).scalar()
    if known is None:
        values = {
            "case_reference": release.case_reference, "recording": release.recording, "grace_until_us": until_us,
        }  # fmt: skip
        connection.execute(_releases.insert().values(values))
        return True
    return False


def _sorted(found: Iterable[sa.Row[Any]]) -> list[QueryHold]:
    return sorted(map(_query_hold, found), key=lambda one: (one.placed_at, one.id))


def _columns(query: QueryHold) -> dict[str, Any]:
    moments = {"started_from": query.started_from, "started_to": query.started_to, "ends": query.ends_at}
    return {
        "id": query.id, "case_reference": query.case_reference, "kind": str(query.kind), "owner": query.owner,
        "placed_by": query.placed_by, "placed_us": microseconds(query.placed_at), "operator": query.operator,
        "extension": query.extension, "number": query.number, "is_number_lost": int(query.is_number_lost),
        **{f"{name}_us": None if at is None else microseconds(at) for name, at in moments.items()},
    }  # fmt: skip


def _query_hold(found: sa.Row[Any]) -> QueryHold:
    return QueryHold(
        id=found.id, case_reference=found.case_reference, kind=HoldKind(found.kind), owner=found.owner,
        placed_by=found.placed_by, placed_at=moment_of(found.placed_us),
        started_from=moment_of(found.started_from_us), started_to=moment_of(found.started_to_us),
        operator=found.operator, extension=found.extension, number=found.number,
        is_number_lost=bool(found.is_number_lost), ends_at=moment_of(found.ends_us),
    )  # fmt: skip
