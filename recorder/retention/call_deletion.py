"""Deletes calls that are due. Recordings leave a tombstone; calls of which nothing was kept only lose their rows."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from recorder.retention.sweep_plan import candidate_of
from recorder.retention.sweep_sharing import announced
from recorder.rules.deletion import SweepVerdict, due_at, earliest_start, verdict
from recorder.rules.retention_periods import Periods
from recorder.rules.retention_schedule import DataClass
from storage.audit import AuditLog
from storage.audit_entry import RECORDER
from storage.deletion import PART, Done, Files, Shredder
from storage.erasures import Erasures
from storage.holds import Holds
from storage.old_calls import OldCall, OldCalls
from storage.rows import time_to_json
from storage.tombstones import Deletions, Tombstone
from storage.tree import files_of
from storage.types import RecordingId
from storage.vault import Vault

_log = logging.getLogger(__name__)

RULE = "retention"
"""Rule that the tombstones name."""
CALLS_DELETED = "calls.deleted"
"""Act of the audit log."""

Progress = Callable[[float, float], None]
"""Called with the number of recordings done and the total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallDeletion:
    """Deletes due calls, page by page.

    Attributes:
        holds: Legal holds, which prevent deletion.
        still: Context manager that keeps finished recordings from being rewritten and holds from changing.
    """

    vault: Vault
    calls: OldCalls
    shredder: Shredder
    holds: Holds
    audit: AuditLog
    still: Callable[[], AbstractContextManager[None]]

    def delete(self, found: Periods, now: datetime, total: int, progress: Progress) -> Counter[str]:
        """Delete every call that is due and not held; returns counts of what was deleted, and of what was not.

        Args:
            found: The periods in force.
            now: Aware.
            total: How many are due, for ``progress``.
            progress: Called with the progress.
        """
        counts: Counter[str] = Counter()
        with self.shredder.many():
            for page in self.calls.begun_by(earliest_start(found, now), _stays):
                if any(due_at(candidate_of(call), found) <= now for call in page):
                    with self.still():
                        self._delete_some(page, found, now, counts)
                progress(min(counts["recordings"] + counts["calls"], total), total)
        return counts

    def _delete_some(self, page: Sequence[OldCall], found: Periods, now: datetime, counts: Counter[str]) -> None:
        files = files_of(self.vault.root, [call.id for call in page])
        doomed = self._doomed(page, files, found, now, counts)
        kept = [call for call in doomed if call.is_recorded or call.id in files]
        if kept:
            done = self.shredder.delete(_tombstones(kept, found, now), rule=RULE, files=files)
            self._count(counts, done, kept)
        counts["calls"] += self._remove_rows(
            [call for call in doomed if not (call.is_recorded or call.id in files)], now
        )

    def _doomed(
        self, page: Sequence[OldCall], files: Files, found: Periods, now: datetime, counts: Counter[str]
    ) -> list[OldCall]:
        held = self.holds.held_among([call.id for call in page], now)
        doomed = []
        for call in page:
            is_open = any(path.endswith(PART) for path in files.get(call.id, ()))
            candidate = candidate_of(call, is_held=call.id in held, is_open=is_open)
            decided = verdict(candidate, found, now)
            if decided is SweepVerdict.DELETE:
                doomed.append(call)
            elif due_at(candidate, found) <= now:
                counts[str(decided)] += 1
        return doomed

    @staticmethod
    def _count(counts: Counter[str], done: Done, recorded: Sequence[OldCall]) -> None:
        sizes = {call.id: call.bytes or 0 for call in recorded}
        counts["recordings"] += len(done.ids)
        counts["bytes"] += sum(sizes[one] for one in done.ids)
        counts["not_deleted"] += len(done.problems)
        counts["held"] += len(done.spared)
        counts["files_elsewhere"] += len(done.elsewhere)
        for recording, problem in done.problems.items():
            _log.error("recording %s: due for deletion, but not destroyed: %s", recording, problem)

    def _remove_rows(self, calls: Sequence[OldCall], now: datetime) -> int:
        if not calls:
            return 0
        services = Counter(call.service for call in calls)
        details = {
            "rule": RULE,
            "class": str(DataClass.UNRECORDED),
            "services": dict(services),
            "at": time_to_json(now),
        }
        ids = [call.id for call in calls]
        with announced(self.audit, CALLS_DELETED, RECORDER, "", details):
            count = self.calls.remove(ids, now)
        self.shredder.destroy_keys(ids)  # a call that was given up may have one
        return count


def settle_orders(erasures: Erasures, deletions: Deletions, audit: AuditLog, now: datetime) -> int:
    """Close the orders to erase part of a recording that is deleted; returns how many there were."""
    orders = erasures.open_orders()
    gone = deletions.known([order.recording for order in orders])
    settled = [order for order in orders if order.recording in gone]
    for order in settled:
        details = {"order": order.id, "was_kept": False, "deleted": True, "at": time_to_json(now)}
        with announced(audit, "erasure.done", RECORDER, order.recording, details):
            erasures.finish(order.id, at=now)
    return len(settled)


def _stays(recording: RecordingId) -> None:
    _log.error("recording %s: kept, because its row in the index cannot be read; run `recorder index check`", recording)


def _tombstones(calls: Sequence[OldCall], found: Periods, now: datetime) -> list[Tombstone]:
    return [
        Tombstone(
            id=call.id,
            deleted_at=now,
            rule=RULE,
            sha256=call.sha256,
            bytes=call.bytes,
            due=due_at(candidate_of(call), found),
        )
        for call in calls
    ]
