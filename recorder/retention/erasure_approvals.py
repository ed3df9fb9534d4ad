"""Approvals of erasures that take three people, in the file of people: who approves, and who has listened to the span.

Much card data of a held recording: the data protection officer approves, and a third person whom the order names. One
of those two has listened to all of the span. The database keeps those rules (`recorder.access.triggers`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update

from recorder.access.database import from_s
from recorder.access.tables import erasure_approvals
from recorder.permissions import DeniedError, Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """How far an order has come that takes three people.

    Attributes:
        erasure: The order's id.
        ordered_by: Who ordered it.
        third: The person whom it names.
        has_third: Whether they have approved.
        dpo_by: The data protection officer who has approved, or None.
        heard_by: Who was sent all of the span, or None.
        heard_at: From when on they can have heard it: it takes as long as it is.
    """

    erasure: str
    ordered_by: str
    third: str
    has_third: bool = False
    dpo_by: str | None = None
    heard_by: str | None = None
    heard_at: datetime | None = None

    @property
    def is_complete(self) -> bool:
        """Tell whether the span may go."""
        return self.has_third and self.dpo_by is not None and self.heard_by in {self.third, self.dpo_by}


class Approvals:
    """The approvals of one file of people.

    Args:
        engine: From ``open_people``; stays the caller's.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def name_third(self, erasure: str, *, ordered_by: str, third: str) -> None:
        """Keep whom an order names."""
        values = {"erasure": erasure, "ordered_by": ordered_by, "third": third}
        with self._engine.begin() as connection:
            connection.execute(insert(erasure_approvals).values(**values))

    def get(self, erasure: str) -> Approval | None:
        """Return how far an order has come, or None: it names nobody."""
        with self._engine.begin() as connection:
            return _found(connection, erasure)

    def approve(self, erasure: str, by: str, at: datetime, *, enter: Callable[[], None]) -> Approval:
        """Approve an order: as the third person, or as the data protection officer.

        Args:
            erasure: The order's id.
            by: Who.
            at: When, UTC.
            enter: Writes it to the audit log; when it raises, nothing was approved.

        Raises:
            DeniedError: They have approved it already, or nobody has listened and this would be the last approval.
        """
        with self._engine.begin() as connection:
            before = _found(connection, erasure)
            assert before is not None, "the caller has looked"
            if before.has_third if by == before.third else before.dpo_by is not None:
                raise DeniedError(Fault.TOO_LATE, "That is approved already; the other person has to approve it too.")
            if before.has_third or before.dpo_by is not None:
                _check_heard(before, by, at)
            values = {"third_s": at.timestamp()} if by == before.third else {"dpo_by": by, "dpo_s": at.timestamp()}
            _change(connection, erasure, values)
            after = _found(connection, erasure)
            assert after is not None
            enter()
        return after

    def heard(self, erasure: str, by: str, at: datetime) -> None:
        """Keep that somebody who did not order it was sent all of the span.

        One of the two who approve stays; somebody else, such as another data protection officer, does not.

        Args:
            erasure: The order's id.
            by: Who.
            at: From when on they can have heard it, UTC.
        """
        with self._engine.begin() as connection:
            known = _found(connection, erasure)
            if known is None or by == known.ordered_by:
                return
            if known.heard_by is None or known.heard_by not in {known.third, known.dpo_by, by}:
                _change(connection, erasure, {"heard_by": by, "heard_s": at.timestamp()})

    def begin_again(self, erasure: str) -> None:
        """Take approvals back: a hold came between, of which who approved did not know."""
        with self._engine.begin() as connection:
            _change(connection, erasure, {"third_s": None, "dpo_by": None, "dpo_s": None})


def _check_heard(before: Approval, by: str, at: datetime) -> None:
    """Make sure that of the two who approve, one of whom is about to, one has listened to the span."""
    two = {before.third, by if by != before.third else before.dpo_by}
    if before.heard_by is None or before.heard_by not in two:
        raise DeniedError(
            Fault.TOO_LATE,
            "Neither of the two who approve has listened to all of the span yet: one does, on the page of erasures.",
        )
    if before.heard_at is None or before.heard_at > at:
        raise DeniedError(
            Fault.TOO_LATE, "The span is not over yet for whoever listens to it: approve it when they have heard it."
        )


def _change(connection: Connection, erasure: str, values: dict[str, Any]) -> None:
    connection.execute(update(erasure_approvals).where(erasure_approvals.c.erasure == erasure).values(**values))


def _found(connection: Connection, erasure: str) -> Approval | None:
    query = select(erasure_approvals).where(erasure_approvals.c.erasure == erasure)
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    return Approval(
        erasure=erasure, ordered_by=row["ordered_by"], third=row["third"], has_third=row["third_s"] is not None,
        dpo_by=row["dpo_by"], heard_by=row["heard_by"], heard_at=from_s(row["heard_s"]),
    )  # fmt: skip
