"""What signing in takes, and when it ends. Pure (P9)."""

import enum
from dataclasses import dataclass, replace
from datetime import timedelta

from recorder.permissions import Person, Role

SECOND_FACTOR_ROLES = frozenset(Role) - {Role.OFFICER}
"""Roles that do not even sign in on a password alone: they approve, listen or administer. An officer may, to pause the
calls at their own phone; to listen takes a second factor of them too (`access.HEARS`)."""


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
class OpenIdIdentity:
    """Who somebody is, as an OpenID provider says.

    Attributes:
        issuer: The provider.
        subject: Its own name of the person, which it gives to nobody else, ever.
        account: The account that it says is theirs, which it may say of somebody else tomorrow; None: it says of none.
        has_second_factor: Whether it says that a second factor was given which is trusted here.
    """

    issuer: str
    subject: str
    account: str | None = None
    has_second_factor: bool = False


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

    def as_signed_in(self, person: Person, *, is_proven: bool) -> Person | None:
        """Return somebody as their session lets them act, or None: it lets them do nothing, they sign in anew.

        Who signed in on a password and was given a role since that takes a second factor does not have it yet; an
        officer goes on as one, for they may be in a call.

        Args:
            person: As the account is now.
            is_proven: Whether the session began with a second factor.
        """
        if is_proven or not self.must_enrol(person):
            return replace(person, is_proven=self.counts_as_proven(is_proven=is_proven))
        roles = person.roles - SECOND_FACTOR_ROLES
        return replace(person, roles=roles, is_proven=False) if roles else None
