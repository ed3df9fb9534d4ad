"""The table of legal holds, in the database of the index, and the state table of a hold.

Each act is in the audit log first (`storage.hold_journal`), so the table can be rebuilt from it. Safe from any thread
and from several processes. Who may place and release is decided by `recorder.rules.holds`.
"""

import enum
import heapq
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from itertools import groupby
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from storage.database import SQLITE, Database
from storage.errors import HoldStateError, NotFoundError
from storage.hold_lock import lock_holds
from storage.query_holds import ids_held_by_queries, query_holds_among
from storage.retention_types import Hold, HoldKind, HoldState
from storage.tables import deletions as _deletions
from storage.tables import holds as _holds
from storage.tables import microseconds, moment_of
from storage.types import RecordingId

_ASKED_AT_ONCE = 500
"""Ids in one statement; every SQLite takes at least 999 values."""
_PAGE = 1000


class HoldEvent(enum.StrEnum):
    """Event of a hold."""

    REVIEW = "be reviewed"
    RELEASE = "be released"
    REINSTATE = "be taken back"


TABLE: Mapping[tuple[HoldState, HoldEvent], HoldState] = MappingProxyType(
    {
        (HoldState.ACTIVE, HoldEvent.REVIEW): HoldState.ACTIVE,
        (HoldState.ACTIVE, HoldEvent.RELEASE): HoldState.GRACE,
        (HoldState.GRACE, HoldEvent.REINSTATE): HoldState.ACTIVE,
    }
)
"""The state table of a hold; other pairs are refused. The grace period ends by time alone."""

_SENTENCES = {
    HoldEvent.REVIEW: "Hold {id} was released on {day}: there is nothing to review.",
    HoldEvent.RELEASE: "Hold {id} was released on {day} already.",
    HoldEvent.REINSTATE: "Hold {id} {why}, so its release cannot be taken back.",
}


def new_hold_id() -> str:
    """Return a fresh id of a hold: 8 hex."""
    return secrets.token_hex(4)


def check(hold: Hold, event: HoldEvent, now: datetime) -> None:
    """Raise HoldStateError, with a sentence, if the state of a hold does not allow an event now."""
    state = hold.state_at(now)
    if (state, event) in TABLE:
        return
    day = "" if hold.released_at is None else f"{hold.released_at:%Y-%m-%d}"
    over = "" if hold.grace_until is None else f"ended on {hold.grace_until:%Y-%m-%d}"
    why = "stands" if state is HoldState.ACTIVE else over
    raise HoldStateError(_SENTENCES[event].format(id=hold.id, day=day, why=why))


class Holds:
    """The holds of single recordings in one database.

    Raises:
        DatabaseError: The database cannot be used; applies to every method.
        OSError: The folder of its file cannot be made; applies to every method.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def database(self) -> Database:
        """The database, which has the claims too."""
        return self._database

    def place(self, hold: Hold) -> None:
        """Store a new hold durably; an existing hold with its id is not changed.

        Raises:
            NotFoundError: The recording was deleted meanwhile, by another node; nothing was stored.
        """
        with self._database.begin() as connection:
            lock_holds(connection)
            if _is_deleted(connection, hold.recording):
                raise NotFoundError("The recording has just been deleted, so it cannot be held.")
            if _found(connection, hold.id) is None:
                connection.execute(_holds.insert().values(_columns(hold)))

    def get(self, hold_id: str) -> Hold:
        """Return a hold.

        Raises:
            NotFoundError: No hold has that id.
        """
        with self._database.connect() as connection:
            return _known(connection, hold_id)

    def of_recording(self, recording: RecordingId) -> list[Hold]:
        """Return all holds of one recording, oldest first."""
        query = _holds.select().where(_holds.c.recording == recording)
        return self._select(query.order_by(_holds.c.placed_us, _holds.c.id))

    def keeping(self, recording: RecordingId, now: datetime) -> list[Hold]:
        """Return the holds that keep one recording, oldest first, with those in grace and those by search."""
        placed = [hold for hold in self.of_recording(recording) if hold.state_at(now) is not HoldState.OVER]
        with self._database.connect() as connection:
            queries = query_holds_among(connection, [recording], now).get(recording, [])
        found = [*placed, *(query.as_hold(recording) for query in queries)]
        return sorted(found, key=lambda hold: (hold.placed_at, hold.id))

    def held_among(self, recordings: Sequence[RecordingId], now: datetime) -> set[RecordingId]:
        """Return the held recordings among some."""
        return set(self.kinds_among(recordings, now))

    def kinds_among(self, recordings: Sequence[RecordingId], now: datetime) -> dict[RecordingId, tuple[str, ...]]:
        """Return the kinds of holds, sorted, of each held recording among some."""
        with self._database.connect() as connection:
            return kinds_in_effect(connection, recordings, now)

    def held_ids(self, now: datetime) -> Iterator[RecordingId]:
        """Yield every held recording, once and by id.

        Each page is a query of its own, so memory and transactions do not grow with the number of holds.
        """
        both = heapq.merge(self._placed_ids(now), ids_held_by_queries(self._database, now))
        yield from (recording for recording, _ in groupby(both))

    def _placed_ids(self, now: datetime) -> Iterator[RecordingId]:
        column = _holds.c.recording
        query = sa.select(column).where(in_effect(now)).distinct().order_by(column).limit(_PAGE)
        page = query
        while True:
            with self._database.connect() as connection:
                found = connection.execute(page).scalars().all()
            yield from map(RecordingId, found)
            if len(found) < _PAGE:
                return
            page = query.where(column > found[-1])

    def due_for_review(self, today: date, *, limit: int = _PAGE) -> list[Hold]:
        """Return the active holds whose review is due, the longest due first."""
        is_due = sa.and_(_holds.c.review_on <= today.isoformat(), _holds.c.grace_until_us.is_(None))
        return self._select(_holds.select().where(is_due).order_by(_holds.c.review_on, _holds.c.id).limit(limit))

    def in_grace(self, now: datetime) -> list[Hold]:
        """Return the released holds whose grace period has not ended, the first to end first."""
        is_in_grace = _holds.c.grace_until_us > microseconds(now)
        return self._select(_holds.select().where(is_in_grace).order_by(_holds.c.grace_until_us, _holds.c.id))

    def all_in_effect(self, now: datetime, *, limit: int = _PAGE) -> list[Hold]:
        """Return the holds that keep a recording, by review day."""
        return self._select(
            _holds.select().where(in_effect(now)).order_by(_holds.c.review_on, _holds.c.id).limit(limit)
        )

    def save(self, holds: Iterable[Hold]) -> int:
        """Store holds, all or none; returns how many were missing or different. Stored reasons are kept."""
        changed = 0
        with self._database.begin() as connection:
            lock_holds(connection)
            for hold in holds:
                found = _found(connection, hold.id)
                if found is None:
                    connection.execute(_holds.insert().values(_columns(hold)))
                elif _hold(found) != replace(hold, reason=found.reason):
                    values = {key: value for key, value in _columns(hold).items() if key != "reason"}
                    connection.execute(_holds.update().where(_holds.c.id == hold.id).values(values))
                else:
                    continue
                changed += 1
        return changed

    def known_ids(self, hold_ids: Sequence[str]) -> set[str]:
        """Return which of some holds are in the table."""
        known: set[str] = set()
        with self._database.connect() as connection:
            for start in range(0, len(hold_ids), _ASKED_AT_ONCE):
                some = hold_ids[start : start + _ASKED_AT_ONCE]
                known |= set(connection.execute(sa.select(_holds.c.id).where(_holds.c.id.in_(some))).scalars())
        return known

    def _select(self, query: sa.Select[Any]) -> list[Hold]:
        with self._database.connect() as connection:
            return [_hold(found) for found in connection.execute(query)]


def kinds_in_effect(
    connection: sa.Connection, recordings: Sequence[RecordingId], now: datetime
) -> dict[RecordingId, tuple[str, ...]]:
    """Return the kinds of holds, sorted, of each held recording among some."""
    kinds: dict[RecordingId, set[str]] = {}
    for start in range(0, len(recordings), _ASKED_AT_ONCE):
        some = recordings[start : start + _ASKED_AT_ONCE]
        for recording, kind in connection.execute(_KINDS_AMONG, {"some": some, "now_us": microseconds(now)}):
            kinds.setdefault(RecordingId(recording), set()).add(kind)
    for held, queries in query_holds_among(connection, recordings, now).items():
        kinds.setdefault(held, set()).update(str(query.kind) for query in queries)
    return {recording: tuple(sorted(found)) for recording, found in kinds.items()}


def in_effect(now: datetime) -> sa.ColumnElement[bool]:
    """Return the condition that a legal hold keeps its recording: it is active, or in the time of grace after it."""
    return _in_effect(sa.literal(microseconds(now), sa.BigInteger))


def _in_effect(now_us: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    return sa.or_(_holds.c.grace_until_us.is_(None), _holds.c.grace_until_us > now_us)


_KINDS_AMONG = sa.select(_holds.c.recording, _holds.c.kind).where(
    _holds.c.recording.in_(sa.bindparam("some", expanding=True)),
    _in_effect(sa.bindparam("now_us", type_=sa.BigInteger)),
)
"""Made once: every row that is read asks for its holds, and to make the statement takes as long as to execute it."""


def _found(connection: sa.Connection, hold_id: str) -> sa.Row[Any] | None:
    return connection.execute(_holds.select().where(_holds.c.id == hold_id)).one_or_none()


def _is_deleted(connection: sa.Connection, recording: RecordingId) -> bool:
    """Tell whether a recording has a tombstone; only another node can delete between the act's checks and this."""
    if connection.dialect.name == SQLITE:
        return False
    return connection.execute(sa.select(_deletions.c.id).where(_deletions.c.id == recording)).scalar() is not None


def _known(connection: sa.Connection, hold_id: str) -> Hold:
    found = _found(connection, hold_id)
    if found is None:
        raise NotFoundError("There is no such hold.")
    return _hold(found)


def _columns(hold: Hold) -> dict[str, Any]:
    return {
        "id": hold.id,
        "recording": hold.recording,
        "kind": str(hold.kind),
        "reason": hold.reason,
        "case_reference": hold.case_reference,
        "owner": hold.owner,
        "against": json.dumps(hold.against),
        "placed_by": hold.placed_by,
        "placed_us": microseconds(hold.placed_at),
        "review_on": hold.review_on.isoformat(),
        "released_by": hold.released_by,
        "released_us": None if hold.released_at is None else microseconds(hold.released_at),
        "grace_until_us": None if hold.grace_until is None else microseconds(hold.grace_until),
    }


def _hold(found: sa.Row[Any]) -> Hold:
    return Hold(
        id=found.id,
        recording=RecordingId(found.recording),
        kind=HoldKind(found.kind),
        reason=found.reason,
        case_reference=found.case_reference,
        owner=found.owner,
        against=tuple(json.loads(found.against)),
        placed_by=found.placed_by,
        placed_at=moment_of(found.placed_us),
        review_on=date.fromisoformat(found.review_on),
        released_by=found.released_by,
        released_at=moment_of(found.released_us),
        grace_until=moment_of(found.grace_until_us),
    )
