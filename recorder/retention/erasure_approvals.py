"""Approvals of erasures that take three people, in the file of people.

Erasing much card data of a held recording takes the approval of the data protection officer and of a third person whom
the order names. One of the two must have listened to the whole span. The database enforces these rules
(`recorder.access.triggers`).
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
    """The progress of an order that takes three people.

    Attributes:
        has_third: Whether the third person has approved.
        dpo_by: The data protection officer who has approved, or None.
        heard_by: Who was sent the whole span, or None.
        heard_at: The earliest moment at which they can have heard all of it.
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
        """Tell whether the span may be erased."""
        return self.has_third and self.dpo_by is not None and self.heard_by in {self.third, self.dpo_by}


class Approvals:
    """The approvals in a file of people.

    Args:
        engine: From ``open_accounts``; stays the caller's.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def name_third(self, erasure: str, *, ordered_by: str, third: str) -> None:
        """Store the third person of an order."""
        values = {"erasure": erasure, "ordered_by": ordered_by, "third": third}
        with self._engine.begin() as connection:
            connection.execute(insert(erasure_approvals).values(**values))

    def get(self, erasure: str) -> Approval | None:
        """Return the progress of an order, or None if it names no third person."""
        with self._engine.begin() as connection:
            return _found(connection, erasure)

    def approve(self, erasure: str, by: str, at: datetime, *, enter: Callable[[], None]) -> Approval:
        """Approve an order: as the third person, or as the data protection officer.

        Args:
            erasure: The order's id.
            by: Who approves.
            at: When, UTC.
            enter: Writes the audit entry; if it raises, nothing was approved.

        Raises:
            DeniedError: They have approved it already, or it is the last approval and nobody has listened.
        """
        with self._engine.begin() as connection:
            before = _found(connection, erasure)
            assert before is not None, "the caller has checked"
            if before.has_third if by == before.third else before.dpo_by is not None:
                raise DeniedError(Fault.TOO_LATE, "You approved this already; now the other person has to.")
            if before.has_third or before.dpo_by is not None:
                _check_heard(before, by, at)
            values = {"third_s": at.timestamp()} if by == before.third else {"dpo_by": by, "dpo_s": at.timestamp()}
            _change(connection, erasure, values)
            after = _found(connection, erasure)
            assert after is not None
            enter()
        return after

    def heard(self, erasure: str, by: str, at: datetime) -> None:
        """Note that a person who did not order the erasure was sent the whole span.

        An entry of one of the two approvers is not replaced; that of another person is.

        Args:
            erasure: The order's id.
            by: Who.
            at: The earliest moment at which they can have heard all of it, UTC.
        """
        with self._engine.begin() as connection:
            known = _found(connection, erasure)
            if known is None or by == known.ordered_by:
                return
            if known.heard_by is None or known.heard_by not in {known.third, known.dpo_by, by}:
                _change(connection, erasure, {"heard_by": by, "heard_s": at.timestamp()})

    def begin_again(self, erasure: str) -> None:
        """Withdraw the approvals, because a hold was placed that the approvers did not know of."""
        with self._engine.begin() as connection:
            _change(connection, erasure, {"third_s": None, "dpo_by": None, "dpo_s": None})


def _check_heard(before: Approval, by: str, at: datetime) -> None:
    """Check that one of the two approvers, including the current one, has listened to the span."""
    two = {before.third, by if by != before.third else before.dpo_by}
    if before.heard_by is None or before.heard_by not in two:
        raise DeniedError(
            Fault.TOO_LATE,
            "Neither approver has listened to the whole span yet: one of you has to, on the page of erasures.",
        )
    if before.heard_at is None or before.heard_at > at:
        raise DeniedError(
            Fault.TOO_LATE, "The person who listens cannot have heard the whole span yet: approve it when they have."
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
