"""What a sign-in requires, and when sessions end (P9). Pure."""

import enum
from dataclasses import dataclass, replace
from datetime import timedelta

from recorder.permissions import Person, Role

SECOND_FACTOR_ROLES = frozenset(Role) - {Role.OFFICER}
"""Roles that need a second factor to sign in: they approve, listen or administer.

An officer may sign in by password alone, to pause the calls at their own phone; to listen they need a second factor too
(`recorder.permissions.HEARS`).
"""


class SecondFactor(enum.StrEnum):
    """Who must have an authenticator."""

    REQUIRED = "required"
    """Everybody who approves, listens or administers."""
    OFF = "off"
    """Nobody. A person who has set one up is still asked for its code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """When sessions end: after an idle time, and after a total time."""

    idle: timedelta = timedelta(minutes=30)
    longest: timedelta = timedelta(hours=12)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIdIdentity:
    """A person's identity as an OpenID provider states it.

    Attributes:
        subject: The provider's permanent, unique name of the person.
        account: The account that the provider names, which may pass to another person later; None if it names none.
        has_second_factor: Whether it states that a second factor was given which is trusted here.
    """

    issuer: str
    subject: str
    account: str | None = None
    has_second_factor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInRules:
    """How people sign in, at the console and in the shell."""

    second_factor: SecondFactor = SecondFactor.REQUIRED
    limits: SessionLimits = SessionLimits()

    def must_enrol(self, person: Person) -> bool:
        """Tell whether a person without a second factor must set one up before they are signed in."""
        return self.second_factor is SecondFactor.REQUIRED and bool(person.roles & SECOND_FACTOR_ROLES)

    def counts_as_proven(self, *, is_proven: bool) -> bool:
        """Tell whether a session may do what takes a second factor."""
        return is_proven or self.second_factor is SecondFactor.OFF

    def as_signed_in(self, person: Person, *, is_proven: bool) -> Person | None:
        """Return the person with the roles that their session gives, or None if they must sign in again.

        A session that began by password alone does not get a role that needs a second factor. An officer keeps the
        officer's role, because they may be in a call.

        Args:
            person: As the account is now.
            is_proven: Whether the session began with a second factor.
        """
        if is_proven or not self.must_enrol(person):
            return replace(person, is_proven=self.counts_as_proven(is_proven=is_proven))
        roles = person.roles - SECOND_FACTOR_ROLES
        return replace(person, roles=roles, is_proven=False) if roles else None
