"""The events that webhooks tell other systems of, and what each says. Pure.

An event names a call or recording by its id, and the officer's extension. It never has a number or name of a caller, or
the name of an officer: the receiver's directory knows who sits at an extension.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from storage.audit_entry import AuditEntry
from storage.format import is_recording_id
from storage.types import Outcome, RecordingRow

_WORD = re.compile(r"[a-z][a-z0-9_]{0,40}")
_KEPT = (Outcome.RECORDED, Outcome.PARTIAL)
"""Outcomes of calls of which audio was kept."""


class EventType(StrEnum):
    """What happened."""

    CALL_BEGUN = "call.begun"
    CALL_PAUSED = "call.paused"
    CALL_RESUMED = "call.resumed"
    CALL_ENDED = "call.ended"
    RECORDING_READY = "recording.ready"
    CALL_OUTCOME = "call.outcome"
    CASE_DEADLINE = "case.deadline"


TEST = "webhook.test"
"""Type of the event of `recorder webhooks test`."""
_OF_ACT = {"call.pause": EventType.CALL_PAUSED, "call.resume": EventType.CALL_RESUMED}


class CaseDeadline(StrEnum):
    """How near the due day of a case is."""

    NEAR = "near"
    TODAY = "today"
    OVERDUE = "overdue"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """One event.

    Attributes:
        id: The same each time that the event is derived, so that a receiver can drop what comes twice.
        type: What happened; of `EventType`, or `TEST`.
        about: The call, recording or case.
        at: When it happened, RFC 3339, UTC.
        data: What is said besides.
    """

    id: str
    type: str
    about: str
    at: str
    data: Mapping[str, Any]

    @property
    def body(self) -> bytes:
        """Return the JSON that is sent."""
        said = {"id": self.id, "type": self.type, "timestamp": self.at, "data": dict(self.data)}
        return json.dumps(said, separators=(",", ":")).encode("ascii")


def event_of(kind: str, about: str, at: datetime | str, data: Mapping[str, Any], *, nth: str = "") -> WebhookEvent:
    """Return an event.

    Args:
        kind: Its type.
        about: The call, recording or case.
        at: When it happened; a datetime is aware, in UTC.
        data: What is said besides.
        nth: Tells events of one type about one thing apart.
    """
    digest = hashlib.blake2b("\n".join((kind, about, nth)).encode(), digest_size=12).hexdigest()
    moment = at if isinstance(at, str) else at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return WebhookEvent(id=f"evt_{digest}", type=str(kind), about=about, at=moment, data=data)


def of_published(event: Mapping[str, Any], now: datetime) -> list[WebhookEvent]:
    """Return the events that follow from one of the daemon's event stream.

    Args:
        event: As the stream has it.
        now: Aware, in UTC.
    """
    call = str(event.get("id", ""))
    if not is_recording_id(call):
        return []
    match event.get("event"):
        case "call":
            data = {"call": call, "extension": str(event["extension"]), "direction": str(event["direction"])}
            return [event_of(EventType.CALL_BEGUN, call, str(event["started_at"]), data)]
        case "ended":
            return [event_of(EventType.CALL_ENDED, call, now, _about(call))]
        case "recording":
            return _outcome(call, Outcome(event["outcome"]), str(event["reason"]), now)
    return []


def of_row(row: RecordingRow) -> list[WebhookEvent]:
    """Return the events that the row of a call that has ended tells of."""
    begun = {"call": row.id, "extension": row.extension, "direction": row.direction}
    ended_at = row.ended_at or row.started_at
    return [
        event_of(EventType.CALL_BEGUN, row.id, row.started_at, begun),
        event_of(EventType.CALL_ENDED, row.id, ended_at, _about(row.id)),
        *_outcome(row.id, row.outcome, row.reason, ended_at),
    ]


def of_entry(entry: AuditEntry) -> WebhookEvent | None:
    """Return the event of an entry of the audit log: a pause or resume that was done; else None."""
    kind = _OF_ACT.get(entry.act)
    if kind is None or not is_recording_id(entry.subject):
        return None
    details = entry.details
    listed = details.get("reasons")
    words = [one.partition(":")[0] for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
    data = {
        **_about(entry.subject),
        "state": _word(details.get("state")),
        "reasons": [one for one in words if _WORD.fullmatch(one)],
    }
    at = details.get("happened_at") if details.get("late") else None
    return event_of(kind, entry.subject, at if isinstance(at, str) else entry.at, data, nth=entry.hash)


def of_case(case: str, due_on: date, today: date, *, is_pressing: bool, now: datetime) -> WebhookEvent | None:
    """Return the event of a case whose due day is near, is today or has passed; else None.

    Args:
        case: Its reference.
        due_on: When it must be answered.
        today: At the site.
        is_pressing: Whether it is due soon.
        now: Aware, in UTC.
    """
    if due_on < today:
        deadline = CaseDeadline.OVERDUE
    elif due_on == today:
        deadline = CaseDeadline.TODAY
    elif is_pressing:
        deadline = CaseDeadline.NEAR
    else:
        return None
    data = {"case": case, "due_on": due_on.isoformat(), "deadline": deadline.value}
    return event_of(EventType.CASE_DEADLINE, case, now, data, nth=f"{due_on.isoformat()} {deadline.value}")


def trial_event(target: str, now: datetime) -> WebhookEvent:
    """Return the event of `recorder webhooks test`."""
    return event_of(TEST, target, now, {"webhook": target}, nth=now.isoformat())


def _outcome(call: str, outcome: Outcome, reason: str, at: datetime) -> list[WebhookEvent]:
    """Return the events of an outcome; a partial recording is ready, and its outcome is not `recorded`."""
    data = {**_about(call), "outcome": outcome.value, "reason": _word(reason)}
    found = []
    if outcome in _KEPT:
        found.append(event_of(EventType.RECORDING_READY, call, at, {**data, "recording": call}))
    if outcome is not Outcome.RECORDED:
        found.append(event_of(EventType.CALL_OUTCOME, call, at, data))
    return found


def _about(call: str) -> dict[str, Any]:
    """Return call and extension; the id of a call holds the extension with which it began."""
    return {"call": call, "extension": call.split("-")[1]}


def _word(value: object) -> str | None:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None
