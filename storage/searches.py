"""Searches of the index as SQL: each query finds a page of ids, or counts matches, within one covering index.

This module chooses the leading index, not the database's planner. A planner knows averages only, and the number of a
service has a hundred thousand times the calls of most numbers. So for each criterion the module queries how far back
the newest matching calls reach. The criterion with the sparsest calls leads; the others are compared in the same index
(`storage.tables`).

A call matches an officer, an extension or a number by its own row or by a table beside it (further officers and
numbers). Each such way is a query of its own with its own leading index; the results are merged.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import sqlalchemy as sa

from storage.database import SQLITE
from storage.rows import normalise_number
from storage.tables import identities as _identities
from storage.tables import microseconds
from storage.tables import officers as _officers
from storage.tables import recordings as _recordings
from storage.types import SELFTEST_MARK, Search, Visibility

Position = tuple[int, str]
"""Position of a row in the order of a search (newest first): its start, microseconds since 1970, and its id."""
Ids = sa.Select[tuple[int, str]] | sa.CompoundSelect[tuple[int, str]]
"""A query for places."""
Values = tuple[str, ...]
"""Values of which a column has one; never empty."""
MOST_VALUES = 15
"""Most officers or numbers of which any will do: each is a query of its own."""
_NEWEST_FIRST: tuple[sa.UnaryExpression[Any], ...] = (sa.desc("started_us"), sa.desc("id"))

_PROBED = 1000
"""Calls of a criterion that are read to find how sparse they are; as many as a count reads."""


@dataclass(frozen=True, slots=True)
class _Criterion:
    """One criterion of a search: any of the columns has one of its values. Each column leads an index.

    Attributes:
        columns: Columns of ``recordings``.
        copies: Names of the columns in the tables beside it that repeat ``columns``.
        values: The values of each column.
        handed: Columns of tables beside it that match instead of ``columns``, and the values of each.
        is_apart: A call may match both by ``columns`` and by ``handed``, and must not be found twice.
    """

    columns: tuple[sa.Column[Any], ...]
    copies: tuple[str, ...]
    values: tuple[Values, ...]
    handed: tuple[tuple[sa.Column[Any], Values], ...] = ()
    is_apart: bool = False

    def as_filter(self, columns: Sequence[sa.ColumnElement[Any]]) -> sa.ColumnElement[bool]:
        """Return a condition for which no database uses an index; ``columns`` are its own, or the copies."""
        pairs = zip(columns, self.values, strict=True)
        return sa.or_(sa.false(), *(_is_any(column, values) for column, values in pairs))

    def as_exists(
        self, at: int, recording: sa.ColumnElement[str], columns: Sequence[sa.ColumnElement[Any]]
    ) -> sa.ColumnElement[bool]:
        """Return the condition that a table beside the row matches; the table is looked up by the recording.

        Args:
            at: Index into ``handed``.
            recording: Id of the recording.
            columns: Its own, or the copies.
        """
        return sa.and_(self._exists(at, recording), *self.not_also(at, recording, columns))

    def _exists(self, at: int, recording: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
        column, values = self.handed[at]
        return _has_any(column, at, recording, values)

    def copied_in(self, table: sa.FromClause) -> list[sa.ColumnElement[Any]]:
        """Return the columns of a table beside it that repeat ``columns``."""
        return [table.c[name] for name in self.copies]

    def not_also(
        self, at: int, recording: sa.ColumnElement[str], columns: Sequence[sa.ColumnElement[Any]]
    ) -> list[sa.ColumnElement[bool]]:
        """Return the conditions that exclude recordings which an earlier query finds too."""
        earlier = [sa.not_(self._exists(before, recording)) for before in range(at)]
        return [sa.not_(self.as_filter(columns)), *earlier] if self.is_apart else earlier


def _is_any(column: sa.ColumnElement[Any], values: Values) -> sa.ColumnElement[bool]:
    """Return the condition that a column has one of some values, for which no database uses an index."""
    bare = column.concat("")
    return bare == values[0] if len(values) == 1 else bare.in_(values)


def _has_any(
    column: sa.Column[Any], at: int, recording: sa.ColumnElement[str], values: Values
) -> sa.ColumnElement[bool]:
    """Return the condition that a table beside the row has one of some values for a recording."""
    other = _other(column, at)
    return sa.exists().where(other.c.recording == recording, _is_any(other.c[column.name], values))


@cache
def _other(column: sa.Column[Any], at: int) -> sa.FromClause:
    """Return an alias of a column's table; cached, since making it copies all columns."""
    return column.table.alias(f"other_{column.name}_{at}")


@dataclass(frozen=True, slots=True)
class _Way:
    """How a call matches a criterion: by its own row (``handed`` None), or by a table beside it."""

    criterion: _Criterion
    handed: int | None


@dataclass(frozen=True, slots=True)
class _Span:
    """The times of a search and the place after which it continues, as conditions on the leading table."""

    search: Search
    before: Position | None

    def of(self, started_us: sa.Column[Any], recording: sa.Column[Any]) -> list[sa.ColumnElement[bool]]:
        """Return the conditions on a table's columns."""
        conditions: list[sa.ColumnElement[bool]] = []
        if not self.search.selftests:
            conditions.append(~recording.contains(SELFTEST_MARK, autoescape=True))
        if self.search.started_from is not None:
            conditions.append(started_us >= microseconds(self.search.started_from))
        if self.search.started_to is not None:
            conditions.append(started_us < microseconds(self.search.started_to))
        if self.before is not None:
            conditions.append(sa.tuple_(started_us, recording) < sa.tuple_(*map(sa.literal, self.before)))
        return conditions


def ids(
    connection: sa.Connection, search: Search, *, limit: int | None, offset: int = 0, before: Position | None = None
) -> Ids:
    """Return a query for the places of rows that match, newest first.

    Args:
        connection: To measure which criterion is sparse; the query should run on it too.
        search: The search; its limit and offset are ignored.
        limit: Most places; None for all.
        offset: Number of the newest places to skip.
        before: Only older rows than this place.
    """
    criteria = _criteria(search)
    span = _Span(search, before)
    if not criteria:
        return _page(_places(span, []), limit, offset)
    sides: list[Ids] = []
    sparse = _Sparseness(connection, span)
    for ways in product(*map(_ways, criteria)):
        sides += _sides(ways, sparse.sparsest(ways), span)
    return _merged(connection, sides, limit=limit, offset=offset)


def with_documents(places: Ids) -> sa.Select[tuple[int, str, str]]:
    """Return a query for the documents of a page of places, in the same order."""
    page, row = places.subquery(), _recordings.c
    found = sa.select(row.started_us, row.id, row.document).join_from(page, _recordings, row.id == page.c.id)
    return found.order_by(page.c.started_us.desc(), page.c.id.desc())


def _criteria(search: Search) -> list[_Criterion]:
    column = _recordings.c
    number = None if search.number is None else normalise_number(search.number)
    outcomes = tuple(map(str, search.outcomes))
    both_numbers = (column.caller_e164, column.called_e164), ("caller_e164", "called_e164")
    asked = [
        ((column.operator,), ("first_operator",), _one(search.operator), _officers.c.operator),
        ((column.operator,), ("first_operator",), search.operators, _officers.c.operator),
        ((column.extension,), ("first_extension",), _one(search.extension), _officers.c.extension),
        (*both_numbers, _one(number), _identities.c.number),
        (*both_numbers, search.numbers, _identities.c.number),
        ((column.outcome,), ("outcome",), _one(search.outcome), None),
        ((column.outcome,), ("outcome",), outcomes, None),
        ((column.service,), ("service",), _one(search.service), None),
        ((column.team,), ("team",), _one(search.team), _officers.c.own_team),
    ]
    criteria = [
        _Criterion(
            columns, copies, (values,) * len(columns), () if handed is None else ((handed, values),),
            is_apart=len(values) > 1,
        )
        for columns, copies, values, handed in asked
        if values
    ]  # fmt: skip
    return criteria if search.within is None else [*criteria, _visibility(search.within)]


def _one(value: str | None) -> Values:
    return () if value is None else (str(value),)


def _visibility(visible: Visibility) -> _Criterion:
    """Return the visibility of the searcher as a further criterion."""
    column, teams = _recordings.c, tuple(dict.fromkeys(visible.teams))
    own = () if visible.operator is None else (visible.operator,)
    named = tuple(filter(None, teams))
    return _Criterion(
        columns=(column.operator,) * len(own) + (column.team,) * len(teams),
        copies=("first_operator",) * len(own) + ("team",) * len(teams),
        values=tuple((one,) for one in own + teams),
        handed=(
            *((_officers.c.operator, (one,)) for one in own),
            *(((_officers.c.own_team, named),) if named else ()),
        ),
        is_apart=bool(teams),
    )


def _ways(criterion: _Criterion) -> list[_Way]:
    return [_Way(criterion, handed) for handed in (None, *range(len(criterion.handed)))]


class _Sparseness:
    """Measures how far back the newest matching calls of a way reach; each way is measured once."""

    def __init__(self, connection: sa.Connection, span: _Span) -> None:
        self._connection = connection
        self._span = span
        self._reach_us: dict[_Way, int | None] = {}

    def sparsest(self, ways: Sequence[_Way]) -> _Way:
        """Return the way for which the fewest rows must be read."""
        if len(ways) == 1:
            return ways[0]
        reaches: list[int] = []
        for way in ways:
            reach_us = self._reach(way)
            if reach_us is None:  # so few calls need no comparison
                return way
            reaches.append(reach_us)
        return ways[reaches.index(min(reaches))]

    def _reach(self, way: _Way) -> int | None:
        if way not in self._reach_us:
            sides = _sides([way], way, self._span)
            found = self._connection.execute(_merged(self._connection, sides, limit=1, offset=_PROBED)).first()
            self._reach_us[way] = None if found is None else found.started_us
        return self._reach_us[way]


def _sides(ways: Sequence[_Way], leading: _Way, span: _Span) -> list[Ids]:
    """Return queries for the calls that match all criteria, each answered by one index of the leading way."""
    others = [way for way in ways if way is not leading]
    if leading.handed is not None:
        return _beside(leading.criterion, leading.handed, others, span)
    filters = [
        way.criterion.as_filter(way.criterion.columns)
        if way.handed is None
        else way.criterion.as_exists(way.handed, _recordings.c.id, way.criterion.columns)
        for way in others
    ]
    # A condition with "or" would be sorted completely before its first row. So the calling and the called number are
    # queried separately, each in the order of its index, and merged; the second leaves out calls that match both.
    sides: list[Ids] = []
    led = list(zip(leading.criterion.columns, leading.criterion.values, strict=True))
    for at, (column, values) in enumerate(led):
        before = [sa.not_(_is_any(earlier, theirs)) for earlier, theirs in led[:at]]
        sides += [_places(span, [*filters, *before, column == value]) for value in values]
    if not led:  # the searcher has no team and no calls of their own
        sides.append(_places(span, [sa.false()]))
    return sides


def _merged(connection: sa.Connection, sides: Sequence[Ids], *, limit: int | None, offset: int) -> Ids:
    if len(sides) == 1:
        return _page(sides[0], limit, offset)
    if connection.dialect.name != SQLITE:  # PostgreSQL uses the order of a branch only if it is a subquery
        most = None if limit is None else limit + offset
        sides = [sa.select(_page(side, most, 0).subquery()) for side in sides]
    return _page(sa.union_all(*sides), limit, offset)


def _places(span: _Span, conditions: Sequence[sa.ColumnElement[bool]]) -> sa.Select[tuple[int, str]]:
    column = _recordings.c
    return sa.select(column.started_us, column.id).where(*span.of(column.started_us, column.id), *conditions)


def _beside(criterion: _Criterion, at: int, others: Sequence[_Way], span: _Span) -> list[Ids]:
    """Return queries for the places of calls that match by a table beside their rows, which leads each query."""
    led_by, values = criterion.handed[at]
    table = led_by.table
    column = table.c
    filters = [
        way.criterion.as_filter(way.criterion.copied_in(table))
        if way.handed is None
        else way.criterion.as_exists(way.handed, column.recording, way.criterion.copied_in(table))
        for way in others
    ]
    filters += criterion.not_also(at, column.recording, criterion.copied_in(table))
    within = span.of(column.started_us, column.recording)
    led = sa.select(column.started_us, column.recording.label("id")).where(*within, *filters)
    return [
        led.where(led_by == value, *(_not_before(led_by, at, values[:place]) if place else ()))
        for place, value in enumerate(values)
    ]


def _not_before(column: sa.Column[Any], at: int, earlier: Values) -> list[sa.ColumnElement[bool]]:
    """Return the condition that leaves out calls which the query of an earlier value finds."""
    return [sa.not_(_has_any(column, at, column.table.c.recording, earlier))]


def _page(places: Ids, limit: int | None, offset: int) -> Ids:
    return places.order_by(*_NEWEST_FIRST).limit(limit).offset(offset)
