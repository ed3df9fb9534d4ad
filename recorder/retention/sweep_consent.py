"""Who may let a stopped sweep go on: one with too much due, or with an implausible clock (P11). Pure.

Two people must confirm it. One is the data protection officer or the deputy; neither is ICT. So nobody can delete
recordings by setting the machine's clock forward or making much due at once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from recorder.permissions import Act, DeniedError, Fault, Person, Refusal, Role
from recorder.retention.sweep_safeguards import MANY, Stop
from recorder.rules.authorisation import may
from recorder.rules.requesting import Approvers

STANDS_FOR = timedelta(days=1)
"""How long a confirmation is valid, by the recorder's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A confirmation that a sweep may go on.

    Attributes:
        what: Why the sweep stopped.
        due: How many recordings were due when the first person looked.
        first_at: When, UTC.
    """

    id: str
    what: Stop
    due: int
    first_by: str
    first_at: datetime
    second_by: str | None = None

    def stands(self, due: int, now: datetime) -> bool:
        """Tell whether it is valid now, for so many recordings: not for many more than were due then."""
        return self.first_at <= now < self.first_at + STANDS_FOR and due <= self.due + MANY


def check_consent(person: Person, approvers: Approvers, first: Consent | None) -> None:
    """Check whether a person may confirm that a sweep goes on.

    Args:
        person: Who.
        approvers: The people who may decide.
        first: The first confirmation, or None.

    Raises:
        DeniedError: They may not, or not together with the first person.
    """
    if Role.ICT in person.roles:
        raise DeniedError(
            Fault.NOT_ALLOWED,
            "ICT runs sweeps and sets the clock, so it may not let a stopped sweep go on. The data protection officer "
            "or the deputy confirms it, and one more person.",
        )
    decision = may(person, Act.CONFIRM_SWEEP)
    if isinstance(decision, Refusal) and not approvers.is_deputy(person):
        raise DeniedError(Fault.NOT_ALLOWED, decision.reason)
    if first is None:
        return
    if first.first_by == person.name:
        raise DeniedError(Fault.NOT_ALLOWED, "You have confirmed it already: a second person has to.")
    approvers.vouched.check({first.first_by}, person.name)
    if not approvers.protectors & {first.first_by, person.name}:
        raise DeniedError(Fault.NOT_ALLOWED, "One of the two people must be the data protection officer or the deputy.")


class Confirmations(Protocol):
    """Confirmations of two people: `recorder.retention.sweep_consents.Consents`."""

    def take(self, what: Stop, *, due: int, now: datetime) -> Consent | None:
        """Return a confirmation of two people and mark it as used; None if there is none."""
