"""Who may do what: roles, acts, actors, and the table of acts by role. Pure data.

No role alone permits listening or copying: that takes an access grant, which another person gives
(`recorder.rules.requesting`), or break-glass, which the audit log marks and the data protection officer is told of.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


class Role(enum.StrEnum):
    """The roles of an account at the council."""

    ADMIN = "admin"
    OFFICER = "officer"
    MANAGER = "manager"
    TEAM_LEADER = "team_leader"
    DPO = "dpo"
    ICT = "ict"
    MEMBER = "member"


class Act(enum.StrEnum):
    """What can be done, in the words of the audit log."""

    SEE_LIVE = "live.view"
    SEE_NUMBERS = "live.numbers"
    SIGN_ON = "agent.sign_on"
    PAUSE = "call.pause"
    DISCARD = "call.discard"
    RESUME = "call.resume"
    RAISE_OPT_OUT = "opt_out.raise"
    OPT_OUT = "call.opt_out"
    DECLINE_OPT_OUT = "opt_out.decline"
    SECOND_MESSAGE = "call.second_message"
    RETROACTIVE_PAUSE = "recording.forgot"
    SEARCH = "recording.search"
    VIEW = "recording.view"
    PLAY = "recording.play"
    EXPORT = "recording.export"
    ASK = "request.ask"
    DECIDE = "request.decide"
    MARK_ABSENT = "people.absent"
    NAME_DEPUTY = "people.deputy"
    ACKNOWLEDGE = "break_glass.acknowledge"
    WORK_ON_CASES = "case.work"
    SCOPE_CASE = "case.scope"
    WRITE_CLAIM = "claim.write"
    DECIDE_CLAIM = "claim.decide"
    ERASE = "recording.erase"
    CONFIRM_ERASURE = "erasure.confirm"
    PLACE_HOLD = "hold.place"
    RELEASE_HOLD = "hold.release"
    RUN_RETENTION = "retention.run"
    SHORTEN_RETENTION = "retention.shorten"
    CONFIRM_SWEEP = "retention.confirm"
    MANAGE_KEYS = "keys.manage"
    VIEW_AUDIT = "audit.view"
    REPAIR_INDEX = "index.repair"
    RECONCILE = "index.reconcile"
    REPORT = "report.view"
    SEE_SYSTEM = "system.view"
    MANAGE_PEOPLE = "people.manage"
    CONFIRM_GRANT = "people.confirm"
    MANAGE_TOKENS = "tokens.manage"
    SET_NOTICE = "notice.set"
    IMPORT_CALLS = "assurance.import"
    EXPLAIN = "assurance.explain"


class Scope(enum.StrEnum):
    """The scopes of a token."""

    CALLS_READ = "calls:read"
    PAUSE = "pause"
    RECORDINGS_READ = "recordings:read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person with an account.

    Attributes:
        name: The account's name; unique.
        display_name: As calls name their operator; unique too, because an officer's own calls are found by it.
        roles: May be empty: such an account can sign in and do nothing.
        teams: Teams that a manager answers for.
        extension: The person's own extension, or None.
        is_proven: Whether they gave a second factor where one is required.
    """

    name: str
    display_name: str
    roles: frozenset[Role]
    teams: tuple[str, ...] = ()
    extension: str | None = None
    is_proven: bool = True

    @property
    def actor(self) -> str:
        """Return the name that the audit log and the daemon use."""
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalUser:
    """A user of the recorder's own shell, known only by the operating system."""

    name: str

    @property
    def actor(self) -> str:
        """Return ``os:NAME``, which is never the name of an account."""
        return f"os:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """Another system, known by its token.

    Attributes:
        name: The token's name.
        scopes: What it may do.
        extensions: The only extensions that it may act on; empty for all.
    """

    name: str
    scopes: frozenset[Scope]
    extensions: frozenset[str] = frozenset()

    @property
    def actor(self) -> str:
        """Return ``token:NAME``, which is never the name of an account."""
        return f"token:{self.name}"


Actor = Person | LocalUser | Application


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """Permission to do an act.

    Attributes:
        break_glass: Without approval; the audit log marks it, and the data protection officer is told.
        own_only: Only for recordings whose operator is this person.
        team_only: Only for recordings of the teams that this person answers for, and their own with ``own_only``.
        needs_grant: Only with an access grant. Set in the table, never in a decision.
    """

    break_glass: bool = False
    own_only: bool = False
    team_only: bool = False
    needs_grant: bool = False

    @property
    def is_part(self) -> bool:
        """Tell whether the permission covers only some recordings."""
        return self.own_only or self.team_only


class Fault(enum.Enum):
    """Why an act was denied. Web, socket and command line turn it into a status.

    Something incomplete at a field is a mistake of input, not an attempt to do what is not allowed: no log keeps it.
    """

    NOT_ALLOWED = "not allowed"
    INCOMPLETE = "incomplete"
    TOO_LATE = "too late"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused act.

    Attributes:
        reason: A sentence for the person who tried.
        fault: Why it was refused.
        field: The input that is incomplete, such as ``reason``; empty if it is none.
        lacks_role: Whether another role would be allowed to, which an administrator can give.
    """

    reason: str
    fault: Fault = Fault.NOT_ALLOWED
    field: str = ""
    lacks_role: bool = False


class DeniedError(Exception):
    """An act was denied and nothing changed; the message is a sentence for the person who tried.

    Args:
        fault: Why.
        sentence: The message.
        field: The input that is incomplete; empty if it is none.
    """

    def __init__(self, fault: Fault, sentence: str, field: str = "") -> None:
        super().__init__(sentence)
        self.fault = fault
        self.field = field


_YES = Allowed()
_OWN = Allowed(own_only=True)
_TEAM = Allowed(team_only=True)
_OWN_AND_TEAM = Allowed(own_only=True, team_only=True)
_GLASS = Allowed(break_glass=True)
_GRANT = Allowed(needs_grant=True)

_LIVE: Mapping[Act, Allowed] = dict.fromkeys(
    (Act.SEE_LIVE, Act.SEE_NUMBERS, Act.PAUSE, Act.DISCARD, Act.RESUME, Act.RAISE_OPT_OUT, Act.SECOND_MESSAGE), _YES
)
"""For which calls, `recorder.rules.live_access` says."""
_AT_A_PHONE: Mapping[Act, Allowed] = {Act.SIGN_ON: _YES}
_ROWS: Mapping[Act, Allowed] = {Act.SEARCH: _YES, Act.VIEW: _YES, Act.REPORT: _YES}
_TEAM_ROWS: Mapping[Act, Allowed] = {Act.SEARCH: _TEAM, Act.VIEW: _TEAM, Act.REPORT: _TEAM}
_HEAR: Mapping[Act, Allowed] = {Act.ASK: _YES, Act.PLAY: _GRANT, Act.EXPORT: _GRANT}
_OPT_OUT: Mapping[Act, Allowed] = {Act.OPT_OUT: _YES, Act.DECLINE_OPT_OUT: _YES}
_ERASE: Mapping[Act, Allowed] = {Act.RETROACTIVE_PAUSE: _YES, Act.ERASE: _YES, Act.CONFIRM_ERASURE: _YES}
_HOLDS: Mapping[Act, Allowed] = {Act.PLACE_HOLD: _YES, Act.RELEASE_HOLD: _YES}
_OF_TEAM: Mapping[Act, Allowed] = {
    **dict.fromkeys((*_HOLDS, *_ERASE, Act.ASK, Act.EXPLAIN), _TEAM), Act.RETROACTIVE_PAUSE: _OWN_AND_TEAM,
}  # fmt: skip
"""A manager's acts on recordings of their teams. A retroactive pause may be on any call of their own."""
_UPKEEP: Mapping[Act, Allowed] = {Act.RUN_RETENTION: _YES, Act.REPAIR_INDEX: _YES}
_DECIDE: Mapping[Act, Allowed] = {
    Act.DECIDE: _YES, Act.MARK_ABSENT: _YES, Act.WORK_ON_CASES: _YES, Act.SEE_SYSTEM: _YES,
    Act.CONFIRM_GRANT: _YES, Act.WRITE_CLAIM: _YES, Act.CONFIRM_SWEEP: _YES, Act.EXPLAIN: _YES,
}  # fmt: skip
_DPO: Mapping[Act, Allowed] = {
    Act.VIEW_AUDIT: _YES, Act.RECONCILE: _YES, Act.SHORTEN_RETENTION: _YES, Act.ACKNOWLEDGE: _YES,
    Act.DECIDE_CLAIM: _YES, Act.SET_NOTICE: _YES, Act.SCOPE_CASE: _YES, Act.IMPORT_CALLS: _YES,
}  # fmt: skip

TABLE: Mapping[Role, Mapping[Act, Allowed]] = MappingProxyType(
    {
        Role.ADMIN: {
            Act.SEE_SYSTEM: _YES,
            Act.MANAGE_PEOPLE: _YES,
            Act.CONFIRM_GRANT: _YES,
            Act.NAME_DEPUTY: _YES,
            Act.MANAGE_TOKENS: _YES,
            Act.SET_NOTICE: _YES,
        },
        Role.OFFICER: {
            **_LIVE,
            **_HEAR,
            Act.ASK: _OWN,
            Act.SEARCH: _OWN,
            Act.VIEW: _OWN,
            Act.SIGN_ON: _YES,
            Act.RETROACTIVE_PAUSE: _OWN,
        },
        Role.MANAGER: {**_LIVE, **_AT_A_PHONE, **_TEAM_ROWS, **_HEAR, **_OPT_OUT, **_OF_TEAM},
        Role.TEAM_LEADER: {**_LIVE, **_AT_A_PHONE, **_ROWS, **_HEAR, **_DECIDE, **_OPT_OUT, **_ERASE, **_HOLDS},
        Role.DPO: {**_LIVE, **_ROWS, **_HEAR, **_DECIDE, **_OPT_OUT, **_ERASE, **_HOLDS, **_UPKEEP, **_DPO},
        Role.ICT: {
            Act.SEE_LIVE: _YES,
            **_ROWS,
            **_UPKEEP,
            Act.SEE_SYSTEM: _YES,
            Act.PLAY: _GLASS,
            Act.MANAGE_KEYS: _YES,
            Act.SET_NOTICE: _YES,
            Act.IMPORT_CALLS: _YES,
        },
        Role.MEMBER: {**_HEAR, Act.VIEW: _GRANT},
    }
)
"""The acts of each role; an act that is not listed is refused. Roles add up, so ``admin`` alone never listens.

Only ``ict`` manages keys (P11): a person with the keys could open every recording, which ``admin`` never may.
"""

LOCAL_ACTS = frozenset({Act.SEE_LIVE, Act.PAUSE})
"""Acts of a user of the recorder's shell who names no account: enough to pause."""

SCOPE_OF: Mapping[Act, Scope] = MappingProxyType(
    {
        Act.SEE_LIVE: Scope.CALLS_READ,
        Act.SEE_NUMBERS: Scope.CALLS_READ,
        Act.PAUSE: Scope.PAUSE,
        Act.DISCARD: Scope.PAUSE,
        Act.RESUME: Scope.PAUSE,
        Act.SEARCH: Scope.RECORDINGS_READ,
        Act.VIEW: Scope.RECORDINGS_READ,
    }
)
"""The scope that an act requires of a token; tokens have no other acts."""

NEEDS_REASON = frozenset(
    {
        Act.EXPORT,
        Act.OPT_OUT,
        Act.DECLINE_OPT_OUT,
        Act.ERASE,
        Act.PLACE_HOLD,
        Act.RELEASE_HOLD,
        Act.RECONCILE,
        Act.EXPLAIN,
    }
)
"""Acts that require a person and a reason (P10). So does break-glass; an access request has its own."""

HEARS = frozenset({Act.PLAY, Act.EXPORT})
"""Acts by which a recording is heard. Every role needs a second factor for them."""

WATCHES_ICT = frozenset({Act.SHORTEN_RETENTION, Act.CONFIRM_SWEEP, Act.RECONCILE, Act.ACKNOWLEDGE, Act.EXPLAIN})
"""Acts that control ICT, which runs the recorder. A person with that role does none of them, whatever other roles they
have."""

HEARING_ROLES = frozenset(role for role, acts in TABLE.items() if acts.keys() & HEARS)
"""Roles that may hear recordings, by access grant or break-glass; no person who manages accounts has one of them."""

MIN_REASON_CHARACTERS = 3
MAX_REASON_CHARACTERS = 1000
