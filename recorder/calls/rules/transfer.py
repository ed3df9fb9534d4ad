"""The rules of transfers: who may ask, and what follows for the recording. Pure (design section 3.7).

A recording needs a nominated extension and an outside party who has heard the notice. The same rule applies to every
party who comes in, by REFER, by INVITE with Replaces, or by a new identity on a leg.
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
    """The status of a party for the rules."""

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
"""What follows for the recording, by the status of the party who stays and of the party who comes in. Emergency
services and mailboxes hear no notice and are never recorded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A person or device on a side of a call.

    Attributes:
        number: The number, as signalled.
        extension: The extension, if it is nominated.
        is_told: Whether the party has heard the notice in full.
        is_emergency: Whether it is an emergency service.
        is_mailbox: Whether it is voicemail.
        is_claimed: Whether a caller outside asserted the number, and may have claimed any.
    """

    number: str
    extension: Extension | None = None
    is_told: bool = False
    is_emergency: bool = False
    is_mailbox: bool = False
    is_claimed: bool = False

    @property
    def status(self) -> PartyStatus:
        """Return the party's status for the rules."""
        if self.is_emergency or self.is_mailbox:
            return PartyStatus.EXEMPT
        if self.extension is not None:
            return PartyStatus.NOMINATED
        return PartyStatus.TOLD if self.is_told else PartyStatus.UNTOLD


def parties_of(
    nomination: Nomination | None, *, calling: str, called: str, is_claimed: bool = False
) -> dict[Side, Party]:
    """Return the parties of a new call, by side.

    Args:
        nomination: The nomination; None for a passthrough call.
        calling: The caller's number.
        called: The called number.
        is_claimed: Whether a caller outside asserted their number, and may have claimed any.
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
    """Return a party who answers a call to another number, with the called extension if that applies to them.

    If the called extension is ``answered_by`` anybody, a party who is not nominated answers for it, as a member of a
    queue. This holds only for the first party, so that a queue member can transfer the call to somebody else.
    """
    queue = called.extension
    if queue is None or queue.answered_by is not AnsweredBy.ANYBODY or party.status is not PartyStatus.UNTOLD:
        return party
    return replace(party, extension=queue) if is_spelled_alike(called.number, queue.number) else party


def officer_after(stays: PartyStatus, comes: PartyStatus, *, target: Side, officer: Side) -> Side:
    """Return the officer's side after a party was replaced.

    Args:
        stays: The status of the party who stays.
        comes: The status of the transfer target.
        target: The side of the transfer target.
        officer: The officer's side until now; it stays if both parties are nominated, or neither is.
    """
    if (stays is PartyStatus.NOMINATED) is (comes is PartyStatus.NOMINATED):
        return officer
    return target if comes is PartyStatus.NOMINATED else target.other


def why_refused(*, is_inside: bool, state: CallState) -> int | None:
    """Return the status to refuse a request for a transfer with, or None if it may be tried.

    Args:
        is_inside: Whether the request comes from a peer inside. A caller outside could otherwise send the call
            anywhere, at the council's cost and under its name.
        state: The call's state. Before the sides are joined, and while another transfer is under way, the request is
            refused with 491 and may be repeated.
    """
    if not is_inside:
        return 603
    return None if state in (CallState.JOINED, CallState.THROUGH_JOINED) else 491


SHORTEST = 3
"""Digits of the shortest number that is compared with the end of a longer one."""
OUTSIDE_DIGITS = 9
"""Digits of the shortest number that can be outside the PBX."""
NATIONAL_DIGITS = 10
"""Digits of the shortest national number, with its trunk prefix."""

_WITHHELD = frozenset({"anonymous", "unknown", "restricted", "unavailable", "private", "invalid"})
"""User parts that mean that the number is withheld."""
_NUMBER = re.compile(r"\+?[0-9*#.()-]*[0-9][0-9*#.()-]*", re.ASCII)


def tells_nothing(number: str) -> bool:
    """Tell whether a user part is empty or means that the number is withheld."""
    return not number or number.lower() in _WITHHELD


def names_line(named: str, is_known: Callable[[str], bool]) -> bool:
    """Tell whether a user part is a number or a configured name. ``ann`` is neither."""
    return is_known(named) or _NUMBER.fullmatch(named) is not None


def is_same_line(known: str, named: str) -> bool:
    """Tell whether two numbers are the same line: equal, or an outside one ends in the other (2001, +441632962001).

    Trunk and country prefixes do not count: 01632962001 is +441632962001.
    """
    return known == named or _ends_alike(known, named, SHORTEST)


def is_same_number(known: str, named: str) -> bool:
    """Tell whether two full numbers are the same: 01632962001 and +441632962001, but not 2001.

    Used for an identity that changes during a call: there 07700902001 is not 2001, but a mobile phone to which 2001
    has transferred the call.
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
    """Return the digits of a number without + and, if it is long enough, without its trunk prefix."""
    digits = number.removeprefix("+")
    return digits.lstrip("0") if len(digits) >= NATIONAL_DIGITS else digits


def who_answered(dialled: str, *, early: str | None, answering: str | None, is_known: Callable[[str], bool]) -> str:
    """Return the number of the party who answered a call: the last name that the far side gave.

    Args:
        dialled: The number that was called.
        early: The last name in a request of the far side (UPDATE) before the answer, or None.
        answering: The name in the 2xx, which takes precedence, or None.
        is_known: Tells whether a number, in any form, is configured as an extension or a mailbox.

    Returns:
        ``dialled`` if no other line was named: no name, a name that is no line, or another form of the same number. A
        configured number is never another form: the queue 600 is not its member 01632962600.
    """
    named = next((name for name in (answering, early) if name and names_line(name, is_known)), None)
    if named is None or (not is_known(named) and is_same_line(dialled, named)):
        return dialled
    return named
