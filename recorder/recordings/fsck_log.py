"""Checks the audit log itself, and compares the index with its holds, rights requests, orders and deletions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from recorder.audit.late_entries import FOLDERS_WITH_ORDERS as LATE_ENTRIES
from recorder.recordings.finding import deleted
from recorder.recordings.replay import COPY_ACTS, ORDER_ACTS, copies_of, orders_of, readable
from recorder.recordings.resurrection_guard import held_since
from storage.audit import AuditLog
from storage.claim_journal import ACTS as CLAIM_ACTS
from storage.claim_journal import journalled as journalled_claims
from storage.claims import Claims
from storage.copy_list import CopyList
from storage.database import Database
from storage.erasures import Erasures, is_open
from storage.errors import NotFoundError
from storage.fsck import Finding, Kind
from storage.hold_journal import ACTS as HOLD_ACTS
from storage.hold_journal import journalled
from storage.holds import Holds
from storage.query_holds import QueryHold, QueryHolds
from storage.query_journal import journalled as journalled_queries
from storage.retention_types import Claim, ErasureState, HoldState
from storage.stored_rows import StoredRows
from storage.tombstones import DELETED, NOT_DELETED, Deletions, not_deleted, tombstones_of
from storage.types import RecordingId

_JUST_NOW = timedelta(minutes=1)
"""Entries younger than this may not be in the index yet."""
_MOST = 100_000
"""Limit on the holds that are checked, above any real number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCheck:
    """Checks one audit log.

    Attributes:
        now: The clock, UTC.
    """

    audit: AuditLog
    database: Database
    state: Path
    now: Callable[[], datetime]

    def findings(self) -> Iterator[Finding]:
        """Yield findings.

        Raises:
            StorageError, OSError: Database or audit log cannot be read.
        """
        yield from self.log()
        yield from self.holds()
        yield from self.query_holds()
        yield from self.holds_alone()
        yield from self.claims()
        yield from self.claims_alone()
        yield from self.orders()
        yield from self.copies()
        yield from self.deletions()

    def log(self) -> Iterator[Finding]:
        """Yield damage to the log and its texts."""
        state = self.audit.verify()
        where = "audit/audit.log"
        if state.bad is not None:
            is_torn = self._is_last(state.bad.offset)
            yield Finding(kind=Kind.AUDIT_TORN if is_torn else Kind.AUDIT, where=where, what=state.bad.sentence)
        for sentence in state.problems[state.bad is not None :]:
            yield Finding(kind=Kind.AUDIT, where="audit/texts.sqlite", what=sentence)

    def holds(self) -> Iterator[Finding]:
        """Yield holds on which log and table differ."""
        holds, now = Holds(self.database), self.now()
        for hold, _ in journalled(readable(self.audit, HOLD_ACTS)).values():
            if hold.state_at(now) is HoldState.OVER:
                continue  # the table may have deleted it
            known = [one for one in holds.of_recording(hold.recording) if one.id == hold.id]
            if not known:
                what = f"hold {hold.id} ({hold.kind}) is in the audit log, but not in the index"
            elif known[0].state_at(now) is not hold.state_at(now) or known[0].kind is not hold.kind:
                what = f"hold {hold.id}: the audit log says {hold.kind}, {hold.state_at(now)}; "
                what += f"the index {known[0].kind}, {known[0].state_at(now)}"
            else:
                continue
            yield Finding(kind=Kind.HOLD, where=hold.recording, what=what, recording=hold.recording)

    def query_holds(self) -> Iterator[Finding]:
        """Yield holds by search on which log and table differ."""
        table, now = QueryHolds(self.database), self.now()
        found = table.releases()  # read before the log: an entry is written to the log first
        logged, releases = journalled_queries(readable(self.audit, HOLD_ACTS), self.audit.text)
        for one in sorted(found - {*releases}, key=lambda one: (one.case_reference, one.recording)):
            what = (
                f"the release of {one.recording} from {one.case_reference} is not in the audit log as the index has it"
            )
            yield Finding(kind=Kind.HOLD, where=one.case_reference, what=what)
        for query in logged.values():
            known = table.get(query.id)
            if query.is_active_at(now) and (known is None or not _is_as_logged(known, query)):
                what = (
                    f"hold {query.id} by search of {query.case_reference} is not in the index as the audit log has it"
                )
                yield Finding(kind=Kind.HOLD, where=query.case_reference, what=what)

    def holds_alone(self) -> Iterator[Finding]:
        """Yield holds that only the index has, and that would be lost with it."""
        standing = Holds(self.database).all_in_effect(self.now(), limit=_MOST)
        known = journalled(readable(self.audit, HOLD_ACTS)).keys()
        for hold in standing:
            if hold.id not in known:
                what = f"hold {hold.id} ({hold.kind}) is in the index only, not in the audit log"
                yield Finding(kind=Kind.HOLD_ALONE, where=hold.recording, what=what, recording=hold.recording)

    def claims(self) -> Iterator[Finding]:
        """Yield rights requests on which log and table differ; their texts expire."""
        table = Claims(self.database)
        for claim in journalled_claims(readable(self.audit, CLAIM_ACTS)).values():
            known = next((one for one in table.of_recording(claim.recording) if one.id == claim.id), None)
            if known is None:
                what = f"claim {claim.id} ({claim.right}) is in the audit log, but not in the index"
            elif _without_texts(known) != _without_texts(claim):
                what = f"claim {claim.id}: the audit log says {claim.right}, {claim.state}; "
                what += f"the index {known.right}, {known.state}"
                what += "" if known.state is not claim.state else ", and a day, ground or person differs"
            else:
                continue
            yield Finding(kind=Kind.CLAIM, where=claim.recording, what=what, recording=claim.recording)

    def claims_alone(self) -> Iterator[Finding]:
        """Yield open rights requests that only the index has, and that would be lost with it."""
        logged = journalled_claims(readable(self.audit, CLAIM_ACTS)).keys()
        for claim in Claims(self.database).open():
            if claim.id not in logged:
                what = f"claim {claim.id} ({claim.right}) is in the index only, not in the audit log"
                yield Finding(kind=Kind.CLAIM_ALONE, where=claim.recording, what=what, recording=claim.recording)

    def orders(self) -> Iterator[Finding]:
        """Yield open orders to erase that only the log has, or that only the index has as confirmed."""
        erasures = Erasures(self.database)
        open_orders = {one.id: one for one in erasures.open_orders()}
        logged = orders_of(readable(self.audit, ORDER_ACTS))
        for order in logged.values():
            if is_open(order) and order.id not in open_orders and not self._is_placed(order.id):
                what = f"the order {order.id} to erase from it is open in the audit log, and not in the index"
                yield Finding(kind=Kind.ORDER, where=order.recording, what=what, recording=order.recording)
        if any(any((self.state / name).glob("*.json")) for name in LATE_ENTRIES):
            return  # queued entries are not in the log yet
        for order in open_orders.values():
            known = logged.get(order.id)
            if order.state is not ErasureState.WAITING and (known is None or known.state is ErasureState.WAITING):
                said = "does not know it" if known is None else "says that it waits for somebody to confirm it"
                what = f"the order {order.id} to erase from it is {order.state} in the index; the audit log {said}"
                yield Finding(kind=Kind.ORDER_ALONE, where=order.recording, what=what, recording=order.recording)

    def _is_placed(self, order_id: str) -> bool:
        try:
            Erasures(self.database).get(order_id)
        except NotFoundError:
            return False
        return True

    def copies(self) -> Iterator[Finding]:
        """Yield copies that the index does not list as the log does; it may forget those of deleted recordings."""
        listed, rows = CopyList(self.database), StoredRows(self.database)
        for copy in copies_of(readable(self.audit, COPY_ACTS)).values():
            known = next((one for one in listed.of_recording(copy.recording) if one.id == copy.id), None)
            if self.now() - copy.made_at < _JUST_NOW or (known is not None and known.sha256 == copy.sha256):
                continue
            if known is None and not rows.among([copy.recording]):
                continue
            said = "is not listed" if known is None else "is listed with another hash"
            what = f"copy {copy.id} by {copy.made_by} is in the audit log, and {said} in the index"
            yield Finding(kind=Kind.COPY, where=copy.recording, what=what, recording=copy.recording)

    def deletions(self) -> Iterator[Finding]:
        """Yield deletions that the index does not know.

        Those after the newest that it knows were interrupted, or the index is from a backup. Earlier ones are missing
        from the table, so a recording restored from a backup would not be destroyed again.
        """
        table, spared = Deletions(self.database), held_since(Holds(self.database), self.now)
        oldest, settled = table.oldest(), -1
        missing: list[tuple[int, RecordingId]] = []
        taken_back = not_deleted(readable(self.audit, [NOT_DELETED]))
        for number, entry in enumerate(readable(self.audit, [DELETED])):
            tombstones = tombstones_of(entry)
            if entry.number in taken_back:
                continue
            if oldest is not None and tombstones[0].deleted_at < oldest:
                continue  # older tombstones have been deleted when their period was over
            known = table.known([one.id for one in tombstones])
            gone = [one for one in tombstones if one.id not in known]
            settled = settled if gone else number
            kept = spared(gone)
            missing += [(number, one.id) for one in gone if one.id not in kept]
        for number, recording in missing:
            yield _missing(recording, is_settled=number < settled)

    def _is_last(self, offset: int) -> bool:
        """Tell whether no complete entry follows an offset in the log; the next entry moves such an end aside."""
        with self.audit.path.open("rb") as file:
            file.seek(offset)
            file.readline()
            return not file.read(1)


def _is_as_logged(known: QueryHold, logged: QueryHold) -> bool:
    """Tell whether a hold by search is as the log has it, except a number whose text has expired."""
    if logged.is_number_lost:
        known = replace(known, number=logged.number, is_number_lost=True)
    return known == logged


def _without_texts(claim: Claim) -> Claim:
    return replace(claim, requester="", reason="", words="")


def _missing(recording: RecordingId, *, is_settled: bool) -> Finding:
    if not is_settled:
        return deleted(recording, recording, "the audit log says that it was deleted, but the index does not know that")
    what = "the audit log says that it was deleted, but the index has no tombstone: a backup could bring it back"
    return Finding(kind=Kind.TOMBSTONE, where=recording, what=what, recording=recording)
