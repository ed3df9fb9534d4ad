"""Transfers: who may ask, and what becomes of the recording when a party is replaced. Pure (design section 3.7).

A recording is of a nominated extension and of somebody who was told. Whoever comes in is measured by that alone, by
whatever way: a REFER, an INVITE with Replaces, or another name on a leg that stays.
"""

import enum
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from recorder.calls.rules.call_events import After, CallState, Side
from recorder.rules.policy import AnsweredBy, Direction, Extension, Nomination
from recorder.rules.written_numbers import is_spelled_alike


class PartyStatus(enum.Enum):
    """What a party is to the rules."""

    NOMINATED = "at a nominated extension"
    TOLD = "outside, has heard the notice"
    UNTOLD = "outside, has not heard the notice"
    EXEMPT = "emergency services, or a mailbox"


_N, _T, _U, _E = PartyStatus.NOMINATED, PartyStatus.TOLD, PartyStatus.UNTOLD, PartyStatus.EXEMPT
_RECORD, _ANNOUNCE, _OUT = After.RECORD, After.ANNOUNCE, After.OUT_OF_SCOPE
_COLUMNS = (_N, _T, _U, _E)
_ROWS: Mapping[PartyStatus, tuple[After, After, After, After]] = {
    # who stays; who comes: nominated told    untold     exempt
    _N:                    (_RECORD,   _RECORD, _ANNOUNCE, _OUT),
    _T:                    (_RECORD,   _OUT,    _OUT,      _OUT),
    _U:                    (_ANNOUNCE, _OUT,    _OUT,      _OUT),
    _E:                    (_OUT,      _OUT,    _OUT,      _OUT),
}  # fmt: skip

TABLE: Mapping[tuple[PartyStatus, PartyStatus], After] = MappingProxyType(
    {(stays, comes): after for stays, row in _ROWS.items() for comes, after in zip(_COLUMNS, row, strict=True)}
)
"""What follows, by who stays and who comes in. Emergency services and mailboxes hear no notice and are never
recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Who is on a side of a call.

    Attributes:
        number: Their number, as signalled.
        extension: Their extension, if it is nominated.
        is_told: They have heard the notice in full.
        is_emergency: They are emergency services.
        is_mailbox: It is nobody: voicemail.
        is_claimed: The number is what a caller from outside says, who may claim any.
    """

    number: str
    extension: Extension | None = None
    is_told: bool = False
    is_emergency: bool = False
    is_mailbox: bool = False
    is_claimed: bool = False

    @property
    def status(self) -> PartyStatus:
        """Return what they are to the rules."""
        if self.is_emergency or self.is_mailbox:
            return PartyStatus.EXEMPT
        if self.extension is not None:
            return PartyStatus.NOMINATED
        return PartyStatus.TOLD if self.is_told else PartyStatus.UNTOLD


def parties_of(
    nomination: Nomination | None, *, calling: str, called: str, is_claimed: bool = False
) -> dict[Side, Party]:
    """Return who is on the sides of a call that begins.

    Args:
        nomination: Why it is recorded; None is a call that is passed on.
        calling: The number that calls.
        called: The number that is called.
        is_claimed: Somebody outside calls, who may claim any number.
    """
    first = nomination.extension if nomination is not None else None
    second = nomination.second if nomination is not None else None
    if nomination is not None and nomination.direction is Direction.OUTBOUND:
        first, second = second, first
    return {
        Side.A: Party(number=calling, extension=second, is_claimed=is_claimed),
        Side.B: Party(number=called, extension=first),
    }


def answering_for(called: Party, party: Party) -> Party:
    """Return what a party is who answers a call to another number.

    Somebody who is not nominated is taken for the extension that was called, where that one is ``answered_by``
    anybody: a member of a queue. This ends with the first name, so that a member can hand the call to somebody else.
    """
    queue = called.extension
    if queue is None or queue.answered_by is not AnsweredBy.ANYBODY or party.status is not PartyStatus.UNTOLD:
        return party
    return replace(party, extension=queue) if is_spelled_alike(called.number, queue.number) else party


def officer_after(stays: PartyStatus, comes: PartyStatus, *, target: Side, officer: Side) -> Side:
    """Return the side that has the keys once somebody was replaced.

    Args:
        stays: What the one is who stays.
        comes: What the transfer target is.
        target: The side that they come in on.
        officer: Who had the keys until now: it stays so where both are nominated, or neither.
    """
    if (stays is PartyStatus.NOMINATED) is (comes is PartyStatus.NOMINATED):
        return officer
    return target if comes is PartyStatus.NOMINATED else target.other


def why_refused(*, is_inside: bool, state: CallState) -> int | None:
    """Return the status that refuses a request for a transfer, or None when it may be tried.

    Args:
        is_inside: The one who asks speaks for our side of the recorder. A caller could send the call anywhere, at our
            cost and under our name.
        state: Where the call is. Until its sides are joined there is nobody to be transferred, and while one transfer
            is under way another has to wait: both may be asked for again.
    """
    if not is_inside:
        return 603
    return None if state in (CallState.JOINED, CallState.THROUGH_JOINED) else 491


SHORTEST = 3
"""Digits of the shortest number that is looked for at the end of a longer one."""
OUTSIDE_DIGITS = 9
"""Digits of the shortest number that can be an outside one."""
NATIONAL_DIGITS = 10
"""Digits, with the trunk prefix, of the shortest number that is dialled from outside its area."""

_WITHHELD = frozenset({"anonymous", "unknown", "restricted", "unavailable", "private", "invalid"})
"""User parts that stand in the place of a number that is not told."""
_NUMBER = re.compile(r"\+?[0-9*#.()-]*[0-9][0-9*#.()-]*", re.ASCII)


def tells_nothing(number: str) -> bool:
    """Tell whether a user part says nothing of who somebody is: it is empty, or the number is withheld."""
    return not number or number.lower() in _WITHHELD


def names_line(named: str, is_known: Callable[[str], bool]) -> bool:
    """Tell whether a user part names a line: a number, or a name that is configured. ``ann`` names none."""
    return is_known(named) or _NUMBER.fullmatch(named) is not None


def is_same_line(known: str, named: str) -> bool:
    """Tell whether two numbers are one line: equal, or an outside one ends in the other (2001 and +441632962001).

    What is dialled before a number inside its country or area does not count: 01632962001 is +441632962001.
    """
    return known == named or _ends_alike(known, named, SHORTEST)


def is_same_number(known: str, named: str) -> bool:
    """Tell whether two numbers are one, written in full: 01632962001 and +441632962001, but not 2001.

    This is for a name that changes during a call: 07700902001 is then a mobile phone to which 2001 has handed it.
    """
    return known == named or _ends_alike(known, named, OUTSIDE_DIGITS)


def _ends_alike(one: str, other: str, least: int) -> bool:
    (shorter, _), (longer, written) = sorted(
        ((_significant(number), number) for number in (one, other)), key=lambda pair: (len(pair[0]), len(pair[1]))
    )
    return len(shorter) >= least and shorter.isdigit() and _is_outside(written) and longer.endswith(shorter)


def _is_outside(number: str) -> bool:
    digits = number.removeprefix("+")
    return number.startswith(("+", "0")) and digits.isdigit() and len(digits) >= OUTSIDE_DIGITS


def _significant(number: str) -> str:
    """Return a number without + or, where it is long enough to have one, without its trunk prefix."""
    digits = number.removeprefix("+")
    return digits.lstrip("0") if len(digits) >= NATIONAL_DIGITS else digits


def who_answered(dialled: str, *, early: str | None, answering: str | None, is_known: Callable[[str], bool]) -> str:
    """Return the number of the party who answered a call.

    There is one rule, whichever message names them: the last name before the answer counts, and the 2xx comes last.

    Args:
        dialled: The number that was called.
        early: The last name that a request of the far side (UPDATE) gave before the answer, or None.
        answering: The name in the 2xx, or None.
        is_known: Tells whether a number, however it is written, is configured: an extension or a mailbox.

    Returns:
        ``dialled`` where nobody else was named: no name, one that names no line, or another form of that number. A
        number that is configured is no other form of it: a queue 600 is not its member 01632962600.
    """
    named = next((name for name in (answering, early) if name and names_line(name, is_known)), None)
    if named is None or (not is_known(named) and is_same_line(dialled, named)):
        return dialled
    return named
