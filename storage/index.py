"""The index: one row for each call, recorded or not.

A row is stored as JSON in one column; searchable fields also have columns of their own, derived at `save`. Safe from
any thread and from several processes.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from storage.call_parties import delete_recordings, save_parties
from storage.database import Database
from storage.errors import DatabaseError, NotFoundError
from storage.hold_lock import lock_holds
from storage.holds import kinds_in_effect
from storage.made_once import run
from storage.objects import replace_object
from storage.phone_numbers import normalise_number
from storage.rows import row_from_text, row_to_json
from storage.search_terms import Ids
from storage.searches import Plan, Position, documents_of, with_documents
from storage.tables import deletions as _deletions
from storage.tables import microseconds
from storage.tables import recordings as _recordings
from storage.types import Outcome, RecordingId, RecordingRow, Search, SegmentKind

COUNTED = 1000
"""Most matches that a page counts: counting millions takes seconds, and nobody pages through so many."""
_PAGE = 1000
_WITH_OTHERS = 1250
"""Matches that are read to count `COUNTED` recordings among them: one call in fourteen usually has none."""


class Index:
    """The rows of calls in one database.

    Args:
        database: The database, or its URL; a database given by URL is closed with the index.
        is_deferred: For a database given by URL; see `storage.database.Database`. So are ``check`` and ``longest_s``.
        now: The clock, UTC; it decides which holds are active.

    Raises:
        DatabaseError: The database cannot be used; applies to every method.
        OSError: The folder of its file cannot be made; applies to every method.
    """

    def __init__(
        self,
        database: Database | str,
        *,
        is_deferred: bool = False,
        check: Callable[[], None] = lambda: None,
        longest_s: float | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._now = now
        self._is_owner = isinstance(database, str)
        if isinstance(database, str):
            database = Database(database, is_deferred=is_deferred, check=check, longest_s=longest_s)
        self.database = database
        """The database, for the tables beside the index."""

    def probe(self) -> None:
        """Read one row; DatabaseError if the index cannot be used."""
        with self.database.connect() as connection:
            connection.execute(sa.select(_recordings.c.id).limit(1)).first()

    def save(self, row: RecordingRow) -> None:
        """Store or replace a row durably; its holds are not stored here, but by `storage.holds`."""
        self.save_many([row])

    def save_many(self, rows: Iterable[RecordingRow]) -> None:
        """Store or replace rows durably, all or none."""
        rows = list(rows)
        if values := [columns_of(row) for row in rows]:
            with self.database.begin() as connection:
                run(connection, self.database.upsert_all(_recordings, key=_recordings.c.id), values)
                save_parties(connection, rows)

    def save_rewritten(self, row: RecordingRow, *, before: str | None, node: str, at: datetime) -> None:
        """Replace the row of a rewritten recording durably, and mark its former object to be removed.

        Args:
            row: The row now.
            before: Digest of its container before.
            node: Fingerprint of the machine that has the new container.
            at: Now.

        Raises:
            NotFoundError: Another node has deleted it meanwhile; nothing was stored.
        """
        with self.database.begin() as connection:
            lock_holds(connection)  # a deletion takes it too, so there is none between the question and the answer
            if connection.execute(sa.select(_deletions.c.id).where(_deletions.c.id == row.id)).scalar() is not None:
                raise NotFoundError(f"recording {row.id} was deleted while it was rewritten")
            connection.execute(self.database.upsert(_recordings, columns_of(row), key=_recordings.c.id))
            save_parties(connection, [row])
            replace_object(connection, before, row, node, at)

    def save_late(self, row: RecordingRow) -> bool:
        """Store a row that could not be stored at once, unless the index has an ended call's row, or a tombstone.

        Returns:
            Whether it was stored.
        """
        with self.database.begin() as connection:
            known = connection.execute(sa.select(_recordings.c.document).where(_recordings.c.id == row.id)).scalar()
            if known is not None and json.loads(known)["ended_at"] is not None:
                return False
            if connection.execute(sa.select(_deletions.c.id).where(_deletions.c.id == row.id)).scalar() is not None:
                return False
            connection.execute(self.database.upsert(_recordings, columns_of(row), key=_recordings.c.id))
            save_parties(connection, [row])
        return True

    def get(self, id_or_prefix: str) -> RecordingRow:
        """Return the row with an id, or with a prefix that only one id has.

        Raises:
            NotFoundError: No row matches, or several do.
        """
        if not id_or_prefix.isascii():
            raise NotFoundError("no recording has an id like this")
        column = _recordings.c.id
        with self.database.connect() as connection:
            found = connection.execute(_BY_ID, {"recording": id_or_prefix}).one_or_none()
            if found is not None:
                return self._whole(connection, found)
            query = _recordings.select().order_by(column).limit(2)
            if id_or_prefix:
                beyond = id_or_prefix[:-1] + chr(ord(id_or_prefix[-1]) + 1)
                query = query.where(column >= id_or_prefix, column < beyond)
            matches = connection.execute(query).all()
            if len(matches) != 1:
                number = "no" if not matches else "more than one"
                raise NotFoundError(f"{number} recording begins with {id_or_prefix!r}")
            return self._whole(connection, matches[0])

    def find(self, search: Search) -> list[RecordingRow]:
        """Return the rows that match, newest first, at most ``search.limit``; without peaks."""
        with self.database.connect() as connection:
            return self._find(connection, search, Plan(connection, search))

    def page(self, search: Search) -> tuple[list[RecordingRow], int]:
        """Return the rows that match, as `find` does, and their number; `COUNTED` + 1 means more than `COUNTED`."""
        with self.database.connect() as connection:
            return self._page(connection, search, Plan(connection, search))

    def page_of_recordings(self, search: Search, recorded: Sequence[Outcome]) -> tuple[list[RecordingRow], int, int]:
        """Return a page as `page` does, and the number of matches that have one of some outcomes, counted likewise."""
        with self.database.connect() as connection:
            plan = Plan(connection, search)
            found = plan.ids_and_outcomes(limit=_WITH_OTHERS) if search.offset + search.limit <= COUNTED else None
            if found is None or search.outcome is not None:
                rows, counted = self._page(connection, search, plan)
                if not counted or search.outcome is not None:
                    return rows, counted, counted if search.outcome in recorded else 0
                return rows, counted, _count(connection, plan.ids(limit=COUNTED + 1, outcomes=recorded))
            places = connection.execute(found).all()
            kept = sum(one.outcome in recorded for one in places)
            if kept <= COUNTED and len(places) == _WITH_OTHERS:  # too many of them have another outcome
                kept = _count(connection, plan.ids(limit=COUNTED + 1, outcomes=recorded))
            rows = self._of_page(connection, search, places)
            return rows, min(len(places), COUNTED + 1), min(kept, COUNTED + 1)

    def _page(self, connection: sa.Connection, search: Search, plan: Plan) -> tuple[list[RecordingRow], int]:
        end = search.offset + search.limit
        if end <= COUNTED:  # what is counted has the page in it
            found = connection.execute(plan.ids(limit=COUNTED + 1)).all()
            return self._of_page(connection, search, found), len(found)
        rows = self._find(connection, search, plan)
        if rows:
            return rows, min(search.offset + len(rows), COUNTED + 1) if len(rows) < search.limit else COUNTED + 1
        return rows, _count(connection, plan.ids(limit=COUNTED + 1))

    def _of_page(self, connection: sa.Connection, search: Search, found: Sequence[sa.Row[Any]]) -> list[RecordingRow]:
        page = [one.id for one in found[search.offset : search.offset + search.limit]]
        return self._rows(connection, connection.execute(documents_of(page)).all()) if page else []

    def _find(self, connection: sa.Connection, search: Search, plan: Plan) -> list[RecordingRow]:
        places = plan.ids(limit=search.limit, offset=search.offset)
        return self._rows(connection, connection.execute(with_documents(places)).all())

    def each(
        self, search: Search, *, on_damaged: Callable[[RecordingId], object] | None = None
    ) -> Iterator[RecordingRow]:
        """Yield every row that matches, newest first, without peaks; limit and offset of the search are ignored.

        Each page is a query of its own, so memory and transactions do not grow with the number of rows. A row that is
        saved meanwhile may be missed; none is yielded twice.

        Args:
            search: What to find.
            on_damaged: Called with the id of an unreadable row, which is left out; None raises an error instead.
        """
        last: Position | None = None
        while True:
            with self.database.connect() as connection:
                places = Plan(connection, search, before=last).ids(limit=_PAGE)
                found = connection.execute(with_documents(places)).all()
                rows = self._rows(connection, found, on_damaged)
            yield from rows
            if len(found) < _PAGE:
                return
            last = (found[-1].started_us, found[-1].id)

    def count(self, search: Search, *, at_most: int | None = None) -> int:
        """Return how many rows match; limit and offset of the search are ignored.

        Args:
            search: What to count.
            at_most: Count no further than this, which is fast for any number of rows.
        """
        with self.database.connect() as connection:
            return _count(connection, Plan(connection, search).ids(limit=at_most))

    def remove(self, recording: RecordingId) -> bool:
        """Delete a row; returns whether there was one."""
        return bool(self.remove_many([recording]))

    def remove_many(self, recordings: Sequence[RecordingId]) -> int:
        """Delete rows, all or none; returns how many there were. Blocks other writers meanwhile."""
        with self.database.begin() as connection:
            return delete_recordings(connection, recordings)

    def _rows(
        self,
        connection: sa.Connection,
        found: Sequence[sa.Row[Any]],
        on_damaged: Callable[[RecordingId], object] | None = None,
    ) -> list[RecordingRow]:
        kinds = kinds_in_effect(connection, [one.id for one in found], self._now())
        rows = []
        for one in found:
            try:
                rows.append(replace(_row(one), holds=kinds.get(one.id, ())))
            except DatabaseError:
                if on_damaged is None:
                    raise
                on_damaged(RecordingId(one.id))
        return rows

    def _whole(self, connection: sa.Connection, found: sa.Row[Any]) -> RecordingRow:
        (row,) = self._rows(connection, [found])
        return replace(row, peaks=(bytes(found.peaks_left), bytes(found.peaks_right)))

    def close(self) -> None:
        """Close the connections of a database that was given by its URL."""
        if self._is_owner:
            self.database.close()


_BY_ID = _recordings.select().where(_recordings.c.id == sa.bindparam("recording"))
"""Made once: to make a statement takes as long as to execute it."""


def _count(connection: sa.Connection, places: Ids) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(places.subquery())).scalar_one())


def _row(found: sa.Row[Any]) -> RecordingRow:
    try:
        row = row_from_text(found.document)
        if row.id != found.id:
            raise ValueError("it is another recording's")
    except (KeyError, TypeError, ValueError) as error:
        raise DatabaseError(
            f"the index's row of recording {found.id} is damaged ({type(error).__name__}): "
            "`recorder index rebuild` rebuilds "
            "it from the recording",
            is_passing=False,
        ) from error
    return row


_encode = json.JSONEncoder(ensure_ascii=False).encode


def columns_of(row: RecordingRow) -> dict[str, Any]:
    """Return the columns of a row."""
    caller, called = normalise_number(row.caller), normalise_number(row.called)
    return {
        "id": row.id,
        "started_us": microseconds(row.started_at),
        "operator": row.operator,
        "extension": row.extension,
        "caller": row.caller,
        "called": row.called,
        "caller_e164": caller,
        "called_e164": called,
        "outcome": str(row.outcome),
        "retention_due_us": microseconds(row.retention_due) if row.retention_due else None,
        "document": _encode({**row_to_json(row), "holds": []}),
        "peaks_left": row.peaks[0],
        "peaks_right": row.peaks[1],
        "team": row.team,
        "service": row.service,
        "caller_reversed": caller[::-1],
        "called_reversed": called[::-1],
        "pauses": sum(segment.kind is SegmentKind.PAUSED for segment in row.segments),
        "is_opted_out": int(row.opted_out),
    }
