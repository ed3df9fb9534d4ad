"""Restores to an index what only the audit log knows: holds, deletions, orders to erase, calls without a container.

Every act of the log is either replayed or listed in `NOT_STATE` with the reason. A test checks the sources for acts
that are in neither; acts of a newer version are counted when they are read.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from recorder.calls.opt_out_register import DECLINED, GRANTED, LAPSED, RAISED
from recorder.permissions import Act
from recorder.recordings.resurrection_guard import held_since
from recorder.rules.cases import CaseEvent
from storage.audit import AuditLog
from storage.audit_chain import checked_lines
from storage.audit_entry import AuditEntry
from storage.claim_journal import ACTS as CLAIM_ACTS
from storage.claim_journal import replay_claims
from storage.claims import Claims
from storage.copy_list import CopyList, CopyMade
from storage.database import Database
from storage.erasures import Erasures
from storage.format import is_recording_id
from storage.hold_journal import ACTS as HOLD_ACTS
from storage.hold_journal import replay_holds
from storage.holds import Holds
from storage.index import Index
from storage.recovery import bare_row
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState
from storage.rows import row_from_json, time_from_json
from storage.stored_rows import StoredRows
from storage.tombstones import DELETED, FILES_REMOVED, NOT_DELETED, Deletions, not_deleted, tombstones_of
from storage.types import Outcome, RecordingId

ORDERED, CONFIRMED, REFUSED, DONE, FAILED, SENT_BACK = (
    f"erasure.{word}" for word in ("ordered", "confirmed", "declined", "done", "failed", "sent_back")
)
RETROACTIVE_PAUSE, OPTED_OUT = str(Act.RETROACTIVE_PAUSE), str(Act.OPT_OUT)
LIVE_ACTS = (GRANTED, OPTED_OUT, RETROACTIVE_PAUSE, str(Act.PAUSE), str(Act.RESUME))
"""Acts on calls in progress: they tell in what state the call was left, and may contain an order."""
ORDER_ACTS = (ORDERED, CONFIRMED, REFUSED, DONE, FAILED, SENT_BACK, *LIVE_ACTS)

COPIED, COPY_DONE = str(Act.EXPORT), f"{Act.EXPORT}.done"
COPY_ACTS = (COPIED, COPY_DONE)

REPLAYED = frozenset({*HOLD_ACTS, *CLAIM_ACTS, DELETED, *ORDER_ACTS, *COPY_ACTS})
"""Acts that are replayed."""

_SEEN = "a reading or a question; nothing changed"
_PEOPLE = "accounts, tokens, requests and cases are in another database: recorder.backups.closing"
_KEYS = "its effect is in the key files"
_RUN = "about a process that has ended"
_CALL = "the request, not the decision; its calls have ended"
_SWEEP = "the sweep's state reads it from the log"
NOT_STATE: Mapping[str, str] = MappingProxyType(
    {
        "access.refused": _SEEN,
        "alarm.acknowledged": "alarms and their history are in state/alarms.json",
        "agent.sign_off": "calls carry who was signed on",
        "agent.sign_on": "calls carry who was signed on",
        "agent.sign_on.code": "a code that was shown; nothing changed",
        "assurance.explain": "days are judged again; the log keeps what was said",
        "assurance.import": "call records are imported again from their file",
        "audit.export": _SEEN,
        "audit.repaired": "about the log itself",
        "call.info": "an INFO that was ignored; nothing changed",
        "call.second_message.ended": "that it was played is in the container, and in its row",
        "calls.deleted": "says how many, not which: they are not there to be brought back",
        "backup.rehearsed": _SEEN,
        "config.reload": "the configuration is a file of its own",
        "daemon.draining": _RUN,
        "daemon.stopped": _RUN,
        "daemon.stopping": _RUN,
        "daemon.taking_calls": _RUN,
        "epoch.destroyed": _KEYS,
        "index.moving": _SEEN,
        "index.moved": "about the index itself",
        "keys.signing_rotated": _KEYS,
        "node.requested": _KEYS,
        "node.added": _PEOPLE,
        "node.joined": _KEYS,
        "node.removed": _PEOPLE,
        "erasure.approved": _PEOPLE,
        "erasure.view": _SEEN,
        "hold.view": _SEEN,
        "break_glass.view": _SEEN,
        "backup.begun": _SEEN,
        "backup.made": _SEEN,
        "backup.checked": _SEEN,
        "objects.checked": _SEEN,
        "objects.restored": "the recordings are filed from their containers",
        "recording.objects_removed": "the tombstone or the erasure before it is what is brought back",
        "backup.restored": "about the index itself",
        "recording.verified": _SEEN,
        "recording.recovered": "what was closed is a container, and its row is made of that",
        "claim.view": _SEEN,
        "case.custody_read": _SEEN,
        "case.transcript_read": _SEEN,
        "index.doubted": "about the index itself",
        "index.noted": "about the index itself",
        "index.reconciled": "about the index itself",
        "index.repair": "about the index itself",
        "index.repaired": "about the index itself",
        "index.reindexed": "about the index itself",
        "keys.passphrase": _KEYS,
        "keys.rotated": _KEYS,
        "keys.accounts_rotated": _KEYS,
        "notice.set": "messages are files of their own",
        RAISED: _CALL,
        DECLINED: _CALL,
        LAPSED: _CALL,
        "people.add": _PEOPLE,
        "people.mail_address": _PEOPLE,
        "people.told_of_recording": _PEOPLE,
        "people.vouched": _PEOPLE,
        "people.declined": _PEOPLE,
        "people.deputy.asked": _PEOPLE,
        "people.connected": _PEOPLE,
        "people.disconnected": _PEOPLE,
        "people.openid_accepted": _PEOPLE,
        "people.disable": _PEOPLE,
        "people.enable": _PEOPLE,
        "people.granted": _PEOPLE,
        "people.resealed": _PEOPLE,
        "people.proposed": _PEOPLE,
        "people.revoked": _PEOPLE,
        "people.remove": _PEOPLE,
        "people.remove_pin": _PEOPLE,
        "people.password_accepted": _PEOPLE,
        "people.second_factor_missing": _PEOPLE,
        "people.second_factor_removed": _PEOPLE,
        "people.second_factor_set": _PEOPLE,
        "people.second_factors_lost": _PEOPLE,
        "people.set_password": _PEOPLE,
        "people.set_pin": _PEOPLE,
        "people.set_team": _PEOPLE,
        "people.sign_in": _PEOPLE,
        "people.sign_in_refused": _PEOPLE,
        "people.sign_out": _PEOPLE,
        "people.sign_out_everywhere": _PEOPLE,
        "people.back": _PEOPLE,
        "request.granted": _PEOPLE,
        "request.declined": _PEOPLE,
        "request.withdrawn": _PEOPLE,
        **{f"case.{step}": _PEOPLE for step in CaseEvent},
        "accounts.moved": _PEOPLE,
        "database.upgraded": "tables, no row",
        "home.shared": "rights on files, no row",
        "recorder.init": "the first entry",
        "recording.archived": "what it did is in the container, its row too",
        f"{COPIED}.broken_off": "the copy is listed without a hash",
        "recording.deleted_again": "the deletion itself is replayed",
        FILES_REMOVED: "the deletion is in the audit log of another node",
        NOT_DELETED: "the deletion that it takes back is not replayed",
        "recording.key_destroyed": _KEYS,
        "recording.play.opened": _SEEN,
        "recording.play.served": _SEEN,
        "recording.resealed": _KEYS,
        "retention.confirmed": _PEOPLE,
        "retention.clock_confirmed": _SWEEP,
        "retention.in_force": _SWEEP,
        "retention.people_swept": _PEOPLE,
        "retention.stopped": _SWEEP,
        "retention.swept": _SWEEP,
        "retention.own_swept": _SWEEP,
        "retention.not_done": _SWEEP,
        "selftest.begun": _RUN,
        "selftest.ended": _RUN,
        "token.use": _SEEN,
        "tokens.add": _PEOPLE,
        "tokens.revoke": _PEOPLE,
        "tokens.confirm": _PEOPLE,
        **{str(act): "somebody was about to do it" for act in Act if str(act) not in REPLAYED},
    }
)
"""Acts that leave nothing to replay, and why."""
OF_ACCESS = ("people.", "tokens.", "request.", "break_glass.", "accounts.", "node.")
"""Prefixes of acts about who may do what; `recorder.backups.closing` replays them."""
NOTHING_DONE = (".refused", ".not_stored")
"""Suffixes of acts that did not happen."""


def is_known(act: str) -> bool:
    """Tell whether this version knows what an act means for the index."""
    return act in REPLAYED or act in NOT_STATE or act.endswith(NOTHING_DONE)


@dataclass(slots=True, kw_only=True)
class Replayed:
    """The results of a replay.

    Attributes:
        entries: Readable entries of the audit log.
        unreadable: Unreadable lines.
        first_problem: What is wrong with the first of those.
        unknown: Acts that this version does not know, with their number.
        holds: Holds that the table lacked or had differently.
        orders: Orders to erase, likewise.
        claims: Rights requests, likewise.
        copies: Copies in the list of copies, likewise.
        deletions: Tombstones that the table lacked.
        spared: Recordings that were held after their deletion was interrupted.
        calls: Rows of calls of which nothing was kept, as far as acts tell of them.
    """

    entries: int = 0
    unreadable: int = 0
    first_problem: str = ""
    unknown: Counter[str] = field(default_factory=Counter)
    holds: int = 0
    orders: int = 0
    claims: int = 0
    copies: int = 0
    deletions: int = 0
    spared: int = 0
    calls: int = 0

    @property
    def is_unsure_of_access(self) -> bool:
        """Tell whether an entry that may have closed access cannot be read, or is of a newer version."""
        return self.unreadable > 0 or any(act.startswith(OF_ACCESS) for act in self.unknown)

    def as_json(self) -> dict[str, Any]:
        """Return the results as JSON values."""
        return {
            "audit_entries": self.entries,
            "audit_unreadable": self.unreadable,
            "audit_first_problem": self.first_problem,
            "audit_unknown_acts": dict(self.unknown),
            "holds_replayed": self.holds,
            "orders_replayed": self.orders,
            "claims_replayed": self.claims,
            "copies_replayed": self.copies,
            "deletions_replayed": self.deletions,
            "spared": self.spared,
            "calls_from_audit": self.calls,
        }


def replay(audit: AuditLog, database: Database, now: Callable[[], datetime]) -> Replayed:
    """Make the tables agree with the audit log; rows that it does not mention stay.

    The caller prevents that others change holds or delete. It may be interrupted anywhere and run again. Unreadable
    lines are counted and skipped; the entries after them are used.

    Raises:
        StorageError, OSError: The database cannot be used, or the log cannot be read.
    """
    done = survey(audit)
    done.holds = replay_holds(readable(audit, HOLD_ACTS), Holds(database), text=audit.text)
    done.claims = replay_claims(readable(audit, CLAIM_ACTS), Claims(database), text=audit.text)
    done.orders = Erasures(database).save(orders_of(readable(audit, ORDER_ACTS)).values())
    done.copies = CopyList(database).save(copies_of(readable(audit, COPY_ACTS)).values())
    _bury(audit, database, now, done)
    done.calls = _file_calls(audit, database)
    return done


def survey(audit: AuditLog) -> Replayed:
    """Count the entries of the audit log that can be replayed, and those that cannot."""
    done = Replayed()
    for found in _lines(audit):
        if isinstance(found, str):
            done.unreadable += 1
            done.first_problem = done.first_problem or found
            continue
        done.entries += 1
        if not is_known(found.act):
            done.unknown[found.act] += 1
    return done


def _lines(audit: AuditLog) -> Iterator[AuditEntry | str]:
    path = audit.folder / "audit.log"
    if path.exists():
        for number, _, found in checked_lines(path, path.stat().st_size):
            yield f"line {number}: {found}" if isinstance(found, str) else found


def readable(audit: AuditLog, acts: Iterable[str]) -> Iterator[AuditEntry]:
    """Yield the entries of some acts, in order; unreadable lines are skipped."""
    wanted = frozenset(acts)
    for found in _lines(audit):
        if not isinstance(found, str) and found.act in wanted:
            yield found


def _bury(audit: AuditLog, database: Database, now: Callable[[], datetime], done: Replayed) -> None:
    """Write tombstones to the table, except for recordings that were held after an interrupted deletion."""
    deletions, spared = Deletions(database), held_since(Holds(database), now)
    taken_back = not_deleted(readable(audit, [NOT_DELETED]))
    for entry in readable(audit, [DELETED]):
        tombstones = [] if entry.number in taken_back else tombstones_of(entry)
        known = deletions.known([one.id for one in tombstones])
        kept = spared([one for one in tombstones if one.id not in known])
        new = [one for one in tombstones if one.id not in known and one.id not in kept]
        done.spared += len(kept)
        done.deletions += len(new)
        if new:
            deletions.settle(new)


def orders_of(entries: Iterable[AuditEntry]) -> dict[str, ErasureOrder]:
    """Return the orders to erase in the last state that the audit log has, by id.

    Args:
        entries: Of `ORDER_ACTS`, in order.
    """
    orders: dict[str, ErasureOrder] = {}
    for entry in entries:
        with contextlib.suppress(KeyError, TypeError, ValueError):  # entries of older versions have fewer details
            if (new := _ordered(entry)) is not None:
                orders.setdefault(new.id, new)
            elif entry.act not in LIVE_ACTS and (known := orders.get(str(entry.details.get("order")))) is not None:
                orders[known.id] = _moved(known, entry)
    return orders


def _ordered(entry: AuditEntry) -> ErasureOrder | None:
    details = entry.details
    if entry.act in LIVE_ACTS:
        placed = details.get("erasure")
        if placed is None:
            return None
        kind, at = ErasureKind.CARD_DATA if entry.act == RETROACTIVE_PAUSE else ErasureKind.OPT_OUT, entry.at
    elif entry.act == ORDERED:
        placed, kind, at = {**details, "id": details["order"]}, ErasureKind(details["kind"]), details["at"]
    else:
        return None
    moment = time_from_json(at)
    assert moment is not None
    return ErasureOrder(
        id=placed["id"],
        recording=RecordingId(entry.subject),
        start_s=placed["start_s"],
        end_s=placed["end_s"],
        kind=kind,
        ordered_by=entry.actor,
        ordered_at=moment,
        state=ErasureState(placed["state"]),
    )


def _moved(order: ErasureOrder, entry: AuditEntry) -> ErasureOrder:
    at = time_from_json(entry.details.get("at", entry.at))
    if entry.act in (CONFIRMED, REFUSED):
        state = ErasureState.CONFIRMED if entry.act == CONFIRMED else ErasureState.DECLINED
        return replace(order, state=state, decided_by=entry.actor, decided_at=at)
    if entry.act == SENT_BACK:
        return replace(order, state=ErasureState.WAITING, decided_by=None, decided_at=None, problem="")
    if entry.act == DONE:
        return replace(order, state=ErasureState.DONE, done_at=at, problem="")
    return replace(order, state=ErasureState.FAILED, problem=entry.details["problem"])


def copies_of(entries: Iterable[AuditEntry]) -> dict[str, CopyMade]:
    """Return the copies that the audit log lists, by id.

    Args:
        entries: Of `COPY_ACTS`, in order.
    """
    copies: dict[str, CopyMade] = {}
    for entry in entries:
        with contextlib.suppress(KeyError, TypeError, ValueError):  # older versions listed no copies
            copy = str(entry.details["copy"])
            if entry.act == COPIED:
                copies.setdefault(copy, _copied(entry))
            elif copy in copies:
                copies[copy] = replace(copies[copy], sha256=entry.details["sha256"])
    return copies


def _copied(entry: AuditEntry) -> CopyMade:
    details = entry.details
    at = time_from_json(details.get("at", entry.at))
    assert at is not None
    return CopyMade(
        id=details["copy"],
        recording=RecordingId(entry.subject),
        made_by=entry.actor,
        made_at=at,
        format=details["format"],
        start_s=details["start_s"],
        end_s=details["end_s"],
        redactions=len(details["redactions"]),
    )


def _file_calls(audit: AuditLog, database: Database) -> int:
    """Save rows for calls of which an act says that nothing was kept, unless there is a row or tombstone."""
    index, rows, deletions, filed = Index(database), StoredRows(database), Deletions(database), 0
    for entry in readable(audit, LIVE_ACTS):
        if entry.details.get("state") != "discarded" or not is_recording_id(entry.subject):
            continue
        recording = RecordingId(entry.subject)
        if rows.among([recording]) or deletions.known([recording]):
            continue
        fields = {"outcome": Outcome.BLOCKED.value, "reason": "discarded"}
        index.save(row_from_json(bare_row(recording) | fields | {"opted_out": entry.act in (GRANTED, OPTED_OUT)}))
        filed += 1
    return filed
