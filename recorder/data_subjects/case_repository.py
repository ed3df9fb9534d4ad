"""Cases in the accounts database, as a list of entries; entries are only appended."""

import itertools
import json
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, func, insert, select
from sqlalchemy.exc import IntegrityError

from recorder.access.database import from_s
from recorder.access.tables import case_entries
from recorder.rules.cases import Case, CaseEntry, CaseEvent, CaseKind, told

PREFIXES = {CaseKind.SUBJECT_ACCESS: "SAR", CaseKind.DISCLOSURE: "DIS"}


class ChangedError(Exception):
    """Somebody else wrote into the case meanwhile; nothing was stored."""


class CaseRepository:
    """The cases in one accounts database; safe to use from several threads and processes.

    Args:
        engine: From ``open_accounts``; the caller closes it.
        now: Returns the current time, aware, UTC.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self.now = now

    def next_id(self, kind: CaseKind, year: int) -> str:
        """Return the next free reference of a kind and year, such as ``SAR-2026-0007``."""
        start = f"{PREFIXES[kind]}-{year}-"
        is_of_year = case_entries.c.case.startswith(start, autoescape=True)
        begun = select(func.count()).where(is_of_year, case_entries.c.number == 0)
        with self._engine.begin() as connection:
            return f"{start}{connection.execute(begun).scalar_one() + 1:04d}"  # cases are never deleted

    def append(self, case_id: str, number: int, entry: CaseEntry) -> None:
        """Append an entry.

        Args:
            case_id: The case.
            number: Place of the entry in the case, from 0.
            entry: The entry.

        Raises:
            ChangedError: There is already an entry at that place.
        """
        row = {
            "case": case_id, "number": number, "step": str(entry.step), "at_s": entry.at.timestamp(), "by": entry.by,
            "on_day": entry.on.isoformat(), "text": entry.text, "details": json.dumps(dict(entry.details)),
        }  # fmt: skip
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(case_entries).values(**row))
        except IntegrityError as error:
            raise ChangedError(case_id) from error

    def get(self, case_id: str) -> Case | None:
        """Return a case, or None."""
        return next(iter(self._found(case_entries.c.case == case_id)), None)

    def all(self) -> list[Case]:
        """Return all cases, newest first."""
        return sorted(self._found(), key=lambda case: case.entries[0].at, reverse=True)

    def _found(self, *conditions: ColumnElement[bool]) -> list[Case]:
        query = select(case_entries).where(*conditions).order_by(case_entries.c.case, case_entries.c.number)
        with self._engine.begin() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            told(case_id, map(_entry, lines)) for case_id, lines in itertools.groupby(rows, lambda row: row["case"])
        ]


def _entry(row: Any) -> CaseEntry:  # noqa: ANN401 - a RowMapping
    at = from_s(row["at_s"])
    assert at is not None
    return CaseEntry(
        step=CaseEvent(row["step"]), at=at, by=row["by"], on=date.fromisoformat(row["on_day"]), text=row["text"],
        details=json.loads(row["details"]),
    )  # fmt: skip
