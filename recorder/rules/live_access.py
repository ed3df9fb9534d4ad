"""Who may act on a live call, by role, act and relation to the call. Pure.

The one place of the table "Who may act on a live call" (P4, P7, P15): console, the daemon's socket, the command line
and the keys on the phone all ask `decide` or `by_source`. docs/permissions.md is generated from it.

Team and officer are those who have the call now. An officer who handed it over has no part in it any more.
"""

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from recorder.permissions import VERBS, Act, Actor, Application, DeniedError, Fault, LocalUser, Person, Refusal, Role
from recorder.rules.authorisation import may
from recorder.rules.live_facts import CallFacts, facts_listed, is_at_own_phone, is_theirs, was_on
from recorder.rules.pausing import Authority


class Relation(enum.StrEnum):
    """What a call is to somebody."""

    OWN = "own"
    """They are signed on at the phone, or it is configured as theirs."""
    TEAM = "team"
    OTHER = "other"


class Source(enum.StrEnum):
    """What acts on a call without an account."""

    OFFICER_KEYS = "officer_keys"
    """Keys on the officer's phone, whoever is signed on."""
    CALLER_DIGITS = "caller_digits"
    MANAGER_PIN = "manager_pin"
    """Keys and a manager's PIN on the officer's phone."""
    TOKEN = "token"  # noqa: S105 - a word, not a secret
    SHELL = "shell"
    """Somebody at the recorder's machine who may open its socket, without an account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What an account does not say of whoever acts.

    Attributes:
        colleagues: Teams of the phones that are configured as theirs. Signing on makes nobody a colleague.
        managed: Teams of which a manager is signed in; None: it is not known.
    """

    colleagues: frozenset[str] = frozenset()
    managed: frozenset[str] | None = None


NOTHING_KNOWN = Around()


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """An act may go on.

    Attributes:
        authority: On whose behalf; `pausing.MAY_CLEAR` says which pauses it clears.
        may_discard: Whether a pause for a card payment drops the recording where the service wants that.
        may_erase_alone: Whether what they forgot to pause is erased without a second person, as far as it is short.
        is_alarmed: Nobody with an account answers for it.
    """

    authority: Authority
    may_discard: bool = False
    may_erase_alone: bool = False
    is_alarmed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRefusal:
    """An act may not go on.

    Attributes:
        reason: A sentence that says who may.
        is_hidden: They may not know of the call: they are answered as if it were not there.
    """

    reason: str
    is_hidden: bool


class HiddenError(DeniedError):
    """An act was denied to somebody who may not know of the call; the message is for the audit log, not for them."""

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
"""Who may do what to a live call; what is not here is refused. SEE_LIVE alone is extension and state, no number."""

STANDS_IN = frozenset({Act.OPT_OUT, Act.DECLINE_OPT_OUT})
"""What a team leader decides in calls of other teams while no manager of the team is signed in."""

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
"""What is done without an account. A token has its scopes and extensions besides, and clears its own pause only."""

LIVE_ACTS = tuple(act for act in Act if any(act in cell for row in LIVE_TABLE.values() for cell in row))
"""The acts on a live call, in the order of `Act`."""

_RELATIONS = tuple(Relation)
_MANAGERS = frozenset({Role.MANAGER, Role.TEAM_LEADER, Role.DPO})
_WHO_MAY: Mapping[Act, str] = MappingProxyType(
    {
        Act.SEE_LIVE: "its officer, their team and its manager",
        Act.SEE_NUMBERS: "its officer and a manager of its team",
        Act.PAUSE: "its officer, an officer or manager of their team, a team leader and the DPO",
        Act.DISCARD: "its officer",
        Act.RESUME: "its officer, a manager of its team and the DPO",
        Act.RETROACTIVE_PAUSE: "its officer; a manager orders an erasure once the call is over",
        Act.RAISE_OPT_OUT: "its officer",
        Act.OPT_OUT: "a manager of its team",
        Act.DECLINE_OPT_OUT: "a manager of its team",
        Act.SECOND_MESSAGE: "its officer, a manager of its team and a team leader",
    }
)
"""Who is to be asked instead, for the sentence of a refusal."""


def by_source(source: Source, act: Act) -> Permit | LiveRefusal:
    """Decide on what is done without an account."""
    acts, permit = SOURCE_TABLE[source]
    if act in acts:
        return permit
    return LiveRefusal(reason=f"To {VERBS[act]} takes a person with an account: give --as NAME.", is_hidden=False)


def permit_of(source: Source, act: Act) -> Permit:
    """Return as what a source does an act that the table gives it."""
    permit = by_source(source, act)
    assert isinstance(permit, Permit), f"{source} does not {act}"
    return permit


def decide(actor: Actor, act: Act, call: CallFacts, around: Around = NOTHING_KNOWN) -> Permit | LiveRefusal:
    """Decide whether somebody may do something to a live call, and as what.

    Args:
        actor: Who asks.
        act: One of LIVE_ACTS.
        call: The call.
        around: What else is known of who asks.
    """
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
    """Return as what an act may go on.

    Raises:
        HiddenError: It may not, and they are to be told that there is no such call.
        DeniedError: It may not.
    """
    decision = decide(actor, act, call, around)
    if isinstance(decision, Permit):
        return decision
    if decision.is_hidden:
        raise HiddenError(decision.reason)
    raise DeniedError(Fault.NOT_ALLOWED, decision.reason)


def relation_of(person: Person, call: CallFacts, around: Around = NOTHING_KNOWN) -> Relation:
    """Return what a call is to a person: for each of their roles the nearest relation counts."""
    if is_theirs(person, call):
        return Relation.OWN
    if any(_is_of_team(role, person, call, around) for role in person.roles):
        return Relation.TEAM
    return Relation.OTHER


def seen(actor: Actor, listed: Mapping[str, Any], around: Around = NOTHING_KNOWN) -> dict[str, Any] | None:
    """Return a call as somebody may see it, with what they may do to it under ``may``; None: it is not there for them.

    Args:
        actor: Who looks.
        listed: The call as the daemon lists it.
        around: What else is known of them.
    """
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
        "phase", "is_recorded", "state", "state_since", "reasons", "paused_s", "pause_max_s",
    }
)  # fmt: skip
"""What of a listed call shows extension and state, and nothing of who calls."""


_AS_OFFICER = Permit(authority=Authority.OFFICER, may_discard=True, may_erase_alone=True)
_AS_SIGNED_ON = Permit(authority=Authority.OFFICER)
_AS_COLLEAGUE = Permit(authority=Authority.OFFICER)
_AS_MANAGER = Permit(authority=Authority.MANAGER)
_UNPROVEN = (
    "You signed on from elsewhere: what drops a recording takes the keys on the phone, or a code that is keyed there."
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
    """Tell whether a call is of somebody's team; an extension without a team is of everybody's."""
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
        return LiveRefusal(reason=f"Token {token.name} is not good for this extension.", is_hidden=True)
    return by_source(Source.TOKEN, act)


def _refusal(person: Person, call: CallFacts, around: Around, reason: str) -> LiveRefusal:
    sees = any(_grants(role, Act.SEE_LIVE, person, call, around) for role in person.roles)
    return LiveRefusal(reason=reason, is_hidden=not sees)


def _why(act: Act, call: CallFacts) -> str:
    if act in STANDS_IN:
        teams = ", ".join(repr(team) for team in sorted(call.now.teams))
        return f"This call is of the team {teams}: a manager of that team decides on its opt-out."
    return f"This is not your call: to {VERBS[act]} is for {_WHO_MAY[act]}."


def relations_of(role: Role, act: Act) -> Collection[Relation]:
    """Return in which calls a role may do an act by itself, for the documentation and for tests."""
    return [relation for relation, cell in zip(_RELATIONS, LIVE_TABLE[role], strict=True) if act in cell]
