"""Confirmations that a stopped sweep may go on, in the file of people: given by two people, used once."""

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, insert, select, update

from recorder.access.database import AuditNote, from_s
from recorder.access.tables import sweep_consents
from recorder.permissions import Person
from recorder.retention.sweep_consent import Consent, check_consent
from recorder.retention.sweep_safeguards import Stop
from recorder.rules.requesting import Approvers

CONFIRMED = "retention.confirmed"
"""Act of the audit log."""


class Consents:
    """The confirmations in a file of people.

    Args:
        engine: From ``open_accounts``; stays the caller's.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def give(
        self,
        person: Person,
        approvers: Approvers,
        what: Stop,
        *,
        due: int,
        now: datetime,
        enter: Callable[[AuditNote], None],
    ) -> Consent:
        """Confirm that a sweep goes on, as the first or the second person.

        Args:
            person: Who confirms.
            approvers: The people who may decide.
            what: Why the sweep stopped.
            due: How many recordings are due.
            now: The recorder's clock, UTC.
            enter: Writes the audit entry; if it raises, nothing was confirmed.

        Raises:
            DeniedError: They may not.
        """
        with self._engine.begin() as connection:
            waiting = [one for one in _unused(connection, what) if one.second_by is None and one.stands(due, now)]
            first = next(iter(waiting), None)
            check_consent(person, approvers, first)
            if first is None:
                given = Consent(id=secrets.token_hex(4), what=what, due=due, first_by=person.name, first_at=now)
                connection.execute(insert(sweep_consents).values(**_columns(given)))
            else:
                given = _with_second(connection, first, person.name, now)
            details = {"what": str(what), "due": due, "is_enough": given.second_by is not None, "consent": given.id}
            enter(AuditNote(act=CONFIRMED, subject="", details=details))
        return given

    def take(self, what: Stop, *, due: int, now: datetime) -> Consent | None:
        """Return a valid confirmation of two people and mark it as used; None if there is none for so many."""
        with self._engine.begin() as connection:
            good = [one for one in _unused(connection, what) if one.second_by is not None and one.stands(due, now)]
            found = next(iter(good), None)
            if found is not None:
                is_it = sweep_consents.c.id == found.id
                connection.execute(update(sweep_consents).where(is_it).values(used_s=now.timestamp()))
        return found


def _with_second(connection: Connection, first: Consent, by: str, now: datetime) -> Consent:
    is_it = sweep_consents.c.id == first.id
    connection.execute(update(sweep_consents).where(is_it).values(second_by=by, second_s=now.timestamp()))
    return Consent(
        id=first.id, what=first.what, due=first.due, first_by=first.first_by, first_at=first.first_at, second_by=by
    )


def _unused(connection: Connection, what: Stop) -> list[Consent]:
    query = select(sweep_consents).where(sweep_consents.c.what == str(what), sweep_consents.c.used_s.is_(None))
    rows = connection.execute(query.order_by(sweep_consents.c.first_s.desc())).mappings().all()
    return [_consent(row) for row in rows]


def _columns(consent: Consent) -> dict[str, Any]:
    return {
        "id": consent.id, "what": str(consent.what), "due": consent.due, "first_by": consent.first_by,
        "first_s": consent.first_at.timestamp(),
    }  # fmt: skip


def _consent(row: Any) -> Consent:  # noqa: ANN401 - a RowMapping
    first_at = from_s(row["first_s"])
    assert first_at is not None
    return Consent(
        id=row["id"], what=Stop(row["what"]), due=row["due"], first_by=row["first_by"], first_at=first_at,
        second_by=row["second_by"],
    )  # fmt: skip
