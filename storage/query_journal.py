"""Holds by search in the audit log: what their entries say, and how the tables are rebuilt from them.

Each act is in the audit log before it is in the tables. The number of a search is the text of its entry, which can
expire; it is kept while the hold is active.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from storage.audit_entry import AuditEntry
from storage.query_holds import QueryHold, QueryHolds, Release
from storage.retention_types import HoldKind
from storage.rows import time_from_json, time_to_json
from storage.types import RecordingId

PLACED, CHANGED, RELEASED = "query_hold.placed", "query_hold.changed", "query_hold.released"
ACTS = (PLACED, CHANGED, RELEASED)
"""Acts in the audit log that are replayed."""

Text = Callable[[AuditEntry], str | None]
"""Returns the free text of an entry, or None: `storage.audit.AuditLog.text`."""


def placed_details(query: QueryHold) -> dict[str, Any]:
    """Return the details of the entry of a new hold by search: all but its number, case and placer.

    The entry's text is the number, so the reason is told here: the case, in words that never expire.
    """
    return {
        "reason": f"case {query.case_reference}", "case_reference": query.case_reference,
        "query_hold": query.id, "kind": str(query.kind), "owner": query.owner,
        "from": time_to_json(query.started_from), "to": time_to_json(query.started_to), "operator": query.operator,
        "extension": query.extension, "by_number": query.number is not None, "until": time_to_json(query.ends_at),
        "at": time_to_json(query.placed_at),
    }  # fmt: skip


def changed_details(query: QueryHold, at: datetime) -> dict[str, Any]:
    """Return the details of the entry of a hold by search whose end was changed."""
    return {"query_hold": query.id, "until": time_to_json(query.ends_at), "at": time_to_json(at)}


def released_details(releases: Iterable[Release], at: datetime) -> dict[str, Any]:
    """Return the details of the entry of releases, all of one case and with one grace period."""
    releases = list(releases)
    until = time_to_json(releases[0].grace_until)
    return {"recordings": [one.recording for one in releases], "grace_until": until, "at": time_to_json(at)}


def replay_queries(entries: Iterable[AuditEntry], queries: QueryHolds, *, text: Text = lambda _: None) -> int:
    """Bring the tables to the state of the audit log; holds that the log does not mention stay.

    A release that the log does not mention is deleted: it is not known that anybody released the recording.

    Returns:
        How many holds by search and releases were missing, different or deleted.
    """
    said, releases = journalled(entries, text)
    return queries.take_back(queries.releases() - {*releases}) + queries.save(said.values(), releases)


def journalled(
    entries: Iterable[AuditEntry], text: Text = lambda _: None
) -> tuple[dict[str, QueryHold], list[Release]]:
    """Return the holds by search, by id, and the releases by the audit log."""
    said: dict[str, QueryHold] = {}
    releases: list[Release] = []
    for entry in entries:
        if entry.act == PLACED:
            query = _placed(entry, text(entry))
            said.setdefault(query.id, query)
        elif entry.act == CHANGED and (known := said.get(str(entry.details.get("query_hold")))) is not None:
            said[known.id] = replace(known, ends_at=time_from_json(entry.details["until"]))
        elif entry.act == RELEASED:
            until = _moment(entry.details["grace_until"])
            releases += [
                Release(case_reference=entry.subject, recording=RecordingId(one), grace_until=until)
                for one in entry.details["recordings"]
            ]
    return said, releases


def _placed(entry: AuditEntry, number: str | None) -> QueryHold:
    details = entry.details
    return QueryHold(
        id=details["query_hold"], case_reference=entry.subject, kind=HoldKind(details["kind"]),
        owner=details["owner"], placed_by=entry.actor, placed_at=_moment(details["at"]),
        started_from=time_from_json(details["from"]), started_to=time_from_json(details["to"]),
        operator=details["operator"], extension=details["extension"], number=number or None,
        is_number_lost=bool(details["by_number"]) and not number, ends_at=time_from_json(details["until"]),
    )  # fmt: skip


def _moment(written: str) -> datetime:
    moment = time_from_json(written)
    assert moment is not None
    return moment
