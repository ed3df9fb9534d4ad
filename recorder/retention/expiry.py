"""Sweeps data other than calls: audit texts, decisions, former accounts, torn files, call records, tombstones."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from recorder.common.home import Home
from recorder.forwarding.webhook_queue import REMEMBERED, WebhookQueue
from recorder.retention.console_sweep import PeopleExpiry, due_before
from recorder.rules.retention_periods import Periods
from recorder.rules.retention_schedule import DataClass
from storage.assurance import AssuranceStore
from storage.audit import AuditLog
from storage.audit_entry import AuditEntry
from storage.audit_reading import entries_from
from storage.claim_journal import ACTS as CLAIM_ACTS
from storage.claims import Claims
from storage.durable import remove
from storage.errors import NotFoundError
from storage.format import is_recording_id
from storage.hold_journal import PLACED
from storage.holds import Holds
from storage.lost_found import FOLDER as LOST_FOUND
from storage.old_calls import OldCalls
from storage.query_holds import QueryHolds
from storage.query_journal import PLACED as QUERY_PLACED
from storage.retention_types import HoldState
from storage.rows import time_from_json
from storage.tombstones import Deletions
from storage.types import RecordingId

_AT_ONCE = 500
_CLASSES = (
    DataClass.TEXTS, DataClass.DECISIONS, DataClass.REQUESTS, DataClass.CASES, DataClass.ACCESS, DataClass.TORN,
    DataClass.DELIVERIES, DataClass.CALL_RECORDS, DataClass.ASSURANCE, DataClass.TOMBSTONES,
)  # fmt: skip


class Expiry:
    """Counts and deletes due data of the classes other than calls.

    Args:
        holds: Legal holds; one that is not over keeps its reason.
        deletions: The tombstones in the database.
        people: Due data in the file of people; None if another process sweeps that.
    """

    def __init__(
        self, audit: AuditLog, holds: Holds, calls: OldCalls, deletions: Deletions, people: PeopleExpiry | None
    ) -> None:
        self._audit = audit
        self._holds = holds
        self._calls = calls
        self._deletions = deletions
        self._people = people
        self._claims = Claims(holds.database)
        self._queries = QueryHolds(holds.database)
        self._assurance = AssuranceStore(holds.database)
        self._webhooks = WebhookQueue(Home(audit.folder.parent).webhooks)

    def count(self, found: Periods, now: datetime, text_offset: int) -> dict[DataClass, int]:
        """Return how much of each class is due; changes nothing.

        Args:
            found: The periods in force.
            now: Aware.
            text_offset: Offset of the first audit entry that may still have its text.
        """
        counts = {
            DataClass.DECISIONS: self._calls.count_decisions(before=due_before(found, DataClass.DECISIONS, now)),
            DataClass.CASES: len(self._claims.with_texts(before=due_before(found, DataClass.CASES, now))),
            DataClass.CALL_RECORDS: self._assurance.count_calls(before=due_before(found, DataClass.CALL_RECORDS, now)),
            DataClass.ASSURANCE: self._assurance.count_days(before=due_before(found, DataClass.ASSURANCE, now).date()),
            DataClass.TOMBSTONES: self._deletions.count_before(due_before(found, DataClass.TOMBSTONES, now)),
        }
        return _sums(self.count_own(found, now, text_offset), counts)

    def count_own(self, found: Periods, now: datetime, text_offset: int) -> dict[DataClass, int]:
        """Return how much of each class is due that is on this machine alone; as `count`."""
        counts = {
            DataClass.TEXTS: self._audit.count_texts(
                entry for _, entry in self._old(found, now, text_offset) if self._is_due(entry, now)
            ),
            DataClass.TORN: len(self._torn(found, now)),
            DataClass.DELIVERIES: self._webhooks.count_before(_deliveries_before(found, now)),
        }
        return _sums(counts, {} if self._people is None else self._people.count(found, now))

    def sweep(self, found: Periods, now: datetime, text_offset: int) -> tuple[int, "Counter[str]"]:
        """Delete what is due; returns the new offset, and the number deleted by class.

        Raises:
            StorageError, OSError: Log, database or disk failed; the next sweep goes on.
        """
        offset, own = self.sweep_own(found, now, text_offset)
        counts = {
            DataClass.DECISIONS: self._calls.forget_decisions(before=due_before(found, DataClass.DECISIONS, now)),
            DataClass.CASES: self._forget_claims(due_before(found, DataClass.CASES, now)),
            DataClass.CALL_RECORDS: self._assurance.forget_calls(before=due_before(found, DataClass.CALL_RECORDS, now)),
            DataClass.ASSURANCE: self._assurance.forget_days(before=due_before(found, DataClass.ASSURANCE, now).date()),
            DataClass.TOMBSTONES: self._deletions.forget(before=due_before(found, DataClass.TOMBSTONES, now)),
        }
        own.update({str(data): count for data, count in counts.items()})
        return offset, own

    def sweep_own(self, found: Periods, now: datetime, text_offset: int) -> tuple[int, "Counter[str]"]:
        """Delete what is due on this machine alone; as `sweep`."""
        offset, texts = self._forget_texts(found, now, text_offset)
        torn = self._torn(found, now)
        for path in torn:
            remove(path)
            if path.parent != self._audit.folder:
                with suppress(OSError):  # the folder is not empty
                    path.parent.rmdir()
        counts = {
            DataClass.TEXTS: texts,
            DataClass.TORN: len(torn),
            DataClass.DELIVERIES: self._webhooks.forget(before=_deliveries_before(found, now)),
        }
        counts = _sums(counts, {} if self._people is None else self._people.sweep(found, now))
        return offset, Counter({str(data): count for data, count in counts.items()})

    def _forget_claims(self, moment: datetime) -> int:
        return self._claims.forget_texts([claim.id for claim in self._claims.with_texts(before=moment)])

    def _forget_texts(self, found: Periods, now: datetime, offset: int) -> tuple[int, int]:
        """Delete due texts; returns the offset of the first that must still be kept, and the number."""
        forgotten, some, first_kept = 0, list[AuditEntry](), None
        for at, entry in self._old(found, now, offset):
            offset = at
            if self._is_due(entry, now):
                some.append(entry)
            elif entry.text_commitment is not None and first_kept is None:
                first_kept = at
            if len(some) == _AT_ONCE:
                forgotten += self._audit.forget_texts(some)
                some = []
        forgotten += self._audit.forget_texts(some)
        return (offset if first_kept is None else first_kept), forgotten

    def _old(self, found: Periods, now: datetime, offset: int) -> Iterator[tuple[int, AuditEntry]]:
        limit = due_before(found, DataClass.TEXTS, now)
        for at, entry in entries_from(self._audit.path, offset):
            moment = time_from_json(entry.at)
            if moment is None or moment >= limit:
                return
            yield at, entry

    def _is_due(self, entry: AuditEntry, now: datetime) -> bool:
        if entry.text_commitment is None:
            return False
        if entry.act == QUERY_PLACED:  # its text is the number whose calls it keeps
            query = self._queries.get(str(entry.details.get("query_hold")))
            return query is None or not query.is_active_at(now)
        if entry.act not in (PLACED, *CLAIM_ACTS):
            return True
        try:
            if entry.act in CLAIM_ACTS:
                return self._claims.get(str(entry.details.get("claim"))).over_at is not None
            return self._holds.get(str(entry.details.get("hold"))).state_at(now) is HoldState.OVER
        except NotFoundError:
            return True

    def _torn(self, found: Periods, now: datetime) -> list[Path]:
        before = due_before(found, DataClass.TORN, now).timestamp()
        torn = [path for path in sorted(self._audit.folder.glob("torn-*.bin")) if path.stat().st_mtime < before]
        return [*torn, *self._lost(found, now)]

    def _lost(self, found: Periods, now: datetime) -> Iterator[Path]:
        """Yield files in the lost-and-found whose folder is older than the rows' period, unless held.

        The folder's name gives the age: a moved file keeps its own time.
        """
        before = f"{due_before(found, DataClass.UNRECORDED, now):%Y%m%dT%H%M%SZ}"
        for folder in sorted((self._audit.folder.parent / LOST_FOUND).glob("[0-9]*Z-*")):
            if folder.name < before:
                yield from (path for path in sorted(folder.iterdir()) if not self._is_held(path, now))

    def _is_held(self, path: Path, now: datetime) -> bool:
        recording = path.name.partition("-")[2].partition(".")[0]
        return is_recording_id(recording) and bool(self._holds.keeping(RecordingId(recording), now))


def _sums(*counts: Mapping[DataClass, int]) -> dict[DataClass, int]:
    """Return the sum of each class, those with nothing too."""
    return {data: sum(some.get(data, 0) for some in counts) for data in _CLASSES}


def _deliveries_before(found: Periods, now: datetime) -> datetime:
    """Return the moment before which events for webhooks are deleted; younger ones are needed to know what was sent."""
    return min(due_before(found, DataClass.DELIVERIES, now), now - REMEMBERED)
