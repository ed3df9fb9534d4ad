"""Cases of subject access and disclosure, derived from their entries (P8, P20, P22). Pure.

A case is its entries, oldest first. Everything else is derived from them, so no history is ever overwritten.
"""

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from recorder.rules.deadlines import DeadlineFacts, Wait
from storage.types import RecordingId


class CaseKind(enum.StrEnum):
    """The kinds of case."""

    SUBJECT_ACCESS = "sar"
    DISCLOSURE = "disclosure"


class LegalGround(enum.StrEnum):
    """The legal grounds for disclosing recordings to third parties."""

    COURT_ORDER = "court_order"
    CRIME = "crime"
    LEGAL_CLAIM = "legal_claim"
    STATUTE = "statute"


class CaseEvent(enum.StrEnum):
    """What can happen in a case; the audit act is ``case.`` and this word."""

    OPENED = "opened"
    IDENTITY_ASKED = "identity_asked"
    IDENTITY_CHECKED = "identity_checked"
    IDENTITY_DOUBTED = "identity_doubted"
    FEE_ASKED = "fee_asked"
    FEE_PAID = "fee_paid"
    CLARIFICATION_ASKED = "clarification_asked"
    CLARIFIED = "clarified"
    EXTENDED = "extended"
    SEARCHED = "searched"
    MATCHED = "matched"
    DISMISSED = "dismissed"
    NARROWED = "narrowed"
    SCOPE_CONFIRMED = "scope_confirmed"
    TRANSCRIBED = "transcribed"
    DECIDED = "decided"
    HANDED_OVER = "handed_over"
    PASSPHRASE_TOLD = "passphrase_told"  # noqa: S105 - an event, not a passphrase
    RECEIVED = "received"
    RETURNED = "returned"
    DESTROYED = "destroyed"
    NOTED = "noted"
    CLOSED = "closed"


class Decision(enum.StrEnum):
    """The decisions on a case."""

    DISCLOSE = "disclose"
    PARTLY = "partly"
    REFUSE = "refuse"


class CaseState(enum.StrEnum):
    """The states of a case."""

    OPEN = "open"
    DECIDED = "decided"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEntry:
    """One event of a case.

    Attributes:
        at: When it was entered, UTC.
        by: Account that entered it.
        on: The day it happened, where the deadline depends on it.
        text: Free text.
        details: Values of the event: ``recording``, ``decision``, ``found``, ...
    """

    step: CaseEvent
    at: datetime
    by: str
    on: date
    text: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A case, as derived from its entries.

    Attributes:
        id: Its reference, ``SAR-2026-0001`` or ``DIS-2026-0001``.
        kind: Subject access or disclosure.
        requester: Who asks: a name, or a body and its officer.
        course: What the deadline depends on.
        ground: Legal ground; of a disclosure only.
        is_identified: Whether the requester's identity was checked.
        is_in_doubt: Whether the identity is in doubt, so that the data protection officer decides.
        doubted_by: Accounts that raised a doubt about it since it was last checked.
        recordings: Recordings found to be the requester's, in the order of finding.
        decided_at: When, UTC.
        closed_on: The day it was closed, or None.
    """

    id: str
    kind: CaseKind
    requester: str
    opened_by: str
    handler: str
    course: DeadlineFacts
    ground: LegalGround | None = None
    is_identified: bool = False
    is_in_doubt: bool = False
    doubted_by: frozenset[str] = frozenset()
    recordings: tuple[RecordingId, ...] = ()
    searches: int = 0
    decision: Decision | None = None
    decided_by: str | None = None
    decided_at: datetime | None = None
    handed_over: int = 0
    closed_on: date | None = None
    entries: tuple[CaseEntry, ...] = ()

    @property
    def state(self) -> CaseState:
        """Return the state of the case."""
        if self.closed_on is not None:
            return CaseState.CLOSED
        return CaseState.OPEN if self.decision is None else CaseState.DECIDED


def opened(case_id: str, entry: CaseEntry) -> Case:
    """Return a case from its first entry."""
    ground = entry.details.get("ground")
    return Case(
        id=case_id,
        kind=CaseKind(entry.details["kind"]),
        requester=str(entry.details["requester"]),
        opened_by=entry.by,
        handler=entry.by,
        course=DeadlineFacts(received_on=entry.on),
        ground=LegalGround(ground) if ground else None,
        entries=(entry,),
    )


def told(case_id: str, entries: Iterable[CaseEntry]) -> Case:
    """Return a case from all its entries, oldest first."""
    first, *rest = entries
    case = opened(case_id, first)
    for entry in rest:
        case = after(case, entry)
    return case


def after(case: Case, entry: CaseEntry) -> Case:
    """Return a case with one more entry; `case_rules` decides whether the entry is allowed."""
    changes = _EFFECTS.get(entry.step, _nothing)(case, entry)
    return replace(case, entries=(*case.entries, entry), **changes)


Changes = dict[str, Any]


def _nothing(_case: Case, _entry: CaseEntry) -> Changes:
    return {}


def _checked(case: Case, entry: CaseEntry) -> Changes:
    identity = replace(case.course.identity, came_on=entry.on) if case.course.identity else None
    course = replace(case.course, identity=identity)
    return {"course": course, "is_identified": True, "is_in_doubt": False, "doubted_by": frozenset()}


def _paid(case: Case, entry: CaseEntry) -> Changes:
    assert case.course.fee is not None, "the rules ensure it"
    return {"course": replace(case.course, fee=replace(case.course.fee, came_on=entry.on))}


def _asked(case: Case, entry: CaseEntry) -> Changes:
    waits = (*case.course.clarifications, Wait(asked_on=entry.on))
    return {"course": replace(case.course, clarifications=waits)}


def _clarified(case: Case, entry: CaseEntry) -> Changes:
    *others, last = case.course.clarifications
    return {"course": replace(case.course, clarifications=(*others, replace(last, came_on=entry.on)))}


def _matched(case: Case, entry: CaseEntry) -> Changes:
    return {"recordings": (*case.recordings, RecordingId(entry.details["recording"]))}


def _decided(_case: Case, entry: CaseEntry) -> Changes:
    return {"decision": Decision(entry.details["decision"]), "decided_by": entry.by, "decided_at": entry.at}


_EFFECTS: Mapping[CaseEvent, Callable[[Case, CaseEntry], Changes]] = MappingProxyType(
    {
        CaseEvent.IDENTITY_ASKED: lambda case, entry: {
            "course": replace(case.course, identity=Wait(asked_on=entry.on))
        },
        CaseEvent.IDENTITY_CHECKED: _checked,
        CaseEvent.IDENTITY_DOUBTED: lambda case, entry: {
            "is_in_doubt": True,
            "doubted_by": case.doubted_by | {entry.by},
        },
        CaseEvent.FEE_ASKED: lambda case, entry: {"course": replace(case.course, fee=Wait(asked_on=entry.on))},
        CaseEvent.FEE_PAID: _paid,
        CaseEvent.CLARIFICATION_ASKED: _asked,
        CaseEvent.CLARIFIED: _clarified,
        CaseEvent.EXTENDED: lambda case, _entry: {"course": replace(case.course, is_extended=True)},
        CaseEvent.SEARCHED: lambda case, _entry: {"searches": case.searches + 1},
        CaseEvent.MATCHED: _matched,
        CaseEvent.DECIDED: _decided,
        CaseEvent.HANDED_OVER: lambda case, _entry: {"handed_over": case.handed_over + 1},
        CaseEvent.CLOSED: lambda _case, entry: {"closed_on": entry.on},
    }
)
"""What each event changes; an event that is not listed changes nothing."""
