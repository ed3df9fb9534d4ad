"""The tables of recording assurance, in the database of the index. Safe from any thread and from several processes."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from storage.assurance_types import CallDirection, ExpectedCall, Explanation, StoredDay, StoredFinding
from storage.database import Database
from storage.errors import NotFoundError
from storage.tables import assurance_days as _days
from storage.tables import assurance_findings as _findings
from storage.tables import call_records as _records
from storage.tables import microseconds, moment_of

_AT_ONCE = 500


class AssuranceStore:
    """Call records, days and findings of one database.

    Raises:
        DatabaseError: The database cannot be used; applies to every method.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    # --- call records

    def add_calls(self, calls: Sequence[ExpectedCall], at: datetime) -> int:
        """Add calls, all or none; one that is there already is replaced. Return how many were new or changed."""
        changed = 0
        with self.database.begin() as connection:
            for fresh in _fresh(connection, calls):
                connection.execute(_records.delete().where(_records.c.id.in_([call.id for call in fresh])))
                connection.execute(_records.insert(), [_columns(call, at) for call in fresh])
                changed += len(fresh)
        return changed

    def count_new(self, calls: Sequence[ExpectedCall]) -> int:
        """Return how many calls `add_calls` would add or change."""
        with self.database.connect() as connection:
            return sum(map(len, _fresh(connection, calls)))

    def calls(self, start: datetime, end: datetime) -> list[ExpectedCall]:
        """Return the calls that were answered in [start, end), by the clocks of their PBXs."""
        within = sa.and_(_records.c.answered_us >= microseconds(start), _records.c.answered_us < microseconds(end))
        query = _records.select().where(within).order_by(_records.c.answered_us, _records.c.id)
        with self.database.connect() as connection:
            return [_call(found) for found in connection.execute(query)]

    def last_import(self, start: datetime, end: datetime) -> datetime | None:
        """Return when the last of the calls of a period was imported; None if there is none."""
        query = sa.select(sa.func.max(_records.c.imported_us)).where(
            _records.c.answered_us >= microseconds(start), _records.c.answered_us < microseconds(end)
        )
        with self.database.connect() as connection:
            return moment_of(connection.execute(query).scalar())

    # --- days and findings

    def keep_day(self, day: StoredDay, findings: Sequence[StoredFinding]) -> None:
        """Store a day in the place of what was stored of it; explanations of its findings stay."""
        with self.database.begin() as connection:
            known = {
                found.id: found
                for found in connection.execute(_findings.select().where(_findings.c.day == day.day.isoformat()))
            }
            ids = [one.id for one in findings]
            connection.execute(_days.delete().where(_days.c.day == day.day.isoformat()))
            connection.execute(_findings.delete().where(_findings.c.day == day.day.isoformat()))
            for start in range(0, len(ids), _AT_ONCE):  # a call may have moved to another day with the PBX's clock
                connection.execute(_findings.delete().where(_findings.c.id.in_(ids[start : start + _AT_ONCE])))
            connection.execute(_days.insert().values(_of_day(day)))
            if findings:
                connection.execute(_findings.insert(), [_of_finding(one, known.get(one.id)) for one in findings])

    def days(self, first: date, last: date) -> list[StoredDay]:
        """Return the judged days of a period, both ends included."""
        within = _days.c.day.between(first.isoformat(), last.isoformat())
        with self.database.connect() as connection:
            return [_day(found) for found in connection.execute(_days.select().where(within).order_by(_days.c.day))]

    def findings(self, first: date, last: date, teams: Iterable[str] | None = None) -> list[StoredFinding]:
        """Return the findings of a period, both ends included.

        Args:
            first: First day.
            last: Last day.
            teams: Teams whose calls count; None is all.
        """
        query = _findings.select().where(_findings.c.day.between(first.isoformat(), last.isoformat()))
        if teams is not None:
            query = query.where(_findings.c.team.in_(list(teams)))
        with self.database.connect() as connection:
            return [_finding(found) for found in connection.execute(query.order_by(_findings.c.day, _findings.c.id))]

    def finding(self, id_or_prefix: str) -> StoredFinding:
        """Return a finding.

        Raises:
            NotFoundError: There is none with that id, or several begin with it.
        """
        query = _findings.select().where(_findings.c.id.startswith(id_or_prefix, autoescape=True)).limit(2)
        with self.database.connect() as connection:
            found = connection.execute(query).all() if id_or_prefix else []
        if len(found) != 1:
            raise NotFoundError(f"no finding {id_or_prefix}" if not found else f"several findings begin {id_or_prefix}")
        return _finding(found[0])

    def explain(self, finding_id: str, explanation: Explanation) -> None:
        """Store why a finding is in order, in the place of what was stored before."""
        values = {
            "explained_by": explanation.by, "explained_us": microseconds(explanation.at),
            "explanation": explanation.text,
        }  # fmt: skip
        with self.database.begin() as connection:
            connection.execute(_findings.update().where(_findings.c.id == finding_id).values(values))

    # --- the end of the period

    def count_calls(self, *, before: datetime) -> int:
        """Return how many call records are older."""
        return self._count(_records, _records.c.answered_us < microseconds(before))

    def forget_calls(self, *, before: datetime) -> int:
        """Delete call records that are older; return how many."""
        return self._forget(_records, _records.c.answered_us < microseconds(before))

    def count_days(self, *, before: date) -> int:
        """Return how many days and findings are older."""
        return sum(self._count(table, table.c.day < before.isoformat()) for table in (_findings, _days))

    def forget_days(self, *, before: date) -> int:
        """Delete days and findings that are older; return how many."""
        return sum(self._forget(table, table.c.day < before.isoformat()) for table in (_findings, _days))

    def _count(self, table: sa.Table, which: sa.ColumnElement[bool]) -> int:
        with self.database.connect() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(table).where(which)).scalar_one())

    def _forget(self, table: sa.Table, which: sa.ColumnElement[bool]) -> int:
        with self.database.begin() as connection:
            return connection.execute(table.delete().where(which)).rowcount


def _fresh(connection: sa.Connection, calls: Sequence[ExpectedCall]) -> Iterator[list[ExpectedCall]]:
    """Yield the calls that are new or changed, some at a time; never none."""
    for start in range(0, len(calls), _AT_ONCE):
        some = {call.id: call for call in calls[start : start + _AT_ONCE]}
        known = {one.id: _call(one) for one in connection.execute(_records.select().where(_records.c.id.in_(some)))}
        if fresh := [call for call in some.values() if known.get(call.id) != call]:
            yield fresh


def _columns(call: ExpectedCall, at: datetime) -> dict[str, Any]:
    return {
        "id": call.id, "pbx": call.pbx, "answered_us": microseconds(call.answered_at), "talk_s": call.talk_s,
        "extensions": ",".join(call.extensions), "direction": str(call.direction), "number_end": call.number_end,
        "service": call.service, "team": call.team, "is_bypassed": int(call.is_bypassed),
        "imported_us": microseconds(at),
    }  # fmt: skip


def _call(found: sa.Row[Any]) -> ExpectedCall:
    return ExpectedCall(
        id=found.id, pbx=found.pbx, answered_at=moment_of(found.answered_us), talk_s=found.talk_s,
        extensions=tuple(found.extensions.split(",")), direction=CallDirection(found.direction),
        number_end=found.number_end, service=found.service, team=found.team, is_bypassed=bool(found.is_bypassed),
    )  # fmt: skip


def _of_day(day: StoredDay) -> dict[str, Any]:
    return {
        "day": day.day.isoformat(), "judged_us": microseconds(day.judged_at), "records": day.records,
        "calls": day.calls, "bad": day.bad, "document": json.dumps(dict(day.document)),
    }  # fmt: skip


def _day(found: sa.Row[Any]) -> StoredDay:
    return StoredDay(
        day=date.fromisoformat(found.day), judged_at=moment_of(found.judged_us), records=found.records,
        calls=found.calls, bad=found.bad, document=json.loads(found.document),
    )  # fmt: skip


def _of_finding(one: StoredFinding, known: sa.Row[Any] | None) -> dict[str, Any]:
    return {
        "id": one.id, "day": one.day.isoformat(), "team": one.team, "document": json.dumps(dict(one.document)),
        "explained_by": None if known is None else known.explained_by,
        "explained_us": None if known is None else known.explained_us,
        "explanation": None if known is None else known.explanation,
    }  # fmt: skip


def _finding(found: sa.Row[Any]) -> StoredFinding:
    explanation = None
    if found.explained_by is not None:
        explanation = Explanation(by=found.explained_by, at=moment_of(found.explained_us), text=found.explanation)
    return StoredFinding(
        id=found.id, day=date.fromisoformat(found.day), team=found.team, document=json.loads(found.document),
        explanation=explanation,
    )  # fmt: skip
