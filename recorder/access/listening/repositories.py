"""Repositories of access requests."""

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
    """What checking and storing access requests needs.

    Attributes:
        now: The clock, UTC.
    """

    index: Index
    people: People
    requests: Requests
    appointments: Appointments
    emergencies: Emergencies
    audit_service: AuditService
    now: Callable[[], datetime]

    @property
    def approvers(self) -> Approvers:
        """Return the people who may decide."""
        return self.appointments.approvers(self.people)

    @property
    def contradicted(self) -> list[str]:
        """Return the break-glass acts on which audit log and file of people disagree."""
        seals = self.people.seals
        return [] if seals is None else self.emergencies.contradicted(seals.explained())

    @classmethod
    def on(
        cls, engine: Engine, index: Index, people: People, audit_service: AuditService, now: Callable[[], datetime]
    ) -> "AccessRepositories":
        """Return the repositories of one file of people."""
        return cls(
            index=index, people=people, requests=Requests(engine, now=now), audit_service=audit_service, now=now,
            appointments=Appointments(engine, now=now), emergencies=Emergencies(engine, now=now),
        )  # fmt: skip
