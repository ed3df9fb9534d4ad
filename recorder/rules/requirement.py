"""What a route, an act on the daemon's socket, a command or a key takes of whoever asks. Pure.

`route_access`, `socket_access` and `command_access` name every one of them; what is not there does not run. They say
which act it is, the tables of `access` and `live_access` say whose. docs/permissions.md is generated from both.
"""

import enum
from dataclasses import dataclass

from recorder.permissions import SCOPE_OF, TABLE, Act, Actor, Application, LocalUser, Person, Role
from recorder.rules.live_access import LIVE_TABLE, Relation


class Subject(enum.StrEnum):
    """What somebody acts on."""

    NOTHING = "nothing"
    """No single call, or what is theirs to see of a list."""
    LIVE = "live"
    """A call in progress."""
    PHONE = "phone"
    """The call at one's own phone."""
    KEPT = "kept"
    """A finished call: its recording, or a hold, an order to erase or a claim on it."""
    MATTER = "matter"
    """What somebody asked for, opened or proposed: it is theirs, whatever call it is about."""


class Door(enum.StrEnum):
    """Who gets as far as being asked for a role."""

    OPEN = "open"
    """Everybody, before they sign in."""
    KNOWN = "known"
    """Whoever is signed in, whatever their role: it is about themselves."""
    ROLE = "role"
    """Whose role has the act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What something takes.

    Attributes:
        door: Who gets there at all.
        acts: The acts of which their role must have one; none where no role is asked for.
        subject: What it acts on, whose relation to them counts.
        is_for_others: Nobody does it in what is their own: it takes a second person.
        is_own: Only in what is their own.
        is_deputys: Whoever stands in for the data protection officer may too.
        stand_ins: Roles that have the act, and do it only where nobody else who has it can.
        is_personal: A token may not, although it has the scope.
        note: Why it takes no role; or what the rules ask besides, a part of a sentence.
    """

    door: Door = Door.ROLE
    acts: tuple[Act, ...] = ()
    subject: Subject = Subject.NOTHING
    is_for_others: bool = False
    is_own: bool = False
    is_deputys: bool = False
    stand_ins: frozenset[Role] = frozenset()
    is_personal: bool = False
    note: str = ""


class UnlistedError(Exception):
    """Something that people or programs can ask for is in no table; a sentence."""


def takes(*acts: Act, note: str = "", deputy: bool = False, personal: bool = False) -> Requirement:
    """Return what takes a role that has one of some acts, on no call in particular."""
    return Requirement(acts=acts, note=note, is_deputys=deputy, is_personal=personal)


def live(act: Act, note: str = "") -> Requirement:
    """Return what an act on a call in progress takes."""
    return Requirement(acts=(act,), subject=Subject.LIVE, note=note)


def phone(act: Act) -> Requirement:
    """Return what an act on the call at one's own phone takes."""
    return Requirement(acts=(act,), subject=Subject.PHONE)


def kept(act: Act, *, others: bool = False, deputy: bool = False, note: str = "") -> Requirement:
    """Return what an act on a finished call takes."""
    return Requirement(acts=(act,), subject=Subject.KEPT, is_for_others=others, is_deputys=deputy, note=note)


def matter(
    act: Act, *, others: bool = False, own: bool = False, deputy: bool = False, stand_in: Role | None = None,
    note: str = "",
) -> Requirement:  # fmt: skip
    """Return what an act on something takes that somebody asked for."""
    return Requirement(
        acts=(act,), subject=Subject.MATTER, is_for_others=others, is_own=own, is_deputys=deputy, note=note,
        stand_ins=frozenset() if stand_in is None else frozenset({stand_in}),
    )  # fmt: skip


def known(note: str) -> Requirement:
    """Return what whoever is signed in may, and why."""
    return Requirement(door=Door.KNOWN, note=note)


def unlocked(note: str) -> Requirement:
    """Return what everybody may before they sign in, and why."""
    return Requirement(door=Door.OPEN, note=note)


EVERYWHERE = frozenset(Relation)
_OWN, _TEAM = frozenset({Relation.OWN}), frozenset({Relation.OWN, Relation.TEAM})
_RELATIONS = tuple(Relation)


def relations_of(role: Role, needed: Requirement, *, has_leave: bool = False) -> frozenset[Relation]:
    """Return in which calls a role alone does something: in none, where it may not at all, or only stands in.

    An own call is one of an own team, as it is of whoever sits among those whom they answer for.

    Args:
        role: The role.
        needed: What it takes.
        has_leave: Whether somebody else gave them leave to hear the call.
    """
    if needed.door is not Door.ROLE:
        return EVERYWHERE
    found: frozenset[Relation] = frozenset()
    for act in needed.acts:
        found |= _of_act(role, act, needed.subject, has_leave=has_leave)
    if role in needed.stand_ins:
        return frozenset()
    if needed.is_for_others:
        found -= _OWN
    if needed.is_own:
        found &= _OWN
    return found


def _of_act(role: Role, act: Act, subject: Subject, *, has_leave: bool) -> frozenset[Relation]:
    allowed = TABLE[role].get(act)
    if allowed is None or (allowed.needs_leave and not has_leave):
        return frozenset()
    if subject is Subject.LIVE:
        return frozenset(one for one, cell in zip(_RELATIONS, LIVE_TABLE[role], strict=True) if act in cell)
    if subject is Subject.PHONE:
        return EVERYWHERE if act in LIVE_TABLE[role][0] else frozenset()
    if subject is Subject.KEPT and allowed.is_part and not has_leave:
        return (_TEAM if allowed.team_only else frozenset()) | (_OWN if allowed.own_only else frozenset())
    return EVERYWHERE


def missing_act(actor: Actor, needed: Requirement) -> Act | None:
    """Return the act that somebody's role or token lacks for something whatever call it is about; None: it lacks none.

    Whether they stand in for the data protection officer is for the caller to look up, where an act is missing.

    Args:
        actor: Who asks.
        needed: What it takes.
    """
    if needed.door is not Door.ROLE or isinstance(actor, LocalUser):
        return None
    if any(_has(actor, act) for act in needed.acts):
        return None
    return needed.acts[0]


def _has(actor: Person | Application, act: Act) -> bool:
    if isinstance(actor, Application):
        return SCOPE_OF.get(act) in actor.scopes
    return any(act in TABLE[role] for role in actor.roles)
