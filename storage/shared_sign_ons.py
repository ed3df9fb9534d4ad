"""The tables `sign_ons` and `pins`: who is signed on where, and managers' hashed PINs, for all nodes of a site."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from storage.database import Database
from storage.leases import now_us
from storage.tables import microseconds, moment_of
from storage.tables import pins as _pins
from storage.tables import sign_ons as _sign_ons

MARGIN = timedelta(seconds=10)
"""A change may be committed so long after its time."""
_MARGIN_US = MARGIN // timedelta(microseconds=1)
_ROW = 1
_AT = sa.func.least(_sign_ons.c.at_us, _sign_ons.c.changed_us).label("at_us")
"""When a sign-on was: not after it was stored, so that a node whose clock is fast does not win for as long as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedSignOn:
    """The last sign-on or sign-off at an extension.

    Attributes:
        operator: Who is signed on; None: somebody signed off.
        at: When, by the clock of the node where it was done, but not after it was stored; the latest counts.
        is_proven: Whether a code was keyed at the phone.
    """

    extension: str
    operator: str | None
    at: datetime
    is_proven: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOnChanges:
    """What changed since a look.

    Attributes:
        rows: The changes, those of the margin before that look too.
        seen_us: For the next look.
    """

    rows: Sequence[SharedSignOn]
    seen_us: int


class SharedSignOns:
    """The sign-ons of a site, in a database on a server. Blocks; safe from any thread.

    Raises:
        DatabaseError: The database cannot be used; applies to every method.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def since(self, seen_us: int) -> SignOnChanges:
        """Return what changed since a look; 0 for all."""
        columns = _sign_ons.c
        # A row of the future is nobody's; it would win for ever, and hide what comes after it.
        query = sa.select(columns.extension, columns.operator, columns.is_proven, columns.changed_us, _AT).where(
            columns.changed_us > seen_us - _MARGIN_US, columns.changed_us <= now_us(), _AT >= 0
        )
        with self._database.connect() as connection:
            found = connection.execute(query).all()
        rows = [
            SharedSignOn(
                extension=row.extension, operator=row.operator, at=moment_of(row.at_us), is_proven=bool(row.is_proven)
            )
            for row in found
        ]
        return SignOnChanges(rows=rows, seen_us=max([seen_us, *(row.changed_us for row in found)]))

    def put(self, rows: Sequence[SharedSignOn]) -> None:
        """Store sign-ons and sign-offs; one that is not later than the stored one changes nothing."""
        with self._database.begin() as connection:
            for one in sorted(rows, key=lambda row: row.extension):  # in one order, so that two nodes do not deadlock
                values = {
                    "operator": one.operator, "at_us": microseconds(one.at), "is_proven": int(one.is_proven),
                    "changed_us": now_us(),
                }  # fmt: skip
                insert = postgresql.insert(_sign_ons).values(extension=one.extension, **values)
                connection.execute(
                    insert.on_conflict_do_update(
                        index_elements=[_sign_ons.c.extension], set_=values,
                        where=sa.or_(insert.excluded.at_us > _AT, _sign_ons.c.changed_us > now_us() + _MARGIN_US),
                    )
                )  # fmt: skip

    def forget(self, *, before: datetime) -> int:
        """Delete sign-ons and sign-offs of before a moment; returns how many."""
        with self._database.begin() as connection:
            return connection.execute(_sign_ons.delete().where(_sign_ons.c.at_us < microseconds(before))).rowcount


class SharedPins:
    """The file of PINs as the site has it, which holds hashes only. Blocks; safe from any thread.

    Raises:
        DatabaseError: The database cannot be used; applies to every method.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self) -> tuple[str, datetime] | None:
        """Return the file's content and when it was changed, by the clock of the machine that did; None: none yet."""
        with self._database.connect() as connection:
            found = connection.execute(_pins.select().where(_pins.c.id == _ROW)).one_or_none()
        return None if found is None else (found.document, moment_of(found.changed_us))

    def put(self, document: str, at: datetime) -> None:
        """Store the file's content, unless a later one is stored."""
        values = {"document": document, "changed_us": microseconds(at)}
        insert = postgresql.insert(_pins).values(id=_ROW, **values)
        is_older = _pins.c.changed_us < insert.excluded.changed_us
        with self._database.begin() as connection:
            connection.execute(insert.on_conflict_do_update(index_elements=[_pins.c.id], set_=values, where=is_older))
