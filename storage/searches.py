"""Searches of the index as SQL: each query finds a page of ids, or counts matches, within one covering index.

This module chooses the leading index, not the database's planner. A planner knows averages only, and the number of a
service has a hundred thousand times the calls of most numbers. So for each criterion the module queries how far back
the newest matching calls reach. The criterion for which the least has to be read leads; the others are compared in the
same index (`storage.tables`).

A call matches an officer, an extension or a number by its own row or by a table beside it (further officers and
numbers). Each such way is a query of its own with its own leading index. The results are merged, and a call that
several of them find is found once: each gives the newest of its calls, as many as the page needs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import sqlalchemy as sa

from storage.database import SQLITE
from storage.search_terms import Beside, Criterion, Ids, Own, Side, Way, criteria_of, page_of
from storage.tables import microseconds
from storage.tables import recordings as _recordings
from storage.types import SELFTEST, SELFTEST_MARK, Outcome, Search

Position = tuple[int, str]
"""Position of a row in the order of a search (newest first): its start, microseconds since 1970, and its id."""
MOST_VALUES = 15
"""Most officers or numbers of which any will do: SQLite has a query for each."""
_PROBED = 1000
"""Calls of a criterion that are read to find how sparse they are; as many as a count reads."""
_LOOK_UP = 10
"""What it costs to look up a table beside a row, in rows of an index that are read one after the other."""


@dataclass(frozen=True, slots=True)
class _Span:
    """The times of a search and the place after which it continues, as conditions on the leading table."""

    search: Search
    before: Position | None
    hidden: Sequence[str] = ()
    """Recordings that are not found: those of self-tests, of which one at a time exists."""

    def of(self, started_us: sa.Column[Any], recording: sa.Column[Any]) -> list[sa.ColumnElement[bool]]:
        """Return the conditions on a table's columns."""
        conditions: list[sa.ColumnElement[bool]] = []
        if self.hidden:
            conditions.append(recording.not_in(self.hidden))
        if self.search.started_from is not None:
            conditions.append(started_us >= microseconds(self.search.started_from))
        if self.search.started_to is not None:
            conditions.append(started_us < microseconds(self.search.started_to))
        if self.before is not None:
            conditions.append(sa.tuple_(started_us, recording) < sa.tuple_(*map(sa.literal, self.before)))
        return conditions


class Plan:
    """A search whose leading indices are chosen, for several queries on one connection.

    Args:
        connection: To measure which criterion is sparse; the queries should run on it too.
        search: The search; its limit and offset are ignored.
        before: Only older rows than this place.
    """

    def __init__(self, connection: sa.Connection, search: Search, *, before: Position | None = None) -> None:
        self._is_sqlite = connection.dialect.name == SQLITE
        span = _Span(search, before, () if search.selftests else _selftests(connection))
        criteria = criteria_of(search)
        if not criteria:
            column = _recordings.c
            self._sides = [Side(_places(span, column.started_us, column.id, []), None, ())]
            return
        costs = _Costs(connection, span)
        self._sides = [
            side for ways in product(*map(_ways, criteria)) for side in _sides(ways, costs.cheapest(ways), span)
        ]

    def ids(self, *, limit: int | None, offset: int = 0, outcomes: Sequence[Outcome] = ()) -> Ids:
        """Return a query for the places of rows that match, newest first.

        Args:
            limit: Most places; None for all.
            offset: Number of the newest places to skip.
            outcomes: Only rows with one of these; empty for all.
        """
        sides = [side.with_outcome(tuple(map(str, outcomes))) for side in self._sides] if outcomes else self._sides
        return _merged(sides, limit=limit, offset=offset, is_sqlite=self._is_sqlite)


def with_documents(places: Ids) -> sa.Select[tuple[int, str, str]]:
    """Return a query for the documents of a page of places, in the same order."""
    page, row = places.subquery(), _recordings.c
    found = sa.select(row.started_us, row.id, row.document).join_from(page, _recordings, row.id == page.c.id)
    return found.order_by(page.c.started_us.desc(), page.c.id.desc())


def documents_of(recordings: Sequence[str]) -> sa.Select[tuple[int, str, str]]:
    """Return a query for the documents of some recordings, newest first."""
    row = _recordings.c
    found = sa.select(row.started_us, row.id, row.document).where(row.id.in_(recordings))
    return found.order_by(row.started_us.desc(), row.id.desc())


def _ways(criterion: Criterion) -> list[Way]:
    return [Way(criterion, beside) for beside in (None, *range(len(criterion.beside)))]


def _selftests(connection: sa.Connection) -> Sequence[str]:
    """Return the recordings of self-tests; a call whose extension somebody named so has no such id, and is found."""
    column = _recordings.c
    found = sa.select(column.id).where(
        column.extension == SELFTEST, column.operator == SELFTEST, column.id.contains(SELFTEST_MARK, autoescape=True)
    )
    return connection.execute(found).scalars().all()


class _Costs:
    """Measures how many rows have to be read if a way leads; each way is measured once."""

    def __init__(self, connection: sa.Connection, span: _Span) -> None:
        self._connection = connection
        self._span = span
        self._between_us: dict[Way, float | None] = {}
        self._newest_us: int | None = None

    def cheapest(self, ways: Sequence[Way]) -> Way:
        """Return the way that should lead."""
        if len(ways) == 1:
            return ways[0]
        costs: list[float] = []
        for way in ways:
            between_us = self._between(way)
            if between_us is None:  # so few calls need no comparison
                return way
            looked_up = sum(other.beside is not None for other in ways if other is not way)
            costs.append((1 + _LOOK_UP * looked_up) / between_us)
        return ways[costs.index(min(costs))]

    def _between(self, way: Way) -> float | None:
        """Return the mean time from a matching call to the next, microseconds; None if there are few."""
        if way not in self._between_us:
            sides = _sides([way], way, self._span)
            query = _merged(sides, limit=1, offset=_PROBED, is_sqlite=self._connection.dialect.name == SQLITE)
            found = self._connection.execute(query).first()
            self._between_us[way] = None if found is None else max(self._newest() - found.started_us, 1) / _PROBED
        return self._between_us[way]

    def _newest(self) -> int:
        if self._newest_us is None:
            column = _recordings.c
            query = page_of(_places(self._span, column.started_us, column.id, []), 1, 0)
            found = self._connection.execute(query).first()
            self._newest_us = 0 if found is None else found.started_us
        return self._newest_us


def _sides(ways: Sequence[Way], leading: Way, span: _Span) -> list[Side]:
    """Return the calls that match all criteria, each side answered by one index of the leading way."""
    criterion = leading.criterion
    led: Sequence[Own | Beside] = criterion.own if leading.beside is None else [criterion.beside[leading.beside]]
    table = _recordings if leading.beside is None else led[0].column.table
    recording = table.c.id if leading.beside is None else table.c.recording
    filters = [way.as_filter(table, recording) for way in ways if way is not leading]
    places = _places(span, table.c.started_us, recording, filters)
    # A condition with "or" would be sorted completely before its first row. So the calling and the called number are
    # queried separately, each in the order of its index, and merged.
    return [Side(places, one.column, one.values) for one in led] or [Side(places.where(sa.false()), None, ())]


def _places(
    span: _Span, started_us: sa.Column[Any], recording: sa.Column[Any], filters: Sequence[sa.ColumnElement[bool]]
) -> sa.Select[tuple[int, str]]:
    return sa.select(started_us, recording.label("id")).where(*span.of(started_us, recording), *filters)


def _merged(sides: Sequence[Side], *, limit: int | None, offset: int, is_sqlite: bool) -> Ids:
    """Return the newest places of all sides, each once."""
    if is_sqlite:
        each = [query for side in sides for query in side.of_each_value()]
        return page_of(each[0] if len(each) == 1 else sa.union(*each), limit, offset)
    (first, *more) = sides
    if not more and len(first.values) < 2:
        return page_of(first.of_each_value()[0], limit, offset)
    most = None if limit is None else limit + offset
    # The order of a branch is used only if it is a subquery, and is kept through DISTINCT.
    found = sa.union_all(*(side.of_any_value(most) for side in sides)).subquery()
    return page_of(sa.select(found.c.started_us, found.c.id).distinct(), limit, offset)
