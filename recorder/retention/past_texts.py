"""Deletes the free text of closed requests and cases when its period is over; who did what and when stays.

The audit log stores only a hash of free text, and deletes the text by its own period. The file keeps no traces in free
pages.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, delete, func, or_, select, update

from recorder.access.tables import case_entries, requests, transcripts
from recorder.rules.cases import CaseEvent

_WRITTEN = ("requester", "balance")
"""Details of a case entry that are free text."""


class PastTexts:
    """The texts in a file of people that a sweep deletes.

    Args:
        engine: From ``open_accounts``; stays the caller's.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def count_requests(self, *, before: datetime) -> int:
        """Return how many access requests ended before a moment, grants included, and still have a text."""
        with self._engine.begin() as connection:
            query = select(func.count()).select_from(requests).where(_is_past(before))
            return int(connection.execute(query).scalar_one())

    def forget_requests(self, *, before: datetime) -> int:
        """Delete the texts of access requests that ended before a moment; returns of how many."""
        with self._engine.begin() as connection:
            query = update(requests).where(_is_past(before)).values(reason="", words="", reference="")
            return int(connection.execute(query).rowcount)

    def count_cases(self, *, before: datetime) -> int:
        """Return how many cases were closed before a moment and still have a text."""
        with self._engine.begin() as connection:
            written = select(transcripts.c.case).where(transcripts.c.case.in_(_closed(before)))
            cases = {row.case for row in _entries(connection, before)}
            return len(cases | set(connection.execute(written).scalars()))

    def forget_cases(self, *, before: datetime) -> int:
        """Delete the texts of cases closed before a moment, requesters included; returns of how many cases."""
        cases = set()
        with self._engine.begin() as connection:
            for row in list(_entries(connection, before)):
                details = {key: "" if key in _WRITTEN else value for key, value in json.loads(row.details).items()}
                is_it = and_(case_entries.c.case == row.case, case_entries.c.number == row.number)
                connection.execute(update(case_entries).where(is_it).values(text="", details=json.dumps(details)))
                cases.add(row.case)
            for row in connection.execute(select(transcripts.c.case).where(transcripts.c.case.in_(_closed(before)))):
                cases.add(row.case)
            connection.execute(delete(transcripts).where(transcripts.c.case.in_(_closed(before))))
        return len(cases)


def _is_past(before: datetime) -> ColumnElement[bool]:
    over = func.coalesce(requests.c.until_s, requests.c.decided_s, requests.c.asked_s)
    has_text = or_(requests.c.reason != "", requests.c.words != "", requests.c.reference != "")
    return and_(over < before.timestamp(), has_text)


def _closed(before: datetime) -> Select[tuple[str]]:
    is_closed = and_(case_entries.c.step == str(CaseEvent.CLOSED), case_entries.c.at_s < before.timestamp())
    return select(case_entries.c.case).where(is_closed)


def _entries(connection: Connection, before: datetime) -> Iterator[Any]:
    """Yield the entries that have a text, of cases closed before a moment."""
    for row in connection.execute(select(case_entries).where(case_entries.c.case.in_(_closed(before)))):
        details = json.loads(row.details)
        if row.text or any(details.get(key) for key in _WRITTEN):
            yield row
