"""Recordings heard without approval (break-glass), until they are acknowledged.

Only one at a time, for everybody together: the next can be heard once the last has ended and is acknowledged. The
database enforces that (`recorder.access.triggers`).
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, insert, or_, select, update

from recorder.access.database import from_s
from recorder.access.seals import Explained
from recorder.access.tables import break_glass
from recorder.permissions import DeniedError, Fault
from recorder.rules.requesting import BREAK_GLASS_A_DAY, BREAK_GLASS_FOR
from storage.types import RecordingId

LISTED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergency:
    """One break-glass act: who heard what and why, and who acknowledged it."""

    id: str
    account: str
    recording: RecordingId
    reason: str
    at: datetime
    until: datetime
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None


class Emergencies:
    """The break-glass acts in a file of people.

    Args:
        engine: From ``open_accounts``; stays the caller's.
        now: Returns the time, aware, UTC.
    """

    def __init__(self, engine: Engine, *, now: Callable[[], datetime]) -> None:
        self._engine = engine
        self._now = now

    def begin(
        self, account: str, recording: RecordingId, reason: str, *, enter: Callable[[Emergency], None]
    ) -> Emergency:
        """Return the break-glass act by which a person hears a recording: their current one, or a new one.

        Args:
            account: Who.
            recording: What.
            reason: Why.
            enter: Writes the audit entry; if it raises, nothing is stored.

        Raises:
            DeniedError: Another act has not ended or is not acknowledged, or the daily limit is reached.
        """
        now = self._now()
        kept = Emergency(
            id=secrets.token_hex(4), account=account, recording=recording, reason=reason, at=now,
            until=now + BREAK_GLASS_FOR,
        )  # fmt: skip
        with self._engine.begin() as connection:
            pending = _pending(connection, now)
            mine = next((one for one in pending if _is_open(one, account, recording, now)), None)
            if mine is None:
                _check(connection, pending, now)
                row = {
                    "id": kept.id, "account": account, "recording": recording, "reason": reason,
                    "at_s": now.timestamp(), "until_s": kept.until.timestamp(),
                }  # fmt: skip
                connection.execute(insert(break_glass).values(**row))
            enter(mine or kept)
        return mine or kept

    def open(self) -> list[Emergency]:
        """Return those that nobody has acknowledged, newest first."""
        return self._found(break_glass.c.acknowledged_by.is_(None))

    def get(self, emergency_id: str) -> Emergency | None:
        """Return a break-glass act, or None."""
        return next(iter(self._found(break_glass.c.id == emergency_id)), None)

    def contradicted(self, explained: Explained) -> list[str]:
        """Return the acts on which the audit log disagrees: their row is missing, or wrongly acknowledged.

        Retention deletes a row only after it was acknowledged, and not within a day.
        """
        with self._engine.begin() as connection:
            rows = {row["id"]: _emergency(row) for row in connection.execute(select(break_glass)).mappings()}
        since = self._now() - timedelta(days=1)
        gone = {
            id_
            for id_, heard in explained.heard.items()
            if id_ not in rows and (id_ not in explained.acknowledged or heard.at > since)
        }
        false = {
            id_
            for id_, row in rows.items()
            if id_ in explained.heard
            and ((row.account, row.recording) != (explained.heard[id_].account, explained.heard[id_].recording)
                 or (row.acknowledged_by is not None and id_ not in explained.acknowledged))
        }  # fmt: skip
        return sorted(gone | false)

    def acknowledge(self, emergency_id: str, *, by: str) -> bool:
        """Store an acknowledgement; False if there is one already, or no such act."""
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


def _pending(connection: Connection, now: datetime) -> list[Emergency]:
    """Return the acts that have not ended or are not acknowledged; any of them prevents the next."""
    is_recent = break_glass.c.at_s > (now - BREAK_GLASS_FOR).timestamp()
    query = select(break_glass).where(or_(break_glass.c.acknowledged_s.is_(None), is_recent))
    found = [_emergency(row) for row in connection.execute(query).mappings()]
    return [one for one in found if one.acknowledged_by is None or one.until > now]


def _is_open(one: Emergency, account: str, recording: RecordingId, now: datetime) -> bool:
    return (one.account, one.recording) == (account, recording) and one.until > now


def _check(connection: Connection, pending: list[Emergency], now: datetime) -> None:
    if any(one.until > now for one in pending):
        raise DeniedError(
            Fault.NOT_ALLOWED,
            "Only one recording at a time can be listened to without approval. The last 30 minutes are not over.",
        )
    if pending:
        raise DeniedError(
            Fault.NOT_ALLOWED,
            "The last recording that was heard without approval is not acknowledged yet: "
            "the data protection officer or the deputy has to acknowledge it first.",
        )
    since = (now - timedelta(days=1)).timestamp()
    today = connection.execute(select(break_glass.c.id).where(break_glass.c.at_s > since)).all()
    if len(today) >= BREAK_GLASS_A_DAY:
        raise DeniedError(
            Fault.NOT_ALLOWED,
            f"{BREAK_GLASS_A_DAY} recordings were heard without approval within 24 hours, which is the limit.",
        )


def _emergency(row: Any) -> Emergency:  # noqa: ANN401 - a RowMapping
    at = from_s(row["at_s"])
    assert at is not None
    return Emergency(
        id=row["id"],
        account=row["account"],
        recording=RecordingId(row["recording"]),
        reason=row["reason"],
        at=at,
        until=from_s(row["until_s"]) or at + BREAK_GLASS_FOR,
        acknowledged_by=row["acknowledged_by"],
        acknowledged_at=from_s(row["acknowledged_s"]),
    )
