"""What signing in takes, and when it ends. Pure (P9)."""

import enum
from dataclasses import dataclass
from datetime import timedelta

from recorder.domain.access import Person, Role

SECOND_FACTOR_ROLES = frozenset(Role) - {Role.OFFICER}
"""Roles that do not even sign in on a password alone: they approve, listen or administer. An officer may, to pause the
calls at their own phone; to listen takes a second factor of them too (`access.TAKES_SECOND_FACTOR`)."""


class SecondFactor(enum.StrEnum):
    """Who has to have an authenticator."""

    REQUIRED = "required"
    """Whoever approves, listens or administers."""
    OFF = "off"
    """Nobody; whoever has set one up is asked for its code all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """When sessions end: after so long in which nothing was done, and after so long whatever is done."""

    idle: timedelta = timedelta(minutes=30)
    longest: timedelta = timedelta(hours=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInRules:
    """How people sign in, to the console and at the shell."""

    second_factor: SecondFactor = SecondFactor.REQUIRED
    limits: SessionLimits = SessionLimits()

    def must_enrol(self, person: Person) -> bool:
        """Tell whether somebody who has no second factor must set one up before they are signed in."""
        return self.second_factor is SecondFactor.REQUIRED and bool(person.roles & SECOND_FACTOR_ROLES)

    def counts_as_proven(self, *, is_proven: bool) -> bool:
        """Tell whether a session is good for what takes a second factor."""
        return is_proven or self.second_factor is SecondFactor.OFF
