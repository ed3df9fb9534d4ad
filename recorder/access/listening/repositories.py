"""What requests to hear recordings are checked against and kept in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from recorder.access.accounts import People
from recorder.access.listening.appointments import Appointments
from recorder.access.listening.emergencies import Emergencies
from recorder.access.listening.requests import Requests
from recorder.audit.audit_service import AuditService
from recorder.rules.requesting import Approvers
from storage.index import Index


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRepositories:
    """What requests are checked against and kept in.

    Attributes:
        index: Recordings.
        people: Accounts.
        requests: Requests.
        appointments: Who is absent, who stands in.
        emergencies: What was heard without approval.
        ledger: The audit log.
        now: The clock, UTC.
    """

    index: Index
    people: People
    requests: Requests
    appointments: Appointments
    emergencies: Emergencies
    ledger: AuditService
    now: Callable[[], datetime]

    @property
    def approvers(self) -> Approvers:
        """Who there is to decide."""
        return self.appointments.approvers(self.people)

    @property
    def contradicted(self) -> list[str]:
        """The acts of break-glass of which the audit log says otherwise than the file of people."""
        seals = self.people.seals
        return [] if seals is None else self.emergencies.contradicted(seals.explained())

    @classmethod
    def on(
        cls, engine: Engine, index: Index, people: People, ledger: AuditService, now: Callable[[], datetime]
    ) -> "AccessRepositories":
        """Return the books of one file of people."""
        return cls(
            index=index, people=people, requests=Requests(engine, now=now), ledger=ledger, now=now,
            appointments=Appointments(engine, now=now), emergencies=Emergencies(engine, now=now),
        )  # fmt: skip
