"""Rows as JSON. Pure."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from storage.types import (
    Archived,
    ArchiveFormat,
    HeardNotice,
    NoticeProof,
    Officer,
    Outcome,
    Participant,
    PlayedMessage,
    RecordingId,
    RecordingRow,
    Segment,
    SegmentKind,
)

_PLAIN = (
    "id", "direction", "extension", "operator", "service", "caller", "called", "outcome", "reason", "duration_s",
    "recorded_s", "paused_s", "opted_out", "card_payment", "path", "bytes", "sha256", "is_one_way", "is_silent",
    "operator_key", "team",
)  # fmt: skip
_OF_SIDES = ("codecs", "speech_s", "clipped", "stream_s", "drift_s", "packets", "packets_lost")
_LISTS = (*_OF_SIDES, "holds", "related", "operators", "extensions", "numbers", "remarks")
_TIMES = ("started_at", "ended_at", "retention_due")
_plain_of, _lists_of, _times_of = attrgetter(*_PLAIN), attrgetter(*_LISTS), attrgetter(*_TIMES)
"""One call for all values instead of one for each: a row is written several times in each call."""


def time_to_json(moment: datetime | None) -> str | None:
    """Return a time as ISO 8601 in UTC with ``Z``, or None."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def time_from_json(text: str | None) -> datetime | None:
    """Parse a time that `time_to_json` wrote; a time without zone is in UTC."""
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def row_to_json(row: RecordingRow, *, with_peaks: bool = False) -> dict[str, Any]:
    """Return a row as JSON-able values; ``with_peaks`` adds the peaks (base64), for the container."""
    fields: dict[str, Any] = dict(zip(_PLAIN, _plain_of(row), strict=True))
    fields["outcome"] = str(row.outcome)
    fields.update(zip(_LISTS, map(list, _lists_of(row)), strict=True))
    fields.update(zip(_TIMES, map(time_to_json, _times_of(row)), strict=True))
    fields["segments"] = [
        {
            "start_s": s.start_s,
            "end_s": s.end_s,
            "kind": str(s.kind),
            "reason": s.reason,
            "by": s.by,
            "operator": s.operator,
            "extension": s.extension,
            "officers": [{"extension": o.extension, "operator": o.operator, "team": o.team} for o in s.officers],
        }
        for s in row.segments
    ]
    fields["notice"] = None if row.notice is None else _notice_to_json(row.notice)
    fields["participants"] = [_participant_to_json(one) for one in row.participants]
    fields["archived"] = None if row.archived is None else archived_to_json(row.archived)
    if row.node:
        fields["node"] = row.node
    if row.second_messages:
        fields["second_messages"] = [_message_to_json(one) for one in row.second_messages]
    if with_peaks:
        fields["peaks"] = [base64.b64encode(peaks).decode("ascii") for peaks in row.peaks]
    return fields


def _notice_to_json(notice: NoticeProof) -> dict[str, Any]:
    return {
        "id": notice.id,
        "sha256": notice.sha256,
        "started_at": time_to_json(notice.started_at),
        "ended_at": time_to_json(notice.ended_at),
        "complete": notice.complete,
        "proof": notice.proof,
        "second_message": notice.second_message,
        **({"messages": [_heard_to_json(one) for one in notice.messages]} if notice.messages else {}),
    }


def _heard_to_json(heard: HeardNotice) -> dict[str, Any]:
    return {"id": heard.id, "sha256": heard.sha256, "language": heard.language, "service": heard.service}


def _message_to_json(played: PlayedMessage) -> dict[str, Any]:
    return {
        "started_at": time_to_json(played.started_at),
        "ended_at": time_to_json(played.ended_at),
        "complete": played.complete,
        "by": played.by,
    }


def _message_from_json(fields: Mapping[str, Any]) -> PlayedMessage:
    times = {name: time_from_json(fields.get(name)) for name in ("started_at", "ended_at")}
    return PlayedMessage(**{**fields, **times})


def _participant_to_json(participant: Participant) -> dict[str, Any]:
    return {
        "name": participant.name,
        "address": participant.address,
        "number": participant.number,
        "role": participant.role,
        "channel": participant.channel,
        "extension": participant.extension,
        "joined_at": time_to_json(participant.joined_at),
        "left_at": time_to_json(participant.left_at),
    }


def _participant_from_json(fields: Mapping[str, Any]) -> Participant:
    times = {name: time_from_json(fields.get(name)) for name in ("joined_at", "left_at")}
    return Participant(**{**fields, **times})


def archived_to_json(archived: Archived) -> dict[str, Any]:
    """Return JSON-able values of `Archived`, for rows and the audit log."""
    return {
        "format": str(archived.format),
        "at": time_to_json(archived.at),
        "original_sha256": archived.original_sha256,
        "original_bytes": archived.original_bytes,
    }


def row_from_text(document: str | bytes) -> RecordingRow:
    """Parse a row that was stored as JSON text.

    Raises:
        KeyError, TypeError, ValueError: As `row_from_json`, or it is not JSON.
    """
    try:
        return row_from_json(json.loads(document))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def row_from_json(fields: Mapping[str, Any]) -> RecordingRow:
    """Parse a row that `row_to_json` wrote; unknown names are ignored, missing ones get their default.

    Raises:
        KeyError, TypeError, ValueError: A required value is missing, or a value is malformed.
    """
    try:
        return _read(fields)
    except AttributeError as error:
        raise TypeError("something else stands where names with values belong") from error


def _read(fields: Mapping[str, Any]) -> RecordingRow:
    values: dict[str, Any] = {name: fields[name] for name in _PLAIN if name in fields}
    values |= {name: tuple(fields[name]) for name in _LISTS if name in fields}
    values |= {name: time_from_json(fields.get(name)) for name in _TIMES}
    values["id"] = RecordingId(fields["id"])
    values["node"] = fields.get("node", "")
    values["outcome"] = Outcome(fields["outcome"])
    values["segments"] = tuple(
        Segment(
            start_s=s["start_s"],
            end_s=s["end_s"],
            kind=SegmentKind(s["kind"]),
            reason=s.get("reason", ""),
            by=s.get("by", ""),
            operator=s.get("operator", ""),
            extension=s.get("extension", ""),
            officers=tuple(
                Officer(extension=o["extension"], operator=o["operator"], team=o["team"]) for o in s.get("officers", ())
            ),
        )
        for s in fields.get("segments", ())
    )
    if notice := fields.get("notice"):
        times = {name: time_from_json(notice.get(name)) for name in ("started_at", "ended_at")}
        messages = tuple(HeardNotice(**one) for one in notice.get("messages", ()))
        values["notice"] = NoticeProof(**{**notice, **times, "messages": messages})
    values["participants"] = tuple(map(_participant_from_json, fields.get("participants", ())))
    values["second_messages"] = tuple(map(_message_from_json, fields.get("second_messages", ())))
    if archived := fields.get("archived"):
        form, at = ArchiveFormat(archived["format"]), time_from_json(archived["at"])
        values["archived"] = Archived(**{**archived, "format": form, "at": at})
    if "peaks" in fields:
        left, right = fields["peaks"]
        values["peaks"] = (base64.b64decode(left), base64.b64decode(right))
    return RecordingRow(**values)
