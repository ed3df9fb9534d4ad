"""Results about messages, mail and the home."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMail:
    """A test mail that the server accepted."""

    address: str
    server: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MailAddress:
    """The mail address of an account, or none; or what is proposed to a second person."""

    account: str
    address: str | None
    is_done: bool = True
    proposal: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedHome:
    """How many files of a home have, or would have, other rights."""

    changed: int
    dry_run: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MailState:
    """Addresses and the mail queue."""

    server: str | None
    waiting: int
    oldest_at: str | None
    given_up: int
    problem: str
    is_stuck: bool
    addresses: dict[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A system that is told of events."""

    name: str
    host: str
    events: str
    networks: list[str]
    waiting: int
    oldest_at: str | None
    given_up: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A delivery to a webhook."""

    queued_at: str
    webhook: str
    type: str
    about: str
    event: str
    happened_at: str
    state: str
    tries: int
    tried_at: str | None
    status: int | None
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TestDelivery:
    """A test event."""

    accepted: bool
    status: int | None
    event: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewHome:
    """A home that was made, and its first account."""

    home: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFinding:
    """What a check found."""

    level: str
    what: str
    says: str
    why: str
    do: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """Keys of recorder.toml that changed."""

    sha256: str
    changed: list[str]
    needs_restart: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """Whether new calls are refused."""

    state: str
    since: str | None
    calls: int
    left_s: float | None
    refused: int = 0
    waited_s: float = 0
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTestCheck:
    """One check of a self-test; ``sentence`` says what holds, or what is wrong and what to do."""

    name: str
    passed: bool
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SelfTestReport:
    """The result of a self-test; ``failed`` has the names of the checks that failed."""

    passed: bool
    failed: list[str]
    checks: list[SelfTestCheck]
    recording: str | None
    duration_s: float
    is_deleted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Who has acknowledged an alarm."""

    by: str
    at: str
    until: str
    remark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingAlarm:
    """An alarm that stands; ``lasts``: it ends with its cause."""

    name: str
    since: str
    last_at: str
    count: int
    lasts: bool
    acknowledged: Acknowledgement | None
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedAlarm:
    """An alarm that has ended, and why."""

    name: str
    since: str
    last_at: str
    count: int
    lasts: bool
    acknowledged: Acknowledgement | None
    ended_at: str
    why: str
    node: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmList:
    """Alarms of the daemons of a site."""

    standing: list[StandingAlarm]
    ended: list[EndedAlarm]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether a daemon is well: its alarms with counts, and what its services report (docs/monitoring.md)."""

    status: str
    alarms: dict[str, int]
    acknowledged: dict[str, Acknowledgement]
    sip: str
    carriage: dict[str, Any]
    calls: int
    drain: dict[str, Any]
    counts: dict[str, Any]
    call_thread: Any
    signalling: Any
    names_not_resolved: list[str]
    registrations: Any
    media: Any
    writer: Any
    disk: Any
    dropped_events: int
    audit: Any
    retention: Any
    mail: Any
    forwarding: Any
    objects: Any
    backup: Any
    verification: Any
    selftest: Any
    policy: Any
    notices: list[dict[str, Any]]
    node: Any = None
    nodes: dict[str, Any] = field(default_factory=dict)
