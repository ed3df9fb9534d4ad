"""Compares the audit log with itself, and the index with what the log says of holds, orders and deletions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from recorder.keeping.finding import deleted
from recorder.keeping.replay import ORDER_ACTS, orders_of, readable
from storage.audit import AuditLog
from storage.database import Database
from storage.erasures import Erasures, is_open
from storage.fsck import Finding, Kind
from storage.hold_journal import ACTS as HOLD_ACTS
from storage.hold_journal import journalled
from storage.holds import Holds
from storage.tombstones import DELETED, Deletions, since_settled, tombstones_of
from storage.types import HoldState


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCheck:
    """Looks at one audit log.

    Attributes:
        audit: The log.
        database: The index.
        now: The clock, UTC.
    """

    audit: AuditLog
    database: Database
    now: Callable[[], datetime]

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong.

        Raises:
            StorageError, OSError: Database or audit log cannot be read.
        """
        yield from self.log()
        yield from self.holds()
        yield from self.orders()
        yield from self.unsettled()

    def log(self) -> Iterator[Finding]:
        """Yield where the log and its texts are not what was written."""
        state = self.audit.verify()
        where = "audit/audit.log"
        if state.bad is not None:
            is_torn = self._is_last(state.bad.offset)
            yield Finding(kind=Kind.AUDIT_TORN if is_torn else Kind.AUDIT, where=where, what=state.bad.sentence)
        for sentence in state.problems[state.bad is not None :]:
            yield Finding(kind=Kind.AUDIT, where="audit/texts.sqlite", what=sentence)

    def holds(self) -> Iterator[Finding]:
        """Yield holds of which log and table say different things."""
        holds, now = Holds(self.database), self.now()
        for hold, _ in journalled(readable(self.audit, HOLD_ACTS)).values():
            if hold.state_at(now) is HoldState.OVER:
                continue  # the table may have forgotten it
            known = [one for one in holds.of_recording(hold.recording) if one.id == hold.id]
            if not known:
                what = f"hold {hold.id} ({hold.kind}) is in the audit log, and not in the index"
            elif known[0].state_at(now) is not hold.state_at(now) or known[0].kind is not hold.kind:
                what = f"hold {hold.id}: the audit log says {hold.kind}, {hold.state_at(now)}; "
                what += f"the index {known[0].kind}, {known[0].state_at(now)}"
            else:
                continue
            yield Finding(kind=Kind.HOLD, where=hold.recording, what=what, recording=hold.recording)

    def orders(self) -> Iterator[Finding]:
        """Yield orders to erase that are open in the log alone."""
        known = {one.id for one in Erasures(self.database).open_orders()}
        for order in orders_of(readable(self.audit, ORDER_ACTS)).values():
            if is_open(order) and order.id not in known:
                what = f"the order {order.id} to erase from it is open in the audit log, and not in the index"
                yield Finding(kind=Kind.ORDER, where=order.recording, what=what, recording=order.recording)

    def unsettled(self) -> Iterator[Finding]:
        """Yield deletions that a kill cut off, or that an index from a backup does not know."""
        deletions = Deletions(self.database)
        for entry in since_settled(self.audit, deletions):
            if entry.act != DELETED:
                continue
            ids = [one.id for one in tombstones_of(entry)]
            for recording in sorted(set(ids) - deletions.known(ids)):
                yield deleted(recording, "index", "the audit log says that it was deleted, the index does not know")

    def _is_last(self, offset: int) -> bool:
        """Tell whether nothing whole follows a place in the log: the next entry moves such an end aside."""
        with self.audit.path.open("rb") as file:
            file.seek(offset)
            file.readline()
            return not file.read(1)
