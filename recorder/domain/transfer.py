"""Transfers: who may ask, and what becomes of the recording when a party is replaced. Pure (design section 3.7).

A recording is of a nominated extension and of somebody who was told. Whoever comes in is measured by that alone, by
whatever way: a REFER, an INVITE with Replaces, or another name on a leg that stays.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from recorder.domain.call_words import After, Side, State
from recorder.domain.policy import Direction, Extension, Nomination


class Standing(enum.Enum):
    """What a party is to the rules."""

    NOMINATED = "at a nominated extension"
    TOLD = "outside, has heard the notice"
    UNTOLD = "outside, has not heard the notice"
    EXEMPT = "emergency services, or a mailbox"


_N, _T, _U, _E = Standing.NOMINATED, Standing.TOLD, Standing.UNTOLD, Standing.EXEMPT
_RECORD, _ANNOUNCE, _OUT = After.RECORD, After.ANNOUNCE, After.OUT_OF_SCOPE
_COLUMNS = (_N, _T, _U, _E)
_ROWS: Mapping[Standing, tuple[After, After, After, After]] = {
    # who stays; who comes: nominated told    untold     exempt
    _N:                    (_RECORD,   _RECORD, _ANNOUNCE, _OUT),
    _T:                    (_RECORD,   _OUT,    _OUT,      _OUT),
    _U:                    (_ANNOUNCE, _OUT,    _OUT,      _OUT),
    _E:                    (_OUT,      _OUT,    _OUT,      _OUT),
}  # fmt: skip

TABLE: Mapping[tuple[Standing, Standing], After] = MappingProxyType(
    {(stays, comes): after for stays, row in _ROWS.items() for comes, after in zip(_COLUMNS, row, strict=True)}
)
"""What follows, by who stays and who comes in. Emergency services and mailboxes hear no notice and are never
recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupant:
    """Who is on a side of a call.

    Attributes:
        number: Their number, as signalled.
        extension: Their extension, if it is nominated.
        is_told: They have heard the notice in full.
        is_emergency: They are emergency services.
        is_mailbox: It is nobody: voicemail.
    """

    number: str
    extension: Extension | None = None
    is_told: bool = False
    is_emergency: bool = False
    is_mailbox: bool = False

    @property
    def standing(self) -> Standing:
        """Return what they are to the rules."""
        if self.is_emergency or self.is_mailbox:
            return Standing.EXEMPT
        if self.extension is not None:
            return Standing.NOMINATED
        return Standing.TOLD if self.is_told else Standing.UNTOLD


def occupants_of(nomination: Nomination | None, *, calling: str, called: str) -> dict[Side, Occupant]:
    """Return who is on the sides of a call that begins; ``nomination`` None is a call that is passed on."""
    first = nomination.extension if nomination is not None else None
    second = nomination.second if nomination is not None else None
    if nomination is not None and nomination.direction is Direction.OUTBOUND:
        first, second = second, first
    return {
        Side.A: Occupant(number=calling, extension=second),
        Side.B: Occupant(number=called, extension=first),
    }


def officer_after(stays: Standing, comes: Standing, *, newcomer: Side, officer: Side) -> Side:
    """Return the side that has the keys once somebody was replaced.

    Args:
        stays: What the one is who stays.
        comes: What the newcomer is.
        newcomer: The side that they come in on.
        officer: Who had the keys until now: it stays so where both are nominated, or neither.
    """
    if (stays is Standing.NOMINATED) is (comes is Standing.NOMINATED):
        return officer
    return newcomer if comes is Standing.NOMINATED else newcomer.other


def why_refused(*, is_inside: bool, state: State) -> int | None:
    """Return the status that refuses a request for a transfer, or None when it may be tried.

    Args:
        is_inside: The one who asks speaks for our side of the recorder. A caller could send the call anywhere, at our
            cost and under our name.
        state: Where the call is. Until its sides are joined there is nobody to be transferred, and while one transfer
            is under way another has to wait: both may be asked for again.
    """
    if not is_inside:
        return 603
    return None if state in (State.JOINED, State.THROUGH_JOINED) else 491


SHORTEST = 3
"""Digits of the shortest number that is looked for at the end of a longer one."""

_WITHHELD = frozenset({"anonymous", "unknown", "restricted", "unavailable", "private", "invalid"})
"""User parts that stand in the place of a number that is not told."""


def tells_nothing(number: str) -> bool:
    """Tell whether a user part says nothing of who somebody is: it is empty, or the number is withheld."""
    return not number or number.lower() in _WITHHELD


def is_same_line(known: str, named: str) -> bool:
    """Tell whether two numbers are one line: equal, or one ends in the other (2001 and +441632962001).

    What is dialled before a number inside its country or area does not count: 01632962001 is +441632962001.
    """
    if known == named:
        return True
    shorter, longer = sorted((_without_trunk_prefix(known), _without_trunk_prefix(named)), key=len)
    return len(shorter) >= SHORTEST and shorter.isdigit() and longer.endswith(shorter)


def _without_trunk_prefix(number: str) -> str:
    return number.removeprefix("+").lstrip("0")


def who_answered(dialled: str, *, early: str | None, answering: str | None) -> str:
    """Return the number of the party who answered a call.

    There is one rule, whichever message names them: the last name before the answer counts, and the 2xx comes last.

    Args:
        dialled: The number that was called.
        early: The last name that a request of the far side (UPDATE) gave before the answer, or None.
        answering: The name in the 2xx, or None.

    Returns:
        ``dialled`` where nobody else was named: no name, one that tells nothing, or another form of that number.
    """
    named = next((name for name in (answering, early) if name and not tells_nothing(name)), None)
    return dialled if named is None or is_same_line(dialled, named) else named
