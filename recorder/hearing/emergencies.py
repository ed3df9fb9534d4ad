"""Recordings that were heard without approval (break-glass), until the data protection officer has acknowledged it."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, insert, select, update

from recorder.people.database import break_glass, from_s
from storage.types import RecordingId

LISTED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergency:
    """One act of break-glass: who heard what and why, and who has taken note of it."""

    id: str
    account: str
    recording: RecordingId
    reason: str
    at: datetime
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None


class Emergencies:
    """The acts of break-glass of one file of people.

    Args:
        engine: From ``open_people``; stays the caller's.
        now: Returns the time, aware, UTC.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    def keep(self, account: str, recording: RecordingId, reason: str) -> Emergency:
        """Keep that somebody is about to hear a recording without approval."""
        kept = Emergency(id=secrets.token_hex(4), account=account, recording=recording, reason=reason, at=self._now())
        row = {
            "id": kept.id, "account": account, "recording": recording, "reason": reason, "at_s": kept.at.timestamp()
        }  # fmt: skip
        with self._engine.begin() as connection:
            connection.execute(insert(break_glass).values(**row))
        return kept

    def open(self) -> list[Emergency]:
        """Return those that nobody has acknowledged, newest first."""
        return self._found(break_glass.c.acknowledged_by.is_(None))

    def get(self, emergency_id: str) -> Emergency | None:
        """Return one, or None."""
        return next(iter(self._found(break_glass.c.id == emergency_id)), None)

    def acknowledge(self, emergency_id: str, *, by: str) -> bool:
        """Put down that somebody has taken note; False when somebody has already, or there is no such act."""
        is_open = break_glass.c.acknowledged_by.is_(None)
        values = {"acknowledged_by": by, "acknowledged_s": self._now().timestamp()}
        with self._engine.begin() as connection:
            found = connection.execute(
                update(break_glass).where(break_glass.c.id == emergency_id, is_open).values(**values)
            )
        return found.rowcount == 1

    def _found(self, condition: ColumnElement[bool]) -> list[Emergency]:
        query = select(break_glass).where(condition).order_by(break_glass.c.at_s.desc()).limit(LISTED)
        with self._engine.begin() as connection:
            return [_emergency(row) for row in connection.execute(query).mappings()]


def _emergency(row: Any) -> Emergency:  # noqa: ANN401 - a RowMapping
    at = from_s(row["at_s"])
    assert at is not None
    return Emergency(
        id=row["id"],
        account=row["account"],
        recording=RecordingId(row["recording"]),
        reason=row["reason"],
        at=at,
        acknowledged_by=row["acknowledged_by"],
        acknowledged_at=from_s(row["acknowledged_s"]),
    )
