"""Calls by age for the retention sweep, and old decisions on deleted recordings.

Calls are read in pages, each by a query of its own, so memory and transactions do not grow with their number.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from storage.call_parties import delete_recordings
from storage.database import Database
from storage.erasures import CLOSED
from storage.holds import in_effect
from storage.objects import remove_objects_of
from storage.rows import time_from_json
from storage.tables import claims as _claims
from storage.tables import copies as _copies
from storage.tables import erasures as _erasures
from storage.tables import holds as _holds
from storage.tables import microseconds, moment_of
from storage.tables import query_holds as _query_holds
from storage.tables import query_releases as _query_releases
from storage.tables import recordings as _recordings
from storage.types import Outcome, RecordingId

PAGE = 500
_RECORDED = (str(Outcome.RECORDED), str(Outcome.PARTIAL))


@dataclass(frozen=True, slots=True, kw_only=True)
class OldCall:
    """The facts of a call that a sweep needs; ``is_recorded``: there is a recording of it."""

    id: RecordingId
    ended_at: datetime
    service: str
    is_recorded: bool
    sha256: str | None
    bytes: int | None


class OldCalls:
    """The calls in one database, for the sweep.

    Raises:
        DatabaseError: The database cannot be used; applies to every method.
        OSError: The folder of its file cannot be made; applies to every method.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def begun_by(self, moment: datetime, on_damaged: Callable[[RecordingId], None]) -> Iterator[list[OldCall]]:
        """Yield pages of the calls that began at or before a moment, oldest first; they may be deleted meanwhile.

        Args:
            moment: Aware.
            on_damaged: Called with the id of each call whose row cannot be read; it is in no page, since its end, its
                service and whether it was recorded are unknown.
        """
        column = _recordings.c
        query = (
            sa.select(column.started_us, column.id, column.document)
            .where(column.started_us <= microseconds(moment))
            .order_by(column.started_us, column.id)
            .limit(PAGE)
        )
        page = query
        while True:
            with self._database.connect() as connection:
                found = connection.execute(page).all()
            if found:
                yield list(_readable(found, on_damaged))
            if len(found) < PAGE:
                return
            last = found[-1]
            is_after = sa.or_(column.started_us > last.started_us, column.id > last.id)
            page = query.where(column.started_us >= last.started_us, is_after)

    def newest(self, apart_from: tuple[datetime, datetime] | None = None) -> datetime | None:
        """Return when the newest call began, without those that began in (from, to], when the clock was wrong."""
        query = sa.select(sa.func.max(_recordings.c.started_us))
        if apart_from is not None:
            start, end = map(microseconds, apart_from)
            query = query.where(sa.or_(_recordings.c.started_us <= start, _recordings.c.started_us > end))
        with self._database.connect() as connection:
            found: int | None = connection.execute(query).scalar()
        return moment_of(found)

    def count_recorded(self) -> int:
        """Return the number of recorded calls."""
        query = sa.select(sa.func.count()).where(_recordings.c.outcome.in_(_RECORDED))
        with self._database.connect() as connection:
            return int(connection.execute(query).scalar_one())

    def count_due(self, now: datetime) -> int:
        """Return how many recordings are past the day in their row, without those that a placed legal hold keeps."""
        column = _recordings.c
        is_held = sa.exists().where(_holds.c.recording == column.id, in_effect(now))
        is_due = sa.and_(column.retention_due_us <= microseconds(now), column.outcome.in_(_RECORDED), ~is_held)
        with self._database.connect() as connection:
            return int(connection.execute(sa.select(sa.func.count()).where(is_due)).scalar_one())

    def remove(self, calls: Sequence[RecordingId], at: datetime) -> int:
        """Delete the rows of calls without a recording, at most a page; returns how many there were.

        Parts that an object store still has of them, as of a node that died, are marked to be removed.

        Args:
            calls: Their ids.
            at: Now.
        """
        with self._database.begin() as connection:
            remove_objects_of(connection, calls, at)
            return delete_recordings(connection, calls)

    def count_decisions(self, *, before: datetime) -> int:
        """Return how many rows `forget_decisions` would delete."""
        with self._database.connect() as connection:
            return sum(
                int(connection.execute(sa.select(sa.func.count()).select_from(table).where(is_old)).scalar_one())
                for table, is_old in _old_decisions(before)
            )

    def forget_decisions(self, *, before: datetime) -> int:
        """Delete erasure orders, holds, claims and copies of deleted recordings that were over before a moment.

        Holds by search that ended before it are deleted too. Returns how many rows were deleted.
        """
        with self._database.begin() as connection:
            return sum(
                connection.execute(table.delete().where(is_old)).rowcount for table, is_old in _old_decisions(before)
            )


def _old_decisions(before: datetime) -> list[tuple[sa.Table, sa.ColumnElement[bool]]]:
    at = microseconds(before)
    order, hold = _erasures.c, _holds.c
    order_at = sa.func.coalesce(order.done_us, order.decided_us, order.ordered_us)
    is_closed = order.state.in_([str(state) for state in CLOSED])
    return [
        (_erasures, sa.and_(is_closed, order_at < at, _is_gone(order.recording))),
        (_holds, sa.and_(hold.grace_until_us < at, _is_gone(hold.recording))),
        (_copies, sa.and_(_copies.c.made_us < at, _is_gone(_copies.c.recording))),
        (_claims, sa.and_(_claims.c.over_us < at, _is_gone(_claims.c.recording))),
        (_query_holds, _query_holds.c.ends_us < at),
        (_query_releases, sa.and_(_query_releases.c.grace_until_us < at, _is_gone(_query_releases.c.recording))),
    ]


def _is_gone(recording: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    return ~sa.exists().where(_recordings.c.id == recording)


def _readable(found: Iterable[Any], on_damaged: Callable[[RecordingId], None]) -> Iterator[OldCall]:
    # Rows; how many parameters their type takes differs between SQLAlchemy 2.0 and 2.1.
    for one in found:
        try:
            yield _call(one.id, moment_of(one.started_us), json.loads(one.document))
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            on_damaged(RecordingId(one.id))


def _call(recording: str, started_at: datetime, document: dict[str, Any]) -> OldCall:
    """Return the call of a row.

    Raises:
        ValueError, TypeError, KeyError, AttributeError, OverflowError: It is damaged, or another call's.
    """
    ended_at = time_from_json(document.get("ended_at"))
    if ended_at is None:
        ended_at = started_at + timedelta(seconds=document.get("duration_s") or 0.0)
    service, size, digest = document.get("service") or "", document.get("bytes"), document.get("sha256")
    if document["id"] != recording or not isinstance(service, str):
        raise ValueError("it is the row of another call")
    if not isinstance(size, int | None) or not isinstance(digest, str | None):
        raise TypeError("bytes and sha256 are none")
    return OldCall(
        id=RecordingId(recording),
        ended_at=ended_at,
        service=service,
        is_recorded=document.get("path") is not None,
        sha256=digest,
        bytes=size,
    )
