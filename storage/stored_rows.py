"""Stored rows of the index, damaged ones too, for rebuilding and checking it; compares columns with documents.

Rows are read by id in pages, without peaks, so memory and transactions do not grow with their number.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from storage.call_parties import identities_of, officers_of, parties_without_row, stored_identities, stored_officers
from storage.database import Database
from storage.index import columns_of
from storage.rows import row_from_text
from storage.tables import recordings as _recordings
from storage.types import RecordingId, RecordingRow

PAGE = 500
"""Rows in one query; every SQLite takes at least 999 values in a statement."""
_PEAKS = frozenset({"peaks_left", "peaks_right"})
_COLUMNS = [column for column in _recordings.c if column.name not in _PEAKS]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRow:
    """One row.

    Attributes:
        id: Of the recording.
        columns: The search columns and ``document``.
        officers: Its rows in the table of further officers, by extension.
        identities: Its rows in the table of further numbers, by number.
        row: The parsed document, or None: it cannot be read.
    """

    id: RecordingId
    columns: Mapping[str, Any]
    officers: Sequence[Mapping[str, Any]]
    identities: Sequence[Mapping[str, Any]]
    row: RecordingRow | None

    @property
    def wrong_columns(self) -> list[str]:
        """Names of the columns, and of the tables beside, that differ from the document."""
        if self.row is None:
            return ["document"]
        expected = columns_of(self.row)
        wrong = [name for name, value in self.columns.items() if name != "document" and value != expected[name]]
        if list(self.officers) != sorted(officers_of(self.row), key=lambda one: str(one["extension"])):
            wrong.append("officers")
        if list(self.identities) != sorted(identities_of(self.row), key=lambda one: str(one["number"])):
            wrong.append("identities")
        return wrong


class StoredRows:
    """The stored rows of one database.

    Raises:
        DatabaseError: The database cannot be used; applies to every method.
        OSError: The folder of its file cannot be made; applies to every method.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def each(self) -> Iterator[StoredRow]:
        """Yield every row by id; a row that is saved meanwhile may be missed, none is yielded twice."""
        column, last = _recordings.c.id, ""
        while True:
            query = sa.select(*_COLUMNS).where(column > last).order_by(column).limit(PAGE)
            with self._database.connect() as connection:
                found = connection.execute(query).all()
                stored = _stored(connection, found)
            yield from stored
            if len(found) < PAGE:
                return
            last = found[-1].id

    def among(self, recordings: Sequence[RecordingId]) -> dict[RecordingId, StoredRow]:
        """Return the rows of some recordings."""
        known: dict[RecordingId, StoredRow] = {}
        with self._database.connect() as connection:
            for start in range(0, len(recordings), PAGE):
                some = recordings[start : start + PAGE]
                query = sa.select(*_COLUMNS).where(_recordings.c.id.in_(some))
                known |= {one.id: one for one in _stored(connection, connection.execute(query).all())}
        return known

    def alone(self) -> Iterator[RecordingId]:
        """Yield the recordings, by id, that have further officers or numbers but no row."""
        last = ""
        while True:
            with self._database.connect() as connection:
                found = parties_without_row(connection, PAGE, after=last)
            yield from map(RecordingId, found)
            if len(found) < PAGE:
                return
            last = found[-1]

    def officers_of(self, recording: RecordingId) -> Sequence[Mapping[str, Any]]:
        """Return the stored further officers of a recording, which may have no row."""
        with self._database.connect() as connection:
            return stored_officers(connection, [recording]).get(recording, ())

    def identities_of(self, recording: RecordingId) -> Sequence[Mapping[str, Any]]:
        """Return the stored further numbers of a recording, which may have no row."""
        with self._database.connect() as connection:
            return stored_identities(connection, [recording]).get(recording, ())

    def count(self) -> int:
        """Return how many rows there are."""
        with self._database.connect() as connection:
            return int(connection.execute(sa.select(sa.func.count()).select_from(_recordings)).scalar_one())


def _stored(connection: sa.Connection, found: Sequence[sa.Row[Any]]) -> list[StoredRow]:
    recordings = [one.id for one in found]
    officers, identities = stored_officers(connection, recordings), stored_identities(connection, recordings)
    return [_one(dict(one._mapping), officers.get(one.id, ()), identities.get(one.id, ())) for one in found]


def _one(
    columns: Mapping[str, Any], officers: Sequence[Mapping[str, Any]], identities: Sequence[Mapping[str, Any]]
) -> StoredRow:
    try:
        row = row_from_text(columns["document"])
    except (ValueError, TypeError, KeyError):
        row = None
    return StoredRow(id=RecordingId(columns["id"]), columns=columns, officers=officers, identities=identities, row=row)
