"""Which officers, services, teams and numbers there are in the index, and counts of a period's calls.

Distinct values are read by jumps in an index: each is one look-up, however many calls have it, and all are one query.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storage.database import Database
from storage.tables import identities as _identities
from storage.tables import microseconds
from storage.tables import officers as _officers
from storage.tables import recordings as _recordings

_HOUR_US = 3_600_000_000
_AFTER_ALL = "\x7f"
"""After every digit and sign that a number may end with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Calls that began in one hour and had one outcome.

    Attributes:
        hour_us: Beginning of the hour, UTC, microseconds since 1970.
        outcome: Value of `storage.types.Outcome`.
        calls: Number of calls.
        pauses: Number of pauses in them.
        opted_out: Calls of these that were opted out.
    """

    hour_us: int
    outcome: str
    calls: int
    pauses: int
    opted_out: int


class KnownValues:
    """Reads distinct values and counts of one database.

    Raises:
        DatabaseError: The database does not answer; applies to every method.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def operators(self, teams: Collection[str] | None = None) -> list[str]:
        """Return the names of the officers, sorted; of calls of some teams, or of all for None."""
        names = (_recordings.c.operator, _officers.c.operator)
        if teams is None:
            with self._database.connect() as connection:
                found = {one for column in names for one in _jumps(connection, column)}
        else:
            of_team = (_recordings.c.team, _officers.c.own_team)
            pairs = [(column, own == team) for column, own in zip(names, of_team, strict=True) for team in teams]
            with self._database.connect() as connection:
                found = {one for column, led in pairs for one in _jumps(connection, column, led)}
        return sorted(found - {""})

    def services(self) -> list[str]:
        """Return the names of the services, sorted."""
        with self._database.connect() as connection:
            return sorted({*_jumps(connection, _recordings.c.service)} - {""})

    def teams(self) -> list[str]:
        """Return the names of the teams, sorted."""
        with self._database.connect() as connection:
            found = {*_jumps(connection, _recordings.c.team), *_jumps(connection, _officers.c.own_team)}
            return sorted(found - {""})

    def numbers_ending(self, digits: str, most: int) -> list[str] | None:
        """Return the numbers that end with some digits, as they are compared; None if there are more than ``most``."""
        start, end = digits[::-1], digits[::-1] + _AFTER_ALL
        columns = (_recordings.c.caller_reversed, _recordings.c.called_reversed, _identities.c.reversed)
        with self._database.connect() as connection:
            found = {
                one[::-1]
                for column in columns
                for one in _jumps(connection, column, start=start, end=end, most=most + 1)
            }
        return sorted(found) if len(found) <= most else None

    def tallies(self, start: datetime, end: datetime) -> list[Tally]:
        """Return counts of the calls that began in [start, end), by hour and outcome; one index answers."""
        column = _recordings.c
        hour_us = column.started_us - column.started_us % _HOUR_US
        query = (
            sa.select(
                hour_us.label("hour_us"), column.outcome, sa.func.count().label("calls"),
                sa.func.sum(column.pauses).label("pauses"), sa.func.sum(column.is_opted_out).label("opted_out"),
            )
            .where(column.started_us >= microseconds(start), column.started_us < microseconds(end))
            .group_by("hour_us", column.outcome)
        )  # fmt: skip
        with self._database.connect() as connection:
            return [Tally(**row) for row in connection.execute(query).mappings()]


def _jumps(
    connection: sa.Connection,
    column: sa.Column[str],
    *led: sa.ColumnElement[bool],
    start: str | None = None,
    end: str | None = None,
    most: int | None = None,
) -> list[str]:
    """Return the distinct values of an indexed column in order.

    The query jumps from each value to the next one in the index. Neither database plans DISTINCT like that.

    Args:
        connection: The connection.
        column: The column.
        led: Conditions of equality on the columns before it in its index.
        start: The least value; None for all.
        end: The value that all are below; None for all.
        most: The most values; None for all.
    """
    below = [*led] if end is None else [*led, column < end]
    first = sa.select(sa.func.min(column).label("value")).where(*([] if start is None else [column >= start]), *below)
    values = first.cte("known", recursive=True)
    following = sa.select(sa.func.min(column)).where(column > values.c.value, *below).scalar_subquery()
    values = values.union_all(sa.select(following).where(values.c.value.is_not(None)))
    query = sa.select(values.c.value).where(values.c.value.is_not(None)).limit(most)
    return list(connection.execute(query).scalars())
