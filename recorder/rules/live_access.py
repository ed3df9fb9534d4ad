"""Decides who may act on a live call, by role, act and relation to the call. Pure.

This module holds the only table of "Who may act on a live call" (P4, P7, P15). Console, the daemon's socket, command
line and phone keys all ask `decide` or `by_source`. docs/permissions.md is generated from it.

The team and the officer are those that have the call now. An officer who handed the call over has no rights in it any
more.
"""

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from recorder.permissions import Act, Actor, Application, DeniedError, Fault, LocalUser, Person, Refusal, Role
from recorder.rules.authorisation import may
from recorder.rules.live_facts import CallFacts, facts_listed, is_at_own_phone, is_theirs, was_on
from recorder.rules.pausing import Authority
from recorder.rules.words.people import VERBS


class Relation(enum.StrEnum):
    """The relation of a person to a call."""

    OWN = "own"
    """They are signed on at the phone, or it is configured as theirs."""
    TEAM = "team"
    OTHER = "other"


class Source(enum.StrEnum):
    """Sources of acts on a call that have no account."""

    OFFICER_KEYS = "officer_keys"
    """Keys on the officer's phone, whoever is signed on."""
    CALLER_DIGITS = "caller_digits"
    MANAGER_PIN = "manager_pin"
    """Keys and a manager's PIN on the officer's phone."""
    TOKEN = "token"  # noqa: S105 - not a secret
    SHELL = "shell"
    """A user of the recorder's machine who may open its socket, without an account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What is known of an actor besides their account.

    Attributes:
        colleagues: Teams of the phones configured as theirs. A sign-on makes nobody a colleague.
        managed: Teams of which a manager is signed in; None if unknown.
    """

    colleagues: frozenset[str] = frozenset()
    managed: frozenset[str] | None = None


NOTHING_KNOWN = Around()


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """Permission to do an act.

    Attributes:
        authority: On whose behalf; `pausing.MAY_CLEAR` says which pauses it clears.
        may_discard: Whether a pause for a card payment discards the recording if the service says so.
        may_erase_alone: Whether a short retroactive pause erases without a second person.
        is_alarmed: Whether to raise an alarm because no account is responsible for the act.
    """

    authority: Authority
    may_discard: bool = False
    may_erase_alone: bool = False
    is_alarmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRefusal:
    """A refused act.

    Attributes:
        reason: A sentence that says who may.
        is_hidden: Whether they may not know of the call, and are answered as if there were none.
    """

    reason: str
    is_hidden: bool


class HiddenError(DeniedError):
    """An act was denied to an actor who may not know of the call; the message is for the audit log only."""

    def __init__(self, why: str) -> None:
        super().__init__(Fault.NOT_ALLOWED, why)


_NONE: frozenset[Act] = frozenset()
_SEE = frozenset({Act.SEE_LIVE, Act.SEE_NUMBERS})
_OWN = _SEE | {Act.PAUSE, Act.DISCARD, Act.RESUME, Act.RETROACTIVE_PAUSE, Act.RAISE_OPT_OUT, Act.SECOND_MESSAGE}
_TEAM = _SEE | {Act.PAUSE, Act.RESUME, Act.OPT_OUT, Act.DECLINE_OPT_OUT, Act.SECOND_MESSAGE}
_STATE = frozenset({Act.SEE_LIVE})

LIVE_TABLE: Mapping[Role, tuple[frozenset[Act], frozenset[Act], frozenset[Act]]] = MappingProxyType(
    {
        #                 own     team                  other
        Role.ADMIN:       (_NONE, _NONE,                _NONE),
        Role.OFFICER:     (_OWN,  _STATE | {Act.PAUSE}, _NONE),
        Role.MANAGER:     (_OWN,  _TEAM,                _NONE),
        Role.TEAM_LEADER: (_OWN,  _TEAM,                _SEE | {Act.PAUSE, Act.SECOND_MESSAGE}),
        Role.DPO:         (_OWN,  _TEAM,                _SEE | {Act.PAUSE, Act.RESUME}),
        Role.ICT:         (_STATE, _STATE,              _STATE),
        Role.MEMBER:      (_NONE, _NONE,                _NONE),
    }
)  # fmt: skip
"""Who may do what to a live call; an act that is not listed is refused. SEE_LIVE alone shows no numbers."""

STANDS_IN = frozenset({Act.OPT_OUT, Act.DECLINE_OPT_OUT})
"""Acts of a team leader in calls of other teams, while no manager of the team is signed in."""

SOURCE_TABLE: Mapping[Source, tuple[frozenset[Act], Permit]] = MappingProxyType(
    {
        Source.OFFICER_KEYS: (
            frozenset({Act.PAUSE, Act.DISCARD, Act.RESUME}),
            Permit(authority=Authority.OFFICER, may_discard=True),
        ),
        Source.CALLER_DIGITS: (
            frozenset({Act.PAUSE, Act.DISCARD}),
            Permit(authority=Authority.OFFICER, may_discard=True),
        ),
        Source.MANAGER_PIN: (frozenset({Act.OPT_OUT}), Permit(authority=Authority.MANAGER)),
        Source.TOKEN: (
            _SEE | {Act.PAUSE, Act.DISCARD, Act.RESUME},
            Permit(authority=Authority.TOKEN, may_discard=True),
        ),
        Source.SHELL: (_STATE | {Act.PAUSE}, Permit(authority=Authority.OFFICER, is_alarmed=True)),
    }
)
"""Acts without an account. A token is also bound to its scopes and extensions, and clears only its own pause."""

LIVE_ACTS = tuple(act for act in Act if any(act in cell for row in LIVE_TABLE.values() for cell in row))
"""The acts on a live call, in the order of `Act`."""

_RELATIONS = tuple(Relation)
_MANAGERS = frozenset({Role.MANAGER, Role.TEAM_LEADER, Role.DPO})
_WHO_MAY: Mapping[Act, str] = MappingProxyType(
    {
        Act.SEE_LIVE: "its officer, their team and its manager",
        Act.SEE_NUMBERS: "its officer and a manager of its team",
        Act.PAUSE: "its officer, an officer or manager of their team, a team leader and the data protection officer",
        Act.DISCARD: "its officer",
        Act.RESUME: "its officer, a manager of its team and the data protection officer",
        Act.RETROACTIVE_PAUSE: "its officer",
        Act.RAISE_OPT_OUT: "its officer",
        Act.OPT_OUT: "a manager of its team",
        Act.DECLINE_OPT_OUT: "a manager of its team",
        Act.SECOND_MESSAGE: "its officer, a manager of its team and a team leader",
    }
)
"""For the sentence of a refusal: who to ask instead."""


def by_source(source: Source, act: Act) -> Permit | LiveRefusal:
    """Decide on an act without an account."""
    acts, permit = SOURCE_TABLE[source]
    if act in acts:
        return permit
    return LiveRefusal(reason=f"Only a person with an account can {VERBS[act]}: give --as NAME.", is_hidden=False)


def permit_of(source: Source, act: Act) -> Permit:
    """Return the permit of a source for an act that the table allows it."""
    permit = by_source(source, act)
    assert isinstance(permit, Permit), f"{source} does not {act}"
    return permit


def decide(actor: Actor, act: Act, call: CallFacts, around: Around = NOTHING_KNOWN) -> Permit | LiveRefusal:
    """Decide whether an actor may do an act on a live call, and with what permit."""
    if isinstance(actor, LocalUser):
        return by_source(Source.SHELL, act)
    if isinstance(actor, Application):
        return _of_token(actor, act, call)
    if act in STANDS_IN and (is_theirs(actor, call) or was_on(actor, call)):
        return _refusal(actor, call, around, _YOURSELF)
    granting = [role for role in actor.roles if _grants(role, act, actor, call, around)]
    if not granting:
        return _refusal(actor, call, around, _why(act, call))
    if is_theirs(actor, call):
        return _of_officer(actor, act, call, around)
    return _AS_MANAGER if _MANAGERS.intersection(granting) else _AS_COLLEAGUE


def require(actor: Actor, act: Act, call: CallFacts, around: Around = NOTHING_KNOWN) -> Permit:
    """Return the permit for an act.

    Raises:
        HiddenError: It is refused, and the actor is to be told that there is no such call.
        DeniedError: It is refused.
    """
    decision = decide(actor, act, call, around)
    if isinstance(decision, Permit):
        return decision
    if decision.is_hidden:
        raise HiddenError(decision.reason)
    raise DeniedError(Fault.NOT_ALLOWED, decision.reason)


def relation_of(person: Person, call: CallFacts, around: Around = NOTHING_KNOWN) -> Relation:
    """Return the relation of a person to a call: the nearest that any of their roles gives."""
    if is_theirs(person, call):
        return Relation.OWN
    if any(_is_of_team(role, person, call, around) for role in person.roles):
        return Relation.TEAM
    return Relation.OTHER


def seen(actor: Actor, listed: Mapping[str, Any], around: Around = NOTHING_KNOWN) -> dict[str, Any] | None:
    """Return a listed call as an actor may see it, with the permitted acts under ``may``; None if it is hidden."""
    facts = facts_listed(listed)
    may_do = {act for act in LIVE_ACTS if isinstance(decide(actor, act, facts, around), Permit)}
    if Act.SEE_LIVE not in may_do:
        return None
    shown = dict(listed) if Act.SEE_NUMBERS in may_do else {key: listed[key] for key in WITHOUT_NUMBERS & {*listed}}
    knows_of_requests = isinstance(actor, Person) and (Act.SEE_NUMBERS in may_do or was_on(actor, facts))
    return {
        **shown,
        "opt_out": listed.get("opt_out") if knows_of_requests else None,
        "may": sorted(may_do - {Act.SEE_LIVE, Act.SEE_NUMBERS}),
    }


WITHOUT_NUMBERS = frozenset(
    {
        "call", "id", "conversation", "started_at", "extension", "extensions_now", "service", "team", "teams_now",
        "phase", "is_recorded", "state", "state_since", "reasons", "paused_s", "paused_since", "pause_max_s",
        "pause_erases_s", "pause_discards", "node",
    }
)  # fmt: skip
"""Keys of a listed call that show its extension and state but not who calls."""


_AS_OFFICER = Permit(authority=Authority.OFFICER, may_discard=True, may_erase_alone=True)
_AS_SIGNED_ON = Permit(authority=Authority.OFFICER)
_AS_COLLEAGUE = Permit(authority=Authority.OFFICER)
_AS_MANAGER = Permit(authority=Authority.MANAGER)
_UNPROVEN = (
    "You signed on from elsewhere: to discard a recording, use the keys on the phone, or key a sign-on code there."
)
_YOURSELF = "You are on this call yourself: another manager decides on its opt-out."


def _of_officer(person: Person, act: Act, call: CallFacts, around: Around) -> Permit | LiveRefusal:
    if is_at_own_phone(person, call):
        return _AS_OFFICER
    return _refusal(person, call, around, _UNPROVEN) if act is Act.DISCARD else _AS_SIGNED_ON


def _grants(role: Role, act: Act, person: Person, call: CallFacts, around: Around) -> bool:
    own, team, other = LIVE_TABLE[role]
    if is_theirs(person, call):
        return act in own
    if _is_of_team(role, person, call, around):
        return act in team
    stands_in = role is Role.TEAM_LEADER and act in STANDS_IN and _is_unmanaged(call, around)
    return act in other or stands_in


def _is_of_team(role: Role, person: Person, call: CallFacts, around: Around) -> bool:
    """Tell whether a call belongs to a person's team; one without a team belongs to everybody's."""
    teams = call.now.teams
    if "" in teams or not teams.isdisjoint(person.teams):
        return True
    return role is Role.OFFICER and not teams.isdisjoint(around.colleagues)


def _is_unmanaged(call: CallFacts, around: Around) -> bool:
    return around.managed is not None and around.managed.isdisjoint(call.now.teams)


def _of_token(token: Application, act: Act, call: CallFacts) -> Permit | LiveRefusal:
    decision = may(token, act)
    if isinstance(decision, Refusal):
        return LiveRefusal(reason=decision.reason, is_hidden=False)
    if token.extensions and token.extensions.isdisjoint(call.now.extensions):
        return LiveRefusal(reason=f"Token {token.name} is not valid for this extension.", is_hidden=True)
    return by_source(Source.TOKEN, act)


def _refusal(person: Person, call: CallFacts, around: Around, reason: str) -> LiveRefusal:
    sees = any(_grants(role, Act.SEE_LIVE, person, call, around) for role in person.roles)
    return LiveRefusal(reason=reason, is_hidden=not sees)


def _why(act: Act, call: CallFacts) -> str:
    if act in STANDS_IN:
        teams = ", ".join(repr(team) for team in sorted(call.now.teams))
        return f"This call belongs to the team {teams}: a manager of that team decides on its opt-out."
    return f"This is not your call. Only {_WHO_MAY[act]} can {VERBS[act]}."


def relations_of(role: Role, act: Act) -> Collection[Relation]:
    """Return the relations in which a role alone may do an act, for the documentation and for tests."""
    return [relation for relation, cell in zip(_RELATIONS, LIVE_TABLE[role], strict=True) if act in cell]
