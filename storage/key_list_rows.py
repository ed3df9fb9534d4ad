"""The tables by which the key holder and the nodes of a site tell each other of keys. Nothing here is believed unread.

Nodes check the signature of a key list (`recorder.site_keys.key_list`). What a node reports only ever keeps a private
key from being destroyed.
"""

import json
from collections.abc import Generator
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from storage.database import Database
from storage.tables import key_lists, microseconds, moment_of, node_epochs, recordings, unfinished
from storage.types import RecordingId

_AT_ONCE = 1000
"""Rows that are fetched at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredList:
    """The newest key list in the database, unchecked."""

    number: int
    text: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """What a node last said of its epochs.

    Attributes:
        fingerprint: Of the node's signing key, hex.
        list_number: Number of the key list that it follows.
        current: Epoch that its new recordings are sealed to; empty if it has none.
        sealed: Epochs that keys in its home are sealed to.
        reported_at: When, by the node's clock.
    """

    fingerprint: str
    list_number: int
    current: str
    sealed: frozenset[str]
    reported_at: datetime


def newest_list(database: Database) -> StoredList | None:
    """Return the newest key list, or None.

    Raises:
        DatabaseError: The database does not answer or refuses.
    """
    with database.connect() as connection:
        row = connection.execute(sa.select(key_lists).order_by(key_lists.c.number.desc()).limit(1)).one_or_none()
    return None if row is None else StoredList(number=row.number, text=row.document, signature=row.signature)


def replace_list(database: Database, found: StoredList) -> None:
    """Store a key list in the place of all others.

    Raises:
        DatabaseError: The database does not answer or refuses.
    """
    values = {"number": found.number, "document": found.text, "signature": found.signature}
    with database.begin() as connection:
        connection.execute(sa.delete(key_lists).where(key_lists.c.number != found.number))
        connection.execute(database.upsert(key_lists, values, key=key_lists.c.number))


def report(database: Database, said: NodeReport) -> None:
    """Store what a node says of its epochs.

    Raises:
        DatabaseError: The database does not answer or refuses.
    """
    values = {
        "fingerprint": said.fingerprint,
        "list_number": said.list_number,
        "current": said.current,
        "sealed": json.dumps(sorted(said.sealed)),
        "reported_us": microseconds(said.reported_at),
    }
    with database.begin() as connection:
        connection.execute(database.upsert(node_epochs, values, key=node_epochs.c.fingerprint))


def reports(database: Database) -> dict[str, NodeReport]:
    """Return what the nodes said, by the fingerprints of their signing keys. A damaged report is left out.

    Raises:
        DatabaseError: The database does not answer or refuses.
    """
    with database.connect() as connection:
        rows = connection.execute(sa.select(node_epochs)).all()
    found = {}
    for row in rows:
        try:
            sealed = frozenset(map(str, json.loads(row.sealed)))
            reported_at = moment_of(row.reported_us)
        except (ValueError, TypeError, OverflowError):
            continue
        found[row.fingerprint] = NodeReport(
            fingerprint=row.fingerprint, list_number=row.list_number, current=row.current, sealed=sealed,
            reported_at=reported_at,
        )  # fmt: skip
    return found


def kept_between(database: Database, start: datetime, end: datetime) -> Generator[RecordingId, None, None]:
    """Yield the recordings with a container that began in a span, unfinished ones first; close it before its end.

    Raises:
        DatabaseError: The database does not answer or refuses.
    """
    begins, ends = microseconds(start), microseconds(end)
    still_open = sa.select(unfinished.c.recording).where(
        unfinished.c.started_us >= begins, unfinished.c.started_us < ends
    )
    kept = sa.select(recordings.c.id).where(
        recordings.c.started_us >= begins,
        recordings.c.started_us < ends,
        # As text, so that a damaged row counts as kept, and no document is fetched.
        ~recordings.c.document.contains('"path": null', autoescape=True),
    )
    with database.connect() as connection:
        for query in (still_open, kept):
            with connection.execute(query, execution_options={"yield_per": _AT_ONCE}) as found:
                yield from map(RecordingId, found.scalars())
