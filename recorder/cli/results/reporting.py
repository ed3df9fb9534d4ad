"""Results about reports, the audit log and retention."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficerPauses:
    """Pauses in one officer's calls."""

    operator: str
    teams: list[str]
    calls: int
    call_s: float
    paused_s: float
    paused_share: float
    pauses: int
    repeats: int
    without_payment: int
    never_resumed: int
    discarded: int
    forgot: int
    opt_outs: int
    longest_pause_s: float
    silenced_s: float
    fax_suspected: int
    fax_suspected_s: float
    erased: int
    erased_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseReport:
    """Pauses by officer in a period."""

    from_: str
    to: str
    officers: list[OfficerPauses]
    team: str | None = None
    operator: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BypassedSpan:
    """A time in which calls went past the recorder."""

    from_: str
    to: str
    not_recorded: int
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BypassedCall:
    """A call that no recorder took."""

    at: str
    direction: str
    extension: str
    service: str
    team: str
    refused: bool
    sip_call_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BypassReport:
    """Calls of nominated extensions that no recorder took."""

    from_: str
    to: str
    operator: str | None
    team: str | None
    unreadable: list[str]
    not_recorded: int
    refused: int
    not_nominated: int
    spans: list[BypassedSpan]
    calls: list[BypassedCall]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """An entry of the audit log. Its details depend on the act."""

    n: int
    at: str
    act: str
    actor: str
    subject: str
    details: dict[str, Any]
    text: str | None
    prev: str
    hash: str
    free_text: str | None = None
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadEntry:
    """The first entry that is wrong."""

    n: int
    line: int
    offset: int
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCopy:
    """The copy of one log in the database."""

    name: str
    ok: bool
    entries: int
    head: str
    heads: int
    waiting: int
    problems: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditCopies:
    """The copies of all logs in the database."""

    ok: bool
    logs: list[AuditCopy]
    unverified: str
    is_refused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedAudit:
    """Whether the audit log is unchanged."""

    ok: bool
    entries: int
    head: str
    bytes: int
    heads: int
    texts: int
    gone_texts: int
    stray_texts: int
    bad: BadEntry | None
    bad_texts: list[Any]
    problems: list[str]
    moved_aside: list[Any]
    copies: AuditCopies | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPackage:
    """The audit log as a package."""

    path: str
    entries: int
    head: str
    texts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """A number of calls, and their size."""

    count: int
    bytes: int = 0
    kinds: dict[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DueCalls:
    """Calls of one class that are due."""

    class_: str
    service: str
    days: int
    due: Amount
    months: dict[str, Amount]
    held: Amount
    next_week: Amount


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """What a sweep would delete."""

    calls: list[DueCalls]
    others: dict[str, int]
    claims_to_carry_out: int
    claims_held: Amount
    recordings_kept: int
    damaged_rows: list[str]
    unconfirmed: list[str]
    stopped: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A period of the schedule."""

    class_: str
    service: str
    what: str
    days: int
    wanted: int | None
    since: str
    owner: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedPeriod:
    """What has a rule in the place of a period."""

    what: str
    rule: str
    owner: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingFiles:
    """Files that a node has not removed yet."""

    node: str
    count: int
    since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """How the last sweep ended; `retention show` adds the schedule."""

    last_success: str | None
    last_try: str | None
    stopped: str | None
    problem: str | None
    unconfirmed: list[str]
    in_force: dict[str, int]
    counts: dict[str, int]
    schedule: list[Period] = field(default_factory=list)
    fixed: list[FixedPeriod] = field(default_factory=list)
    files_waiting: list[WaitingFiles] = field(default_factory=list)
    most_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """A confirmation that waits for a second person's."""

    consent: str
    what: str
    due: int
    is_enough: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShorterPeriod:
    """A period that is in force now."""

    key: str
    days: int
    before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedClock:
    """Whether later times were seen before."""

    now: str
    until: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenOff:
    """Files of deleted recordings that count as destroyed."""

    node: str
    recordings: int
    dry_run: bool = False
    is_dry: bool = False
