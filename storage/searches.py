"""Searches of the index as SQL: a page of ids is found, and matches are counted, in one index, whatever is asked for.

Which index leads is decided here and not by a planner. A planner knows averages only, and no average serves: the number
of a service has a hundred thousand times the calls of most numbers. So it is looked how far back the newest calls reach
that have each thing asked for. The one whose calls are sparsest leads; what else was asked for is compared with what
stands in the same index (`storage.tables`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storage.database import SQLITE
from storage.rows import normalise_number
from storage.tables import microseconds
from storage.tables import officers as _officers
from storage.tables import recordings as _recordings
from storage.types import Search

Place = tuple[int, str]
"""Of a row in the order of a search, newest first: when it started, microseconds since 1970, and its id."""
Ids = sa.Select[tuple[int, str]] | sa.CompoundSelect[tuple[int, str]]
"""A query for places."""
_NEWEST_FIRST: tuple[sa.UnaryExpression[Any], ...] = (sa.desc("started_us"), sa.desc("id"))

_PROBED = 1000
"""Calls of each thing asked for that are looked at to tell how sparse they are: as many as a count goes through."""


@dataclass(frozen=True, slots=True)
class _Criterion:
    """One thing asked for: any of the columns has the value. Each column leads an index.

    ``also`` is a column of ``officers`` that may have it, for calls that had several.
    """

    columns: tuple[sa.Column[Any], ...]
    value: str
    also: sa.Column[Any] | None = None

    def as_filter(self) -> sa.ColumnElement[bool]:
        """Return it as a condition that no database looks up in an index."""
        ways: list[sa.ColumnElement[bool]] = [column.concat("") == self.value for column in self.columns]
        if self.also is not None:
            ways.append(sa.exists().where(_officers.c.recording == _recordings.c.id, self.also == self.value))
        return sa.or_(*ways)


@dataclass(frozen=True, slots=True)
class _Span:
    """What times are asked for, and after which place; said of whichever table leads, so that its index knows it."""

    search: Search
    before: Place | None

    def of(self, started_us: sa.Column[Any], recording: sa.Column[Any]) -> list[sa.ColumnElement[bool]]:
        """Return it as conditions on a table's columns."""
        conditions: list[sa.ColumnElement[bool]] = []
        if self.search.started_from is not None:
            conditions.append(started_us >= microseconds(self.search.started_from))
        if self.search.started_to is not None:
            conditions.append(started_us < microseconds(self.search.started_to))
        if self.before is not None:
            conditions.append(sa.tuple_(started_us, recording) < sa.tuple_(*map(sa.literal, self.before)))
        return conditions


def ids(
    connection: sa.Connection, search: Search, *, limit: int | None, offset: int = 0, before: Place | None = None
) -> Ids:
    """Return a query for the places of rows that match, newest first.

    Args:
        connection: For looking what is sparse; the query should run on it too.
        search: What to look for; its own limit and offset are left alone.
        limit: Places at most; None for all.
        offset: Places to leave out, the newest.
        before: Only what comes after this place, so older.
    """
    criteria = _criteria(search)
    span = _Span(search, before)
    if not criteria:
        return _page(_places(span, []), limit, offset)
    leading = _sparsest(connection, criteria, span)
    filters = [one.as_filter() for one in criteria if one is not leading]
    return _lookup(connection, leading, span, filters, limit=limit, offset=offset)


def with_documents(places: Ids) -> sa.Select[tuple[int, str, str]]:
    """Return a query for the documents of a page of places, in the same order."""
    page, row = places.subquery(), _recordings.c
    found = sa.select(row.started_us, row.id, row.document).join_from(page, _recordings, row.id == page.c.id)
    return found.order_by(page.c.started_us.desc(), page.c.id.desc())


def _criteria(search: Search) -> list[_Criterion]:
    column = _recordings.c
    number = None if search.number is None else normalise_number(search.number)
    asked = [
        ((column.operator,), search.operator, _officers.c.operator),
        ((column.extension,), search.extension, _officers.c.extension),
        ((column.caller_e164, column.called_e164), number, None),
        ((column.outcome,), None if search.outcome is None else str(search.outcome), None),
    ]
    return [_Criterion(columns, value, also) for columns, value, also in asked if value is not None]


def _sparsest(connection: sa.Connection, criteria: Sequence[_Criterion], span: _Span) -> _Criterion:
    """Return the criterion of which fewest rows must be read."""
    if len(criteria) == 1:
        return criteria[0]
    reach_us = []
    for one in criteria:
        probed = connection.execute(_lookup(connection, one, span, [], limit=1, offset=_PROBED)).first()
        if probed is None:  # so few need no comparing
            return one
        reach_us.append(probed.started_us)
    return criteria[reach_us.index(min(reach_us))]


def _lookup(
    connection: sa.Connection,
    criterion: _Criterion,
    span: _Span,
    filters: Sequence[sa.ColumnElement[bool]],
    *,
    limit: int | None,
    offset: int,
) -> Ids:
    """Return a query that is answered by the index, or the indices, that a criterion leads."""
    # One condition with "or" would be sorted whole before its first row is known. Both sides of a call are merged in
    # the order of an index each; who called their own number is left out of the second.
    sides: list[sa.Select[tuple[int, str]]] = []
    for at, column in enumerate(criterion.columns):
        others = [earlier.concat("") != criterion.value for earlier in criterion.columns[:at]]
        sides.append(_places(span, [*filters, *others, column == criterion.value]))
    if criterion.also is not None:
        sides.append(_handed_over(criterion.also == criterion.value, span, filters))
    if len(sides) == 1:
        return _page(sides[0], limit, offset)
    if connection.dialect.name != SQLITE:  # PostgreSQL sees the order of a branch only if it is a query of its own
        most = None if limit is None else limit + offset
        sides = [sa.select(_page(side, most, 0).subquery()) for side in sides]
    return _page(sa.union_all(*sides), limit, offset)


def _places(span: _Span, conditions: Sequence[sa.ColumnElement[bool]]) -> sa.Select[tuple[int, str]]:
    column = _recordings.c
    return sa.select(column.started_us, column.id).where(*span.of(column.started_us, column.id), *conditions)


def _handed_over(
    is_theirs: sa.ColumnElement[bool], span: _Span, filters: Sequence[sa.ColumnElement[bool]]
) -> sa.Select[tuple[int, str]]:
    """Return a query for the places of calls that came to somebody later on, led by the index of those."""
    column = _officers.c
    within = span.of(column.started_us, column.recording)
    is_asked_for = sa.exists().where(_recordings.c.id == column.recording, *filters)
    return sa.select(column.started_us, column.recording.label("id")).where(is_theirs, *within, is_asked_for)


def _page(places: Ids, limit: int | None, offset: int) -> Ids:
    return places.order_by(*_NEWEST_FIRST).limit(limit).offset(offset)
