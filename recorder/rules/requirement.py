"""What a route, a socket act, a command or a phone key requires of the person who asks. Pure.

`route_access`, `socket_access` and `command_access` list all of them; one that is not listed does not run. They name
the act; the tables of `recorder.permissions` and `live_access` say who has it. docs/permissions.md is generated from
both.
"""

import enum
from dataclasses import dataclass

from recorder.permissions import SCOPE_OF, TABLE, Act, Actor, Application, LocalUser, Person, Role
from recorder.rules.live_access import LIVE_TABLE, Relation


class Subject(enum.StrEnum):
    """What an act is done to."""

    NOTHING = "nothing"
    """No single call, or a list of which each person sees their own part."""
    LIVE = "live"
    """A call in progress."""
    PHONE = "phone"
    """The call at the person's own phone."""
    KEPT = "kept"
    """A finished call: its recording, or a legal hold, erasure order or rights request on it."""
    MATTER = "matter"
    """Something that a person asked for, opened or proposed. It belongs to that person, whatever call it is about."""


class AccessLevel(enum.StrEnum):
    """Who is let in before any role is checked."""

    OPEN = "open"
    """Everybody, before they sign in."""
    SIGNED_IN = "known"
    """Everybody who is signed in, whatever their role: it concerns only themselves."""
    ROLE = "role"
    """People whose role has the act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What an act requires.

    Attributes:
        level: Who is let in before any role is checked.
        acts: Acts of which the role must have one; empty where no role is required.
        subject: What it is done to; the person's relation to it counts.
        is_for_others: Nobody may do it to their own: it takes a second person.
        is_own: Only to their own.
        own_acts: Acts of which the role must have one for their own, where ``acts`` is for that of others.
        is_deputys: The data protection officer's deputy may too.
        stand_ins: Roles that have the act, but do it only while nobody else who has it can.
        is_personal: Not for tokens, even with the scope.
        note: Why it requires no role, or what the rules check besides; part of a sentence.
    """

    level: AccessLevel = AccessLevel.ROLE
    acts: tuple[Act, ...] = ()
    subject: Subject = Subject.NOTHING
    is_for_others: bool = False
    is_own: bool = False
    own_acts: tuple[Act, ...] = ()
    is_deputys: bool = False
    stand_ins: frozenset[Role] = frozenset()
    is_personal: bool = False
    note: str = ""


class UnlistedError(Exception):
    """A route, socket act or command is missing from its table; the message is a sentence."""


def takes(*acts: Act, note: str = "", deputy: bool = False, personal: bool = False) -> Requirement:
    """Return the requirement of a role with one of some acts, on no call in particular."""
    return Requirement(acts=acts, note=note, is_deputys=deputy, is_personal=personal)


def live(act: Act, note: str = "") -> Requirement:
    """Return the requirement of an act on a call in progress."""
    return Requirement(acts=(act,), subject=Subject.LIVE, note=note)


def phone(act: Act) -> Requirement:
    """Return the requirement of an act on the call at the person's own phone."""
    return Requirement(acts=(act,), subject=Subject.PHONE)


def kept(act: Act, *, others: bool = False, deputy: bool = False, note: str = "") -> Requirement:
    """Return the requirement of an act on a finished call."""
    return Requirement(acts=(act,), subject=Subject.KEPT, is_for_others=others, is_deputys=deputy, note=note)


def matter(
    act: Act, *, others: bool = False, own: bool = False, deputy: bool = False, stand_in: Role | None = None,
    note: str = "", for_own: tuple[Act, ...] = (),
) -> Requirement:  # fmt: skip
    """Return the requirement of an act on something that a person asked for; ``for_own`` is enough for their own."""
    return Requirement(
        acts=(act,), subject=Subject.MATTER, is_for_others=others, is_own=own, is_deputys=deputy, note=note,
        stand_ins=frozenset() if stand_in is None else frozenset({stand_in}), own_acts=for_own,
    )  # fmt: skip


def known(note: str) -> Requirement:
    """Return the requirement to be signed in, with the reason why no role is needed."""
    return Requirement(level=AccessLevel.SIGNED_IN, note=note)


def unlocked(note: str) -> Requirement:
    """Return the requirement of nothing, with the reason."""
    return Requirement(level=AccessLevel.OPEN, note=note)


EVERYWHERE = frozenset(Relation)
_OWN, _TEAM = frozenset({Relation.OWN}), frozenset({Relation.OWN, Relation.TEAM})
_RELATIONS = tuple(Relation)


def relations_of(role: Role, needed: Requirement, *, has_grant: bool = False) -> frozenset[Relation]:
    """Return the relations in which a role alone may do something; empty if it may not, or only stands in.

    A person's own call counts as one of their team: they belong to the people they answer for.

    Args:
        role: The role.
        needed: The requirement.
        has_grant: Whether they have an access grant for the call.
    """
    if needed.level is not AccessLevel.ROLE:
        return EVERYWHERE
    found: frozenset[Relation] = frozenset()
    for act in needed.acts:
        found |= _of_act(role, act, needed.subject, has_grant=has_grant)
    for act in needed.own_acts:
        found |= _of_act(role, act, needed.subject, has_grant=has_grant) & _OWN
    if role in needed.stand_ins:
        return frozenset()
    if needed.is_for_others:
        found -= _OWN
    if needed.is_own:
        found &= _OWN
    return found


def _of_act(role: Role, act: Act, subject: Subject, *, has_grant: bool) -> frozenset[Relation]:
    allowed = TABLE[role].get(act)
    if allowed is None or (allowed.needs_grant and not has_grant):
        return frozenset()
    if subject is Subject.LIVE:
        return frozenset(one for one, cell in zip(_RELATIONS, LIVE_TABLE[role], strict=True) if act in cell)
    if subject is Subject.PHONE:
        return EVERYWHERE if act in LIVE_TABLE[role][0] else frozenset()
    if subject is Subject.KEPT and allowed.is_part and not has_grant:
        return (_TEAM if allowed.team_only else frozenset()) | (_OWN if allowed.own_only else frozenset())
    return EVERYWHERE


def missing_act(actor: Actor, needed: Requirement) -> Act | None:
    """Return the act that an actor's role or token lacks for something, whatever the call; None if it lacks none.

    If an act is missing, the caller looks up whether the person is the deputy of the data protection officer.
    """
    if needed.level is not AccessLevel.ROLE or isinstance(actor, LocalUser):
        return None
    if any(_has(actor, act) for act in (*needed.acts, *needed.own_acts)):
        return None
    return needed.acts[0]


def _has(actor: Person | Application, act: Act) -> bool:
    if isinstance(actor, Application):
        return SCOPE_OF.get(act) in actor.scopes
    return any(act in TABLE[role] for role in actor.roles)
