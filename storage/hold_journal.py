"""Holds in the audit log: what their entries say, how the table is rebuilt from them, and the lock for holds.

Each act is in the audit log before it is in the table. Placing a hold and deleting recordings both happen inside
`steady`. So no hold can be placed between the check of the holds and the deletion, and acts that a kill left in the
audit log alone are brought into the table first.
"""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from storage.claim_journal import replay_claims
from storage.claims import Claims
from storage.durable import make_folder, remove, save_atomically
from storage.errors import AuditUnavailableError
from storage.group_modes import open_file
from storage.holds import Holds
from storage.query_holds import QueryHolds
from storage.query_journal import ACTS as QUERY_ACTS
from storage.query_journal import replay_queries
from storage.retention_types import Hold, HoldKind
from storage.rows import time_from_json, time_to_json
from storage.types import RecordingId

PLACED, REVIEWED, RELEASED, REINSTATED = "hold.placed", "hold.reviewed", "hold.released", "hold.reinstated"
HOLD_ACTS = (PLACED, REVIEWED, RELEASED, REINSTATED)
ACTS = (*HOLD_ACTS, *QUERY_ACTS)
"""Acts in the audit log that are replayed: on holds of one recording, and on holds by search."""

LOCK, UNSETTLED = "holds.lock", "holds.unsettled"
"""Files in the folder of states: the lock of `steady`, and a mark that the log may have acts that the table lacks."""

Text = Callable[[AuditEntry], str | None]
"""Returns the free text of an entry, or None: `storage.audit.AuditLog.text`."""


def placed_details(hold: Hold) -> dict[str, Any]:
    """Return the details of the entry of a new hold: all but its reason, recording and placer."""
    return {
        "hold": hold.id,
        "kind": str(hold.kind),
        "case_reference": hold.case_reference,
        "owner": hold.owner,
        "against": list(hold.against),
        "review_on": hold.review_on.isoformat(),
        "at": time_to_json(hold.placed_at),
    }


def changed_details(before: Hold, after: Hold, at: datetime) -> dict[str, Any]:
    """Return the details of the entry of a hold that is reviewed, released or reinstated."""
    details: dict[str, Any] = {"hold": after.id, "at": time_to_json(at)}
    if after.grace_until is not None:
        details["grace_until"] = time_to_json(after.grace_until)
    if (before.review_on, before.owner) != (after.review_on, after.owner):
        details |= {"review_on": after.review_on.isoformat(), "owner": after.owner}
    return details


def replay_holds(entries: Iterable[AuditEntry], holds: Holds, *, text: Text = lambda _: None) -> int:
    """Bring the table to the state of the audit log; holds that the log does not mention stay.

    Call it inside `steady`, or while nothing else is running. Safe to kill at any point and to run again.

    Args:
        entries: All entries of the audit log, in order.
        holds: The table.
        text: Returns the reason of a hold that the table lacks.

    Returns:
        How many holds were missing or different.

    Raises:
        DatabaseError, OSError: The database cannot be used; nothing was changed.
    """
    found = [entry for entry in entries if entry.act in ACTS]
    said = journalled(found)
    known = holds.known_ids(list(said))
    missing = holds.save(
        hold if hold.id in known else replace(hold, reason=text(first) or "") for hold, first in said.values()
    )
    return missing + replay_queries(found, QueryHolds(holds.database), text=text)


def journalled(entries: Iterable[AuditEntry]) -> dict[str, tuple[Hold, AuditEntry]]:
    """Return the holds of single recordings by the audit log, by id; each with the entry that placed it.

    They are without their reasons.

    Args:
        entries: Entries of the audit log, at least those of `ACTS`, in order.
    """
    said: dict[str, tuple[Hold, AuditEntry]] = {}
    for entry in entries:
        hold_id = str(entry.details.get("hold", ""))
        if entry.act == PLACED:
            said.setdefault(hold_id, (_placed(entry), entry))
        elif entry.act in HOLD_ACTS and hold_id in said:
            hold, first = said[hold_id]
            said[hold_id] = _changed(hold, entry), first
    return said


def _placed(entry: AuditEntry) -> Hold:
    details = entry.details
    return Hold(
        id=details["hold"],
        recording=RecordingId(entry.subject),
        kind=HoldKind(details["kind"]),
        reason="",
        case_reference=details["case_reference"],
        owner=details["owner"],
        against=tuple(details["against"]),
        placed_by=entry.actor,
        placed_at=_time(details, "at"),
        review_on=date.fromisoformat(details["review_on"]),
    )


def _changed(hold: Hold, entry: AuditEntry) -> Hold:
    details = entry.details
    if entry.act == RELEASED:
        at, until = _time(details, "at"), _time(details, "grace_until")
        return replace(hold, released_by=entry.actor, released_at=at, grace_until=until)
    if entry.act == REINSTATED:
        return replace(hold, released_by=None, released_at=None, grace_until=None)
    return replace(hold, review_on=date.fromisoformat(details["review_on"]), owner=details["owner"])


def _time(details: Mapping[str, Any], name: str) -> datetime:
    moment = time_from_json(details[name])
    assert moment is not None
    return moment


@contextmanager
def steady(state: Path, holds: Holds, audit: AuditLog) -> Iterator[None]:
    """Lock the holds for a block, between processes, with the table in the state of the audit log.

    Args:
        state: The home's folder of states, for the lock.
        holds: The table.
        audit: The audit log.

    Raises:
        StorageError, OSError: An interrupted act cannot be brought into the table: the database does not answer, or the
            audit log is damaged. Nothing may be deleted.
    """
    make_folder(state)
    descriptor = open_file(state / LOCK, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if (state / UNSETTLED).exists():
            audit.repair()  # the killed act may have left its reason unsettled
            bad = audit.verify().bad  # `entries` would stop at the first damaged entry
            if bad is not None:
                raise AuditUnavailableError(
                    f"the audit log is damaged in line {bad.line} ({bad.problem}), so which recordings are held cannot "
                    "be known; run `recorder audit verify`"
                )
            replay_holds(audit.entries(), holds, text=audit.text)
            replay_claims(audit.entries(), Claims(holds.database), text=audit.text)
            remove(state / UNSETTLED)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def settling(state: Path) -> Iterator[None]:
    """Mark, inside `steady`, that an act is written to the audit log and then to the table.

    The mark is removed when the block succeeds. After an error or a kill it stays, and the next `steady` replays the
    log.

    Raises:
        OSError: The mark cannot be made; nothing was done.
    """
    save_atomically(state / UNSETTLED, b"")
    yield
    remove(state / UNSETTLED)
