"""Results about cases, claims, holds and requests."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenLetter:
    """The text of a letter about a case or a claim."""

    about: str
    letter: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """A transcript in a case; without text when it was added."""

    case: str
    recording: str
    text: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEntry:
    """An entry of a case. Its details depend on the step."""

    step: str
    at: str
    by: str
    on: str
    text: str
    details: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeHold:
    """Recordings that a case holds."""

    from_: str | None
    to: str | None
    operator: str | None
    extension: str | None
    by_number: bool
    until: str | None
    placed_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Recordings that a case holds, and those that nobody has decided on."""

    holds: list[ScopeHold]
    undecided: list[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A subject access request or a disclosure."""

    id: str
    kind: str
    state: str
    requester: str
    handler: str
    received_on: str
    due_on: str | None
    is_pressing: bool
    is_identified: bool
    is_in_doubt: bool
    ground: str | None
    recordings: list[str]
    decision: str | None
    decided_by: str | None
    closed_on: str | None
    entries: list[CaseEntry]
    scope: Scope | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyEntry:
    """An audit entry about a case."""

    number: int
    hash: str
    at: str
    who: str
    about: str
    what: str
    text: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CustodyLog:
    """Whether the audit log is unchanged."""

    entries: int
    head: str
    problems: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Whether a recording or a copy is unchanged."""

    words: str
    sha256: str | None
    is_proven: bool = False
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Custody:
    """The chain of custody of a case."""

    case: str
    requester: str
    is_proven: bool
    audit_log: CustodyLog
    recordings: dict[str, Any]
    copies: dict[str, Any]
    hands: list[CustodyEntry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A data subject's request for restriction, objection or erasure."""

    id: str
    recording: str
    right: str
    ground: str
    state: str
    is_restricted: bool
    received_on: str
    requester: str
    reason: str
    case_reference: str
    asked_by: str
    asked_at: str
    decided_by: str | None
    decided_at: str | None
    decision_ground: str
    words: str
    over_at: str | None
    use_ground: str
    use_by: str | None
    use_until: str | None
    hold: str | None
    due_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A legal hold."""

    id: str
    recording: str
    kind: str
    state: str
    reason: str
    case_reference: str
    owner: str
    against: list[str]
    placed_by: str
    placed_at: str
    review_on: str | None
    released_by: str | None
    released_at: str | None
    grace_until: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request to hear or export recordings; `spans` has the parts that were granted, in seconds."""

    id: str
    account: str
    recordings: list[str]
    category: str
    reason: str
    leave: str
    reference: str
    asked_at: str
    state: str
    decided_by: str | None
    decided_at: str | None
    words: str
    until: str | None
    spans: dict[str, list[list[float]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """Whether a team leader is absent."""

    account: str
    is_absent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergency:
    """Break-glass access to a recording."""

    id: str
    account: str
    recording: str
    at: str
    reason: str
