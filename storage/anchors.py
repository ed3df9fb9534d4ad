"""The table `anchors`: which heads of audit logs were sent to other machines, and when.

Several homes may share the table, so each row names the node whose log it is of.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from storage.database import SQLITE, Database
from storage.heads import Head
from storage.tables import anchors as _anchors
from storage.tables import microseconds, moment_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """One attempt to send a head to a target.

    Attributes:
        target: ``syslog``, ``mail`` or ``folder``.
        number: Number of the entry.
        hash: Hash of the entry.
        at: Time of the attempt.
        problem: Why it failed; empty if it succeeded.
    """

    target: str
    number: int
    hash: str
    at: datetime
    problem: str = ""


class Anchors:
    """The anchors of one audit log in a database. Blocks; safe from any thread.

    Args:
        database: The index.
        node: Whose log: the beginning of the fingerprint of the home's key, as in a head.
    """

    def __init__(self, database: Database, node: str = "") -> None:
        self._database = database
        self._node = node

    def _is_own(self) -> sa.ColumnElement[bool]:
        """Return the condition for this node's rows.

        In a SQLite file, which one home has, rows without a node are its own too: they are from before revision 0011.
        """
        names = (self._node, "") if self._database.dialect == SQLITE else (self._node,)
        return _anchors.c.node.in_(names)

    def note(self, anchor: Anchor) -> None:
        """Store an attempt; it replaces an earlier one of the same head and target.

        Raises:
            DatabaseError: The database cannot be used.
        """
        fits = sa.and_(
            _anchors.c.number == anchor.number, _anchors.c.target == anchor.target, _anchors.c.node == self._node
        )
        values = {
            "number": anchor.number,
            "target": anchor.target,
            "head": anchor.hash,
            "anchored_us": microseconds(anchor.at),
            "problem": anchor.problem,
            "node": self._node,
        }
        with self._database.begin() as connection:
            connection.execute(_anchors.delete().where(fits))
            connection.execute(_anchors.insert().values(**values))

    def newest(self) -> dict[str, Anchor]:
        """Return the newest successful anchor of each target.

        Raises:
            DatabaseError: The database cannot be used.
        """
        newest = (
            sa.select(_anchors.c.target, sa.func.max(_anchors.c.anchored_us).label("us"))
            .where(_anchors.c.problem == "", self._is_own())
            .group_by(_anchors.c.target)
            .subquery()
        )
        fits = sa.and_(_anchors.c.target == newest.c.target, _anchors.c.anchored_us == newest.c.us, self._is_own())
        with self._database.connect() as connection:
            rows = connection.execute(sa.select(_anchors).join(newest, fits)).all()
        return {row.target: _anchor(row) for row in rows}

    def heads(self) -> Iterator[Head]:
        """Yield every head that was sent to a target, by number.

        Raises:
            DatabaseError: The database cannot be used.
        """
        query = sa.select(_anchors).where(_anchors.c.problem == "", self._is_own())
        with self._database.connect() as connection:
            for row in connection.execute(query.order_by(_anchors.c.number, _anchors.c.target)):
                yield Head(number=row.number, hash=row.head, at=moment_of(row.anchored_us), node=self._node)


def heads_of_all(database: Database) -> Iterator[Head]:
    """Yield every head that was sent to a target, of all logs that are named.

    Raises:
        DatabaseError: The database cannot be used.
    """
    query = sa.select(_anchors).where(_anchors.c.problem == "", _anchors.c.node != "")
    with database.connect() as connection:
        for row in connection.execute(query):
            yield Head(number=row.number, hash=row.head, at=moment_of(row.anchored_us), node=row.node)


def _anchor(row: sa.Row[Any]) -> Anchor:
    return Anchor(
        target=row.target, number=row.number, hash=row.head, at=moment_of(row.anchored_us), problem=row.problem
    )
