"""Holds in the audit log, which has each act before their table: how they are written there, and read back.

Whoever places a hold, and whoever deletes recordings, does so inside `steady`: no hold can slip in between the look at
what is held and the deletion, and what a killed act left in the audit log alone is in the table before anybody looks.
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
"""What the audit log calls the acts that are replayed: those on holds of one recording, and on holds by search."""

LOCK, UNSETTLED = "holds.lock", "holds.unsettled"
"""In the folder of states: held by `steady`; there while the log may say what the table does not."""

Text = Callable[[AuditEntry], str | None]
"""Returns the free text of an entry, or None: `storage.audit.AuditLog.text`."""


def placed_details(hold: Hold) -> dict[str, Any]:
    """Return what the entry says of a hold that is placed: all of it but its reason, recording and placer."""
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
    """Return what the entry says of a hold that is reviewed, released or taken back."""
    details: dict[str, Any] = {"hold": after.id, "at": time_to_json(at)}
    if after.grace_until is not None:
        details["grace_until"] = time_to_json(after.grace_until)
    if (before.review_on, before.owner) != (after.review_on, after.owner):
        details |= {"review_on": after.review_on.isoformat(), "owner": after.owner}
    return details


def replay_holds(entries: Iterable[AuditEntry], holds: Holds, *, text: Text = lambda _: None) -> int:
    """Make the table say what the audit log says, from its first entry on; what it does not mention stays.

    Call it inside `steady`, or where nothing else is running. May be killed anywhere and run again.

    Args:
        entries: Of the audit log, all of them, in order.
        holds: The table.
        text: Gives the reason of a hold that the table does not know.

    Returns:
        How many holds were missing or not as they should be.

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
    """Return the holds of single recordings as the audit log says, by id; each with the entry that placed it.

    The reason is not in them.

    Args:
        entries: Of the audit log, those of `ACTS` at least, in order.
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
    """Keep holds as they are for the length of a block, between processes, and the table as the audit log says.

    Args:
        state: The home's folder of states; the lock lies there.
        holds: The table.
        audit: The audit log.

    Raises:
        StorageError, OSError: What a killed act left cannot be put into the table now: the database does not answer, or
            the audit log is damaged. Nothing may be deleted.
    """
    make_folder(state)
    descriptor = open_file(state / LOCK, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if (state / UNSETTLED).exists():
            audit.repair()  # what was killed may have left its reason beside its entry
            bad = audit.verify().bad  # its entries are given only as far as they are good
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
    """Mark, inside `steady`, that the audit log is about to say what the table does not yet.

    The mark is taken away when the block ends well. After an error or a kill it stays, and the next `steady` replays.

    Raises:
        OSError: The mark cannot be made; nothing was done.
    """
    save_atomically(state / UNSETTLED, b"")
    yield
    remove(state / UNSETTLED)
