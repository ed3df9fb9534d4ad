"""The table of erasure orders, in the database of the index, and the state table of an order.

An order is durable when `Erasures.place` returns. Until it is done or declined its recording is locked. Safe from any
thread and from several processes. Who may order, confirm or decline is decided by `recorder.rules.erasing`.
"""

import enum
import secrets
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa

from storage.database import Database
from storage.errors import ErasureStateError, NotFoundError
from storage.retention_types import ALONE, ErasureKind, ErasureOrder, ErasureState
from storage.tables import erasures as _orders
from storage.tables import microseconds, moment_of
from storage.types import RecordingId


class ErasureEvent(enum.StrEnum):
    """Event of an erasure order."""

    CONFIRM = "confirm"
    DECLINE = "decline"
    SUCCEED = "succeed"
    FAIL = "fail"
    SEND_BACK = "be sent back"


TABLE: Mapping[tuple[ErasureState, ErasureEvent], ErasureState] = MappingProxyType(
    {
        (ErasureState.WAITING, ErasureEvent.CONFIRM): ErasureState.CONFIRMED,
        (ErasureState.WAITING, ErasureEvent.DECLINE): ErasureState.DECLINED,
        # Nothing of the recording was kept, so nobody has to confirm.
        (ErasureState.WAITING, ErasureEvent.SUCCEED): ErasureState.DONE,
        (ErasureState.CONFIRMED, ErasureEvent.SUCCEED): ErasureState.DONE,
        (ErasureState.CONFIRMED, ErasureEvent.FAIL): ErasureState.FAILED,
        # A hold was placed since, of which the second person did not know.
        (ErasureState.CONFIRMED, ErasureEvent.SEND_BACK): ErasureState.WAITING,
        (ErasureState.FAILED, ErasureEvent.SEND_BACK): ErasureState.WAITING,
        (ErasureState.FAILED, ErasureEvent.SUCCEED): ErasureState.DONE,
        (ErasureState.FAILED, ErasureEvent.FAIL): ErasureState.FAILED,
        # An order that cannot be carried out (damage, a hold) must not lock the recording permanently.
        (ErasureState.FAILED, ErasureEvent.DECLINE): ErasureState.DECLINED,
    }
)
"""The state table of an order; other pairs are refused."""

CLOSED = frozenset({ErasureState.DONE, ErasureState.DECLINED})
"""States in which an order does not lock its recording."""

_CHANGING = frozenset({"state", "decided_by", "decided_us", "done_us", "problem"})
"""Columns that change after the order was placed."""

FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=1)


def new_order_id() -> str:
    """Return a fresh id of an order: 8 hex."""
    return secrets.token_hex(4)


def is_open(order: ErasureOrder) -> bool:
    """Tell whether an order locks its recording."""
    return order.state not in CLOSED


def after(state: ErasureState, event: ErasureEvent) -> ErasureState:
    """Return the state that follows.

    Raises:
        ErasureStateError: The event cannot happen in that state.
    """
    try:
        return TABLE[state, event]
    except KeyError:
        raise ErasureStateError(f"an order that is {state} cannot {event}") from None


def retry_after(attempts: int) -> timedelta:
    """Return how long to wait after the ``attempts``-th failure (from 1): doubling, at most an hour."""
    return min(FIRST_RETRY * (1 << min(attempts - 1, 10)), LONGEST_RETRY)


class Erasures:
    """The erasure orders in one database.

    Args:
        database: The database, or its URL.

    Raises:
        DatabaseError: The database cannot be used; applies to every method.
        OSError: The folder of its file cannot be made; applies to every method.
    """

    def __init__(self, database: Database | str) -> None:
        self._database = Database(database) if isinstance(database, str) else database

    def place(self, order: ErasureOrder) -> None:
        """Store a new order durably; an existing order with its id is not changed."""
        with self._database.begin() as connection:
            if _found(connection, order.id) is None:
                values = {**_columns(order), "attempts": 0, "due_us": 0}
                connection.execute(_orders.insert().values(values))

    def save(self, orders: Iterable[ErasureOrder]) -> int:
        """Store orders and their states, all or none; returns how many were missing or in another state."""
        changed = 0
        with self._database.begin() as connection:
            for order in orders:
                found = _found(connection, order.id)
                if found is None:
                    connection.execute(_orders.insert().values({**_columns(order), "attempts": 0, "due_us": 0}))
                elif found.state != str(order.state):
                    values = {name: value for name, value in _columns(order).items() if name in _CHANGING}
                    connection.execute(_orders.update().where(_orders.c.id == order.id).values(values))
                else:
                    continue
                changed += 1
        return changed

    def get(self, order_id: str) -> ErasureOrder:
        """Return an order.

        Raises:
            NotFoundError: No order has that id.
        """
        with self._database.connect() as connection:
            return _known(connection, order_id)

    def of_recording(self, recording: RecordingId) -> list[ErasureOrder]:
        """Return the orders of one recording, oldest first, closed ones included."""
        return self._select(_orders.c.recording == recording)

    def open_orders(self) -> list[ErasureOrder]:
        """Return the orders that lock a recording, oldest first."""
        return self._select(_orders.c.state.not_in([str(state) for state in CLOSED]))

    def newest(self, limit: int) -> list[ErasureOrder]:
        """Return at most ``limit`` orders in any state, newest first."""
        query = _orders.select().order_by(_orders.c.ordered_us.desc(), _orders.c.id).limit(limit)
        with self._database.connect() as connection:
            return [_order(found) for found in connection.execute(query)]

    def count_by_recording(self, kind: ErasureKind, *, since: datetime) -> dict[RecordingId, int]:
        """Return how many orders of a kind were given since a moment, by recording, in any state."""
        query = (
            sa.select(_orders.c.recording, sa.func.count())
            .where(_orders.c.kind == str(kind), _orders.c.ordered_us >= microseconds(since))
            .group_by(_orders.c.recording)
        )
        with self._database.connect() as connection:
            return {RecordingId(recording): count for recording, count in connection.execute(query)}

    def alone_since(self, since: datetime, *, by: str | None = None) -> list[ErasureOrder]:
        """Return the orders given since a moment that no second person decided on, oldest first.

        Args:
            since: The moment.
            by: Who gave them; None for anybody.
        """
        undecided = sa.and_(_orders.c.decided_by.is_(None), _orders.c.state.in_([str(state) for state in ALONE]))
        given = sa.and_(undecided, _orders.c.ordered_us >= microseconds(since))
        return self._select(given if by is None else sa.and_(given, _orders.c.ordered_by == by))

    def decide(self, order_id: str, *, by: str, at: datetime, confirm: bool) -> ErasureOrder:
        """Confirm or decline an order; returns the changed order.

        Raises:
            NotFoundError: No order has that id.
            ErasureStateError: It does not await a decision.
        """
        event = ErasureEvent.CONFIRM if confirm else ErasureEvent.DECLINE
        return self._move(order_id, event, {"decided_by": by, "decided_us": microseconds(at)})

    def take_next(
        self, *, now: datetime, is_ready: Callable[[ErasureOrder], bool] = lambda _: True
    ) -> ErasureOrder | None:
        """Return the oldest order to carry out now, or None.

        Args:
            now: The time; a failed order is retried when its wait is over.
            is_ready: Tells whether the recording of an order is closed, so that it can be erased from.
        """
        due = sa.and_(_orders.c.state == str(ErasureState.FAILED), _orders.c.due_us <= microseconds(now))
        ready = self._select(sa.or_(_orders.c.state == str(ErasureState.CONFIRMED), due))
        return next((order for order in ready if is_ready(order)), None)

    def send_back(self, order_id: str) -> ErasureOrder:
        """Return a confirmed or failed order to the second person for another decision; returns the changed order.

        Raises:
            NotFoundError: No order has that id.
            ErasureStateError: It is neither confirmed nor failed.
        """
        return self._move(order_id, ErasureEvent.SEND_BACK, {"decided_by": None, "decided_us": None, "problem": ""})

    def finish(self, order_id: str, *, at: datetime, problem: str = "") -> ErasureOrder:
        """Store that an order was carried out, or why it failed; returns the changed order.

        Raises:
            NotFoundError: No order has that id.
            ErasureStateError: Its state does not allow that.
        """
        if not problem:
            return self._move(order_id, ErasureEvent.SUCCEED, {"done_us": microseconds(at), "problem": ""})
        with self._database.connect() as connection:
            found = _found(connection, order_id)
        attempts = (found.attempts if found else 0) + 1
        values = {"problem": problem, "attempts": attempts, "due_us": microseconds(at + retry_after(attempts))}
        return self._move(order_id, ErasureEvent.FAIL, values)

    def _select(self, condition: sa.ColumnElement[bool]) -> list[ErasureOrder]:
        query = _orders.select().where(condition).order_by(_orders.c.ordered_us, _orders.c.id)
        with self._database.connect() as connection:
            return [_order(found) for found in connection.execute(query)]

    def _move(self, order_id: str, event: ErasureEvent, values: Mapping[str, Any]) -> ErasureOrder:
        with self._database.begin() as connection:
            order = _known(connection, order_id)
            state = after(order.state, event)
            is_same = sa.and_(_orders.c.id == order_id, _orders.c.state == str(order.state))
            changed = connection.execute(_orders.update().where(is_same).values({**values, "state": str(state)}))
            if not changed.rowcount:
                raise ErasureStateError(f"order {order_id} was decided by somebody else just now")
            return _known(connection, order_id)


def _found(connection: sa.Connection, order_id: str) -> sa.Row[Any] | None:
    return connection.execute(_orders.select().where(_orders.c.id == order_id)).one_or_none()


def _known(connection: sa.Connection, order_id: str) -> ErasureOrder:
    found = _found(connection, order_id)
    if found is None:
        raise NotFoundError(f"there is no order {order_id!r}")
    return _order(found)


def _columns(order: ErasureOrder) -> dict[str, Any]:
    return {
        "id": order.id,
        "recording": order.recording,
        "start_s": order.start_s,
        "end_s": order.end_s,
        "kind": str(order.kind),
        "ordered_by": order.ordered_by,
        "ordered_us": microseconds(order.ordered_at),
        "state": str(order.state),
        "decided_by": order.decided_by,
        "decided_us": None if order.decided_at is None else microseconds(order.decided_at),
        "done_us": None if order.done_at is None else microseconds(order.done_at),
        "problem": order.problem,
    }


def _order(found: sa.Row[Any]) -> ErasureOrder:
    return ErasureOrder(
        id=found.id,
        recording=RecordingId(found.recording),
        start_s=found.start_s,
        end_s=found.end_s,
        kind=ErasureKind(found.kind),
        ordered_by=found.ordered_by,
        ordered_at=moment_of(found.ordered_us),
        state=ErasureState(found.state),
        decided_by=found.decided_by,
        decided_at=moment_of(found.decided_us),
        done_at=moment_of(found.done_us),
        problem=found.problem,
    )
