"""Leases: work of which only one node does each kind at a time, in the table `leases`.

A lease ends by the database's clock unless its holder renews it. The holder may be stopped at any point and wake up
after another node took the lease. So each taking raises the lease's fence, and `Leases.fenced` gives a database in
which every transaction that writes first compares the fence, and keeps the lease from being taken until it ends.
PostgreSQL ends a transaction whose process does not go on for `IDLE`, so a stopped holder blocks nobody.

In a SQLite file there is one node only: each lease is free, and locks on files keep its processes apart.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from storage.database import SQLITE, Database
from storage.errors import LeaseLostError
from storage.tables import leases as _leases
from storage.tables import moment_of

IDLE = "10s"
"""How long PostgreSQL waits for the next statement of a transaction that holds a lease, before it ends the session."""
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease that somebody took.

    Attributes:
        name: The work.
        holder: The node.
        fence: How often the lease was taken; 0 in a SQLite file.
    """

    name: str
    holder: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseState:
    """The state of a lease in the table.

    Attributes:
        holder: Who has it, or had it last; None: nobody yet.
        until: When it ends unless it is renewed; None: nobody has it.
        done_at: When the work was last completed, or None.
        now: The database's clock when this was read.
        note: What the last holder left for the next.
    """

    holder: str | None
    until: datetime | None
    done_at: datetime | None
    now: datetime
    note: Mapping[str, Any]


class Leases:
    """The leases in one database. Blocks; safe from any thread.

    Raises:
        DatabaseError: The database cannot be used; applies to every method.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def is_shared(self) -> bool:
        """Whether several nodes may use the database."""
        return self._database.dialect != SQLITE

    def take(self, name: str, holder: str, *, for_s: float) -> Lease | None:
        """Take a lease that nobody has, or whose time is over.

        Args:
            name: The work.
            holder: The node.
            for_s: How long, seconds; renew it before that.

        Returns:
            The lease; None while another has it, or this node by an earlier taking.
        """
        if not self.is_shared:
            return Lease(name=name, holder=holder, fence=0)
        is_free = sa.or_(_leases.c.until_us.is_(None), _leases.c.until_us <= now_us())
        with self._database.begin() as connection:
            connection.execute(_insert_missing(name))
            taken = connection.execute(
                _leases.update()
                .where(_leases.c.name == name, is_free)
                .values(holder=holder, fence=_leases.c.fence + 1, until_us=_after(for_s))
                .returning(_leases.c.fence)
            ).scalar()
        return None if taken is None else Lease(name=name, holder=holder, fence=int(taken))

    def renew(self, lease: Lease, *, for_s: float) -> None:
        """Have a lease end ``for_s`` seconds from now; also after its end, while nobody else has taken it.

        Raises:
            LeaseLostError: Another has taken it.
        """
        self._change(lease, {"until_us": _after(for_s)})

    def release(self, lease: Lease) -> None:
        """End a lease now; one that another has taken is left alone."""
        if self.is_shared:
            with self._database.begin() as connection:
                connection.execute(_leases.update().where(_is(lease)).values(until_us=None))

    def complete(self, lease: Lease, note: Mapping[str, Any], *, is_done: bool = True) -> None:
        """Leave a note for the next holder.

        Args:
            lease: The lease.
            note: JSON-able values; no personal data.
            is_done: Also store that the work is completed now.

        Raises:
            LeaseLostError: Another has taken it; nothing was stored.
        """
        values: dict[str, Any] = {"note": json.dumps(dict(note))}
        self._change(lease, {**values, "done_us": now_us()} if is_done else values)

    def check(self, lease: Lease) -> None:
        """Check a lease right before an effect outside the database.

        Raises:
            LeaseLostError: Another has taken it.
        """
        if self.is_shared:
            with self._database.connect() as connection:
                if connection.execute(sa.select(_leases.c.fence).where(_is(lease))).scalar() is None:
                    raise _lost(lease)

    def get(self, name: str) -> LeaseState | None:
        """Return the state of a lease; None if it was never taken, and in a SQLite file."""
        if not self.is_shared:
            return None
        with self._database.connect() as connection:
            query = sa.select(_leases, now_us().label("now_us")).where(_leases.c.name == name)
            found = connection.execute(query).one_or_none()
        if found is None:
            return None
        return LeaseState(
            holder=found.holder,
            until=moment_of(found.until_us) if (found.until_us or 0) > found.now_us else None,
            done_at=moment_of(found.done_us),
            now=moment_of(found.now_us),
            note=json.loads(found.note or "{}"),
        )

    def fenced(self, lease: Lease) -> Database:
        """Return the database with a comparison of the fence in every transaction that writes.

        Such a transaction raises LeaseLostError, and nothing is written, if another has taken the lease. While it goes
        on nobody can take the lease.
        """
        return self._database.guarded(_guard(lease)) if self.is_shared else self._database

    def _change(self, lease: Lease, values: Mapping[str, Any]) -> None:
        if self.is_shared:
            with self._database.begin() as connection:
                if not connection.execute(_leases.update().where(_is(lease)).values(values)).rowcount:
                    raise _lost(lease)


def now_us() -> sa.ColumnElement[int]:
    """Return the expression of PostgreSQL's clock at this moment, in microseconds since 1970."""
    return sa.cast(sa.func.extract("epoch", sa.func.clock_timestamp()) * _SECOND_US, sa.BigInteger)


def end_if_idle() -> sa.ColumnElement[str]:
    """Return the expression that has PostgreSQL end this transaction if its process does not go on for `IDLE`."""
    return sa.func.set_config("idle_in_transaction_session_timeout", IDLE, True)


def _guard(lease: Lease) -> Callable[[sa.Connection], None]:
    query = sa.select(end_if_idle(), _leases.c.fence).where(_is(lease)).with_for_update(read=True, of=_leases)

    def compare(connection: sa.Connection) -> None:
        if connection.execute(query).one_or_none() is None:
            raise _lost(lease)

    return compare


def _insert_missing(name: str) -> sa.Insert:
    values = {"name": name, "fence": 0}
    return postgresql.insert(_leases).values(values).on_conflict_do_nothing(index_elements=["name"])


def _after(seconds: float) -> sa.ColumnElement[int]:
    return now_us() + round(seconds * _SECOND_US)


def _is(lease: Lease) -> sa.ColumnElement[bool]:
    return sa.and_(_leases.c.name == lease.name, _leases.c.holder == lease.holder, _leases.c.fence == lease.fence)


def _lost(lease: Lease) -> LeaseLostError:
    return LeaseLostError(
        f"another node has taken over {lease.name} from {lease.holder}, which did not renew its lease in time: "
        "it does the rest, and nothing has to be done here"
    )
