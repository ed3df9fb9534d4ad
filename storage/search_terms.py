"""What a search asks for: the columns that match, and the calls that one of them leads to. See `storage.searches`."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from storage.phone_numbers import normalise_number
from storage.tables import identities as _identities
from storage.tables import officers as _officers
from storage.tables import recordings as _recordings
from storage.types import Search, Visibility

Ids = sa.Select[tuple[int, str]] | sa.CompoundSelect[tuple[int, str]]
"""A query for places."""
Values = tuple[str, ...]
"""Values of which a column has one; never empty."""
_NEWEST_FIRST: tuple[sa.UnaryExpression[Any], ...] = (sa.desc("started_us"), sa.desc("id"))


@dataclass(frozen=True, slots=True)
class Own:
    """A column of ``recordings`` that has one of some values, and leads an index."""

    column: sa.Column[Any]
    copy: str
    """Its name in the tables beside it, which repeat it."""
    values: Values


@dataclass(frozen=True, slots=True)
class Beside:
    """A column of a table beside ``recordings`` that has one of some values, and leads an index."""

    column: sa.Column[Any]
    values: Values

    def exists(self, at: int, recording: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
        """Return the condition that the table has one of the values for a recording."""
        other = _other(self.column, at)
        condition = _is_any(other.c[self.column.name], self.values)
        # PostgreSQL makes no join of a subquery with OFFSET. A join would read the whole table, although a page needs
        # few of its rows.
        return sa.exists(sa.select(other.c.recording).where(other.c.recording == recording, condition).offset(0))


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion of a search: a call matches by a column of its own row, or by a table beside it."""

    own: tuple[Own, ...]
    beside: tuple[Beside, ...] = ()

    def as_filter(self, table: sa.FromClause) -> sa.ColumnElement[bool]:
        """Return the condition on a call's own columns, or their copies, for which no database uses an index."""
        is_own = table is _recordings
        pairs = [(one.column if is_own else table.c[one.copy], one.values) for one in self.own]
        return sa.or_(sa.false(), *(_is_any(column, values) for column, values in pairs))


@dataclass(frozen=True, slots=True)
class Way:
    """How a call matches a criterion: by its own row (``beside`` None), or by a table beside it."""

    criterion: Criterion
    beside: int | None

    def as_filter(self, table: sa.FromClause, recording: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
        """Return the condition on rows of a table that another way leads to."""
        if self.beside is None:
            return self.criterion.as_filter(table)
        return self.criterion.beside[self.beside].exists(self.beside, recording)


@dataclass(frozen=True, slots=True)
class Side:
    """Calls that match in one way: those of each value of a column, which leads an index.

    Attributes:
        places: A query for the places of calls that match all that is asked besides.
        column: The leading column; None for all calls.
        values: Its values; empty for no call.
    """

    places: sa.Select[tuple[int, str]]
    column: sa.Column[Any] | None
    values: Values

    def with_outcome(self, outcomes: Values) -> "Side":
        """Return those of its calls that have one of some outcomes, read from the same index."""
        table = _recordings if self.column is None else self.column.table
        return replace(self, places=self.places.where(_is_any(table.c.outcome, outcomes)))

    def showing_outcome(self) -> "Side":
        """Return its calls with their outcomes, read from the same index."""
        table = _recordings if self.column is None else self.column.table
        return replace(self, places=self.places.add_columns(table.c.outcome))

    def of_each_value(self) -> list[sa.Select[tuple[int, str]]]:
        """Return a query for each value."""
        if self.column is None:
            return [self.places]
        return [self.places.where(self.column == value) for value in self.values] or [self.places.where(sa.false())]

    def of_any_value(self, most: int | None) -> sa.Select[tuple[int, str]]:
        """Return a query for PostgreSQL: the newest calls of each value, ``most`` of each.

        A query for each value would be planned for each value, which takes longer than to run it.
        """
        if self.column is None or len(self.values) < 2:
            (only,) = self.of_each_value()
            return sa.select(page_of(only, most, 0).subquery())
        each = sa.func.unnest(sa.cast(list(self.values), ARRAY(sa.Text))).table_valued("value").render_derived()
        newest = page_of(self.places.where(self.column == each.c.value), most, 0).lateral()
        return sa.select(*newest.c).select_from(each).join(newest, sa.true())


def criteria_of(search: Search) -> list[Criterion]:
    """Return the criteria of a search, the visibility of the searcher as the last."""
    column = _recordings.c
    number = None if search.number is None else normalise_number(search.number)
    outcomes = tuple(map(str, search.outcomes))
    operator, extension = (column.operator, "first_operator"), (column.extension, "first_extension")
    numbers = (column.caller_e164, "caller_e164"), (column.called_e164, "called_e164")
    outcome, service, team = ((column[name], name) for name in ("outcome", "service", "team"))
    asked: list[tuple[tuple[tuple[sa.Column[Any], str], ...], Values, sa.Column[Any] | None]] = [
        ((operator,), _one(search.operator), _officers.c.operator),
        ((operator,), search.operators, _officers.c.operator),
        ((extension,), _one(search.extension), _officers.c.extension),
        (numbers, _one(number), _identities.c.number),
        (numbers, search.numbers, _identities.c.number),
        ((outcome,), _one(search.outcome), None),
        ((outcome,), outcomes, None),
        ((service,), _one(search.service), None),
        ((team,), _one(search.team), _officers.c.own_team),
    ]
    criteria = [
        Criterion(
            tuple(Own(own, copy, values) for own, copy in columns),
            () if beside is None else (Beside(beside, values),),
        )
        for columns, values, beside in asked
        if values
    ]
    return criteria if search.within is None else [*criteria, _visibility(search.within)]


def _one(value: str | None) -> Values:
    return () if value is None else (str(value),)


def _visibility(visible: Visibility) -> Criterion:
    """Return the visibility of the searcher as a further criterion."""
    column, teams = _recordings.c, tuple(dict.fromkeys(visible.teams))
    operator = _one(visible.operator)
    own = [Own(column.operator, "first_operator", operator), Own(column.team, "team", teams)]
    beside = [Beside(_officers.c.operator, operator), Beside(_officers.c.own_team, tuple(filter(None, teams)))]
    return Criterion(own=tuple(one for one in own if one.values), beside=tuple(one for one in beside if one.values))


def page_of(places: Ids, limit: int | None, offset: int) -> Ids:
    """Return a query for a page of places, newest first."""
    return places.order_by(*_NEWEST_FIRST).limit(limit).offset(offset)


def _is_any(column: sa.ColumnElement[Any], values: Values) -> sa.ColumnElement[bool]:
    """Return the condition that a column has one of some values, for which no database uses an index."""
    bare = column.concat("")
    return bare == values[0] if len(values) == 1 else bare.in_(values)


@cache
def _other(column: sa.Column[Any], at: int) -> sa.FromClause:
    """Return an alias of a column's table; cached, since making it copies all columns."""
    return column.table.alias(f"other_{column.name}_{at}")
