"""Who may do what: roles, acts, those who act, and the table of which role has which act. Pure data.

Nobody listens or takes a copy by their role alone: that takes leave, which somebody else gave (`requesting`), or it is
break-glass, which the audit log marks and the data protection officer is told of.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


class Role(enum.StrEnum):
    """What somebody is to the council."""

    ADMIN = "admin"
    OFFICER = "officer"
    MANAGER = "manager"
    TEAM_LEADER = "team_leader"
    DPO = "dpo"
    ICT = "ict"
    MEMBER = "member"


class Act(enum.StrEnum):
    """What can be done; the audit log uses these words."""

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


class Scope(enum.StrEnum):
    """What a token may be good for."""

    CALLS_READ = "calls:read"
    PAUSE = "pause"
    RECORDINGS_READ = "recordings:read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with an account.

    Attributes:
        name: The account's name; unique.
        display_name: As calls name their operator; unique too, because an officer's own calls are found by it.
        roles: May be empty: such an account can sign in and do nothing.
        teams: Teams that a manager answers for.
        extension: The person's own extension, or None.
        is_proven: Whether they gave a second factor where one is demanded.
    """

    name: str
    display_name: str
    roles: frozenset[Role]
    teams: tuple[str, ...] = ()
    extension: str | None = None
    is_proven: bool = True

    @property
    def actor(self) -> str:
        """Return the name that the audit log and the daemon know this person by."""
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalUser:
    """Somebody at the recorder's own shell, known by the operating system only."""

    name: str

    @property
    def actor(self) -> str:
        """Return ``os:NAME``: never the name of an account."""
        return f"os:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """Another system, known by its token.

    Attributes:
        name: The token's name.
        scopes: What it may do.
        extensions: The only extensions that it may touch; empty means every one.
    """

    name: str
    scopes: frozenset[Scope]
    extensions: frozenset[str] = frozenset()

    @property
    def actor(self) -> str:
        """Return ``token:NAME``: never the name of an account."""
        return f"token:{self.name}"


Actor = Person | LocalUser | Application


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The act may go on.

    Attributes:
        break_glass: Nobody approved it; the audit log marks it, and the data protection officer is told.
        own_only: Only recordings whose operator is this person.
        team_only: Only recordings of the teams that this person answers for; beside their own with ``own_only``.
        needs_leave: In the table: only with leave that somebody else gave. Never in a decision.
    """

    break_glass: bool = False
    own_only: bool = False
    team_only: bool = False
    needs_leave: bool = False

    @property
    def is_part(self) -> bool:
        """Tell whether some recordings only are meant."""
        return self.own_only or self.team_only


@dataclass(frozen=True, slots=True)
class Refusal:
    """The act may not go on; the reason is a sentence for the person who tried."""

    reason: str


class Fault(enum.Enum):
    """What is wrong with an act that was denied; the edges turn it into a status."""

    NOT_ALLOWED = "not allowed"
    INCOMPLETE = "incomplete"
    TOO_LATE = "too late"


class DeniedError(Exception):
    """An act on a call was denied; the message is a sentence for the person who tried. Nothing changed."""

    def __init__(self, fault: Fault, sentence: str) -> None:
        super().__init__(sentence)
        self.fault = fault


_YES = Allowed()
_OWN = Allowed(own_only=True)
_TEAM = Allowed(team_only=True)
_OWN_AND_TEAM = Allowed(own_only=True, team_only=True)
_GLASS = Allowed(break_glass=True)
_LEAVE = Allowed(needs_leave=True)

_LIVE: Mapping[Act, Allowed] = dict.fromkeys(
    (Act.SEE_LIVE, Act.SEE_NUMBERS, Act.PAUSE, Act.DISCARD, Act.RESUME, Act.RAISE_OPT_OUT, Act.SECOND_MESSAGE), _YES
)
"""Which calls are meant `recorder.rules.live_access` says."""
_AT_A_PHONE: Mapping[Act, Allowed] = {Act.SIGN_ON: _YES}
_ROWS: Mapping[Act, Allowed] = {Act.SEARCH: _YES, Act.VIEW: _YES, Act.REPORT: _YES}
_TEAM_ROWS: Mapping[Act, Allowed] = {Act.SEARCH: _TEAM, Act.VIEW: _TEAM, Act.REPORT: _TEAM}
_HEAR: Mapping[Act, Allowed] = {Act.ASK: _YES, Act.PLAY: _LEAVE, Act.EXPORT: _LEAVE}
_OPT_OUT: Mapping[Act, Allowed] = {Act.OPT_OUT: _YES, Act.DECLINE_OPT_OUT: _YES}
_ERASE: Mapping[Act, Allowed] = {Act.RETROACTIVE_PAUSE: _YES, Act.ERASE: _YES, Act.CONFIRM_ERASURE: _YES}
_HOLDS: Mapping[Act, Allowed] = {Act.PLACE_HOLD: _YES, Act.RELEASE_HOLD: _YES}
_OF_TEAM: Mapping[Act, Allowed] = {
    **dict.fromkeys((*_HOLDS, *_ERASE, Act.ASK), _TEAM), Act.RETROACTIVE_PAUSE: _OWN_AND_TEAM,
}  # fmt: skip
"""What a manager does about recordings of their teams; what they forgot to pause themselves may be of any call."""
_UPKEEP: Mapping[Act, Allowed] = {Act.RUN_RETENTION: _YES, Act.REPAIR_INDEX: _YES}
_DECIDE: Mapping[Act, Allowed] = {
    Act.DECIDE: _YES, Act.MARK_ABSENT: _YES, Act.WORK_ON_CASES: _YES, Act.SEE_SYSTEM: _YES,
    Act.CONFIRM_GRANT: _YES, Act.WRITE_CLAIM: _YES, Act.CONFIRM_SWEEP: _YES,
}  # fmt: skip
_DPO: Mapping[Act, Allowed] = {
    Act.VIEW_AUDIT: _YES, Act.RECONCILE: _YES, Act.SHORTEN_RETENTION: _YES, Act.ACKNOWLEDGE: _YES,
    Act.DECIDE_CLAIM: _YES, Act.SET_NOTICE: _YES, Act.SCOPE_CASE: _YES,
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
        },
        Role.MEMBER: {**_HEAR, Act.VIEW: _LEAVE},
    }
)
"""What each role may do; what is not here is refused. Roles add up, so ``admin`` alone never listens.

Keys are ``ict``'s alone (P11): who holds them could open every recording, which ``admin`` never may.
"""

LOCAL_ACTS = frozenset({Act.SEE_LIVE, Act.PAUSE})
"""Acts of somebody at the recorder's shell who gives no account: enough to pause."""

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
"""The scope that an act asks of a token; an act that is not here is never a token's."""

NEEDS_REASON = frozenset(
    {
        Act.EXPORT,
        Act.OPT_OUT,
        Act.DECLINE_OPT_OUT,
        Act.ERASE,
        Act.PLACE_HOLD,
        Act.RELEASE_HOLD,
        Act.RECONCILE,
    }
)
"""Acts that demand a person and a reason (P10); what is break-glass does too, and leave was asked for with one."""

HEARS = frozenset({Act.PLAY, Act.EXPORT})
"""Acts by which somebody hears a recording. Nobody does them on a password alone, whatever their role."""

WATCHES_ICT = frozenset({Act.SHORTEN_RETENTION, Act.CONFIRM_SWEEP, Act.RECONCILE, Act.ACKNOWLEDGE})
"""Acts that somebody beside ICT does, because ICT runs the recorder: whoever has that role too does none of them."""

HEARING_ROLES = frozenset(role for role, acts in TABLE.items() if acts.keys() & HEARS)
"""Roles that hear, with leave or by break-glass; nobody who changes accounts has one of them."""

MIN_REASON_CHARACTERS = 3
MAX_REASON_CHARACTERS = 1000

VERBS: Mapping[Act, str] = {
    Act.SEE_LIVE: "see live calls",
    Act.SEE_NUMBERS: "see who calls",
    Act.SIGN_ON: "sign on to an extension",
    Act.PAUSE: "pause a recording",
    Act.DISCARD: "drop a recording by a pause for a card payment",
    Act.RESUME: "resume a recording",
    Act.RAISE_OPT_OUT: "ask for an opt-out",
    Act.OPT_OUT: "grant an opt-out",
    Act.DECLINE_OPT_OUT: "decline an opt-out",
    Act.SECOND_MESSAGE: "have the second message played to a caller",
    Act.RETROACTIVE_PAUSE: "mark a span that should have been paused",
    Act.SEARCH: "search recordings",
    Act.VIEW: "see a recording's details",
    Act.PLAY: "listen to a recording",
    Act.EXPORT: "export a recording",
    Act.ASK: "ask to hear a recording",
    Act.DECIDE: "decide on requests",
    Act.MARK_ABSENT: "mark a team leader absent",
    Act.NAME_DEPUTY: "propose the data protection officer's deputy, or have nobody be it",
    Act.WORK_ON_CASES: "work on cases",
    Act.SCOPE_CASE: "narrow or confirm what a case holds",
    Act.WRITE_CLAIM: "write down that restriction, objection or erasure is asked",
    Act.DECIDE_CLAIM: "decide on restriction, objection and erasure",
    Act.ACKNOWLEDGE: "acknowledge that a recording was heard without approval",
    Act.ERASE: "erase a span of a recording",
    Act.CONFIRM_ERASURE: "confirm an erasure",
    Act.PLACE_HOLD: "place a hold",
    Act.RELEASE_HOLD: "release a hold",
    Act.RUN_RETENTION: "run the retention sweep",
    Act.SHORTEN_RETENTION: "put a shorter retention period into force",
    Act.CONFIRM_SWEEP: "let a sweep go on that stopped, as one of two people",
    Act.MANAGE_KEYS: "manage keys",
    Act.VIEW_AUDIT: "read the audit log",
    Act.REPAIR_INDEX: "repair the index",
    Act.RECONCILE: "let the sweep go on after the index was rebuilt",
    Act.REPORT: "see reports",
    Act.SEE_SYSTEM: "see how the recorder is, its notices and the changes of its configuration",
    Act.MANAGE_PEOPLE: "change accounts",
    Act.CONFIRM_GRANT: "confirm that somebody gets a powerful role, or another system a token",
    Act.MANAGE_TOKENS: "change tokens",
    Act.SET_NOTICE: "change the messages that callers hear",
}
"""Acts as sentences have them: to ..."""
