"""Signing on at a phone: who may do so from their page, and who must key a code at the phone. Pure.

An officer's calls are found, paused and erased under their name, so nobody may put a name on a phone from elsewhere.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from recorder.permissions import Person
from recorder.rules.policy import Extension

NOT_PROVEN = "officer_not_proven_at_the_phone"
"""Remark of a recording: an officer had signed on from their page only, without a code keyed at the phone.

A retroactive pause of theirs then takes a second person.
"""

TOLD_FOR = timedelta(days=7)
"""How long people are notified of a takeover."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Who is at a phone when a call comes to it.

    Attributes:
        operator: As calls name them.
        is_proven: Whether they are the phone's own officer: configured as theirs, or they keyed a code there.
    """

    operator: str
    is_proven: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SignOn:
    """A sign-on at one extension.

    Attributes:
        operator: As calls name them.
        at: Since when, UTC.
        is_proven: Whether a code was keyed at the phone.
    """

    operator: str
    at: datetime
    is_proven: bool

    def is_over(self, now: datetime, lasts: timedelta) -> bool:
        """Tell whether it has expired; a clock that was set back by over five minutes ends it too."""
        return not self.at <= now + timedelta(minutes=5) or now >= self.at + lasts


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """A phone was taken over from somebody: both are notified.

    Attributes:
        operator: Who signed on, as calls name them.
        instead_of: Who was signed on there, or for whom it is configured.
        at: When, UTC.
    """

    extension: str
    operator: str
    instead_of: str
    at: datetime


class SignOnWay(enum.Enum):
    """How a person may sign on at an extension."""

    AT_ONCE = "at_once"
    """From their page or the command line."""
    BY_CODE = "by_code"
    """By a code that is keyed at the phone."""


def route_to(
    person: Person,
    extension: Extension,
    there: SignOn | None,
    *,
    teams: Iterable[str],
    is_anothers: bool,
) -> SignOnWay:
    """Return how a person may sign on at an extension.

    Args:
        person: Who.
        extension: Where.
        there: Who is signed on there now, possibly themselves.
        teams: The person's teams.
        is_anothers: Whether it is the own extension of another account.
    """
    if there is not None:
        return SignOnWay.BY_CODE
    if is_own_phone(person, extension, is_anothers=is_anothers):
        return SignOnWay.AT_ONCE
    is_nobodys = not extension.operator and not is_anothers
    return SignOnWay.AT_ONCE if is_nobodys and extension.team in ("", *teams) else SignOnWay.BY_CODE


def is_own_phone(person: Person, extension: Extension, *, is_anothers: bool) -> bool:
    """Tell whether an extension is configured as a person's, and as nobody else's."""
    if extension.operator:
        return extension.operator == person.display_name
    return extension.number == person.extension and not is_anothers


def displaced(operator: str, extension: Extension, there: SignOn | None) -> str | None:
    """Return from whom a person takes a phone over by signing on; None if from nobody."""
    before = extension.operator if there is None else there.operator
    return before if before not in ("", operator) else None
