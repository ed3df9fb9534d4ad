"""Who lets a sweep go on that has stopped because too much is due, or because the clock cannot be believed. Pure (P11).

Two people say so: one of them is the data protection officer or the deputy, the other somebody else, and neither is
ICT. Whoever sets the machine's clock forward, or lets much fall due at once, cannot have it deleted.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from recorder.permissions import Act, DeniedError, Fault, Person, Refusal, Role
from recorder.retention.sweep_stops import MANY, Stop
from recorder.rules.authorisation import may
from recorder.rules.requesting import Approvers

STANDS_FOR = timedelta(days=1)
"""How long a confirmation is good, by the recorder's clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """That a sweep may go on.

    Attributes:
        id: Eight hexadecimal digits.
        what: Why it stopped.
        due: How many recordings were due when the first of the two looked.
        first_by: The account of who confirmed first.
        first_at: When, UTC.
        second_by: Who confirmed next, or None: it waits for somebody.
    """

    id: str
    what: Stop
    due: int
    first_by: str
    first_at: datetime
    second_by: str | None = None

    def stands(self, due: int, now: datetime) -> bool:
        """Tell whether it is good now, for so many recordings: not for more than were looked at."""
        return self.first_at <= now < self.first_at + STANDS_FOR and due <= self.due + MANY


def check_consent(person: Person, approvers: Approvers, first: Consent | None) -> None:
    """Decide whether somebody may say that a sweep goes on.

    Args:
        person: Who.
        approvers: Who there is.
        first: What somebody confirmed already, or None.

    Raises:
        DeniedError: They may not, or not beside who was first.
    """
    if Role.ICT in person.roles:
        raise DeniedError(
            Fault.NOT_ALLOWED,
            "ICT runs sweeps and sets the clock, so it does not say that a sweep goes on which stopped: "
            "the data protection officer or the deputy does, and somebody else.",
        )
    decision = may(person, Act.CONFIRM_SWEEP)
    if isinstance(decision, Refusal) and not approvers.is_deputy(person):
        raise DeniedError(Fault.NOT_ALLOWED, decision.reason)
    if first is None:
        return
    if first.first_by == person.name:
        raise DeniedError(Fault.NOT_ALLOWED, "You have confirmed it already: now somebody else has to.")
    if not approvers.protectors & {first.first_by, person.name}:
        raise DeniedError(Fault.NOT_ALLOWED, "One of the two who confirm is the data protection officer or the deputy.")
