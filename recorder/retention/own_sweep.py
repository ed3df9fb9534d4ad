"""The part of a sweep that each node does for itself, where several share the index and another one has swept it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime

from recorder.recordings.resurrection_guard import clear_out
from recorder.retention.expiry import Expiry
from recorder.retention.sweep_clock import SweepClock
from recorder.retention.sweep_safeguards import StoppedSweep, SweepStoppedError, forward_stop
from recorder.retention.sweep_state import OWN_SWEPT, SweepFile, SweepState
from recorder.rules.retention_periods import Periods, put_into_force
from storage.audit import AuditLog
from storage.audit_entry import RECORDER
from storage.deletion import Shredder
from storage.rows import time_to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSweep:
    """Sweeps what is on this machine alone: files of deleted recordings, texts of its audit log, torn files, events.

    Attributes:
        periods: Configured periods.
        still: As of `recorder.retention.call_deletion.CallDeletion`.
    """

    expiry: Expiry
    clock: SweepClock
    shredder: Shredder
    audit: AuditLog
    file: SweepFile
    periods: Periods
    still: Callable[[], AbstractContextManager[None]]

    def run(self, now: datetime, state: SweepState, stopped: StoppedSweep | None) -> SweepState:
        """Sweep; returns the state, in which all that belongs to the site is as its last sweep left it.

        Args:
            now: Aware.
            state: The state before.
            stopped: Why nothing may be deleted, or None.

        Raises:
            SweepStoppedError: Nothing was deleted; a person has to decide.
            StorageError, OSError: Database, audit log or disk failed; the next sweep goes on.
        """
        found, _ = put_into_force(self.periods, state.in_force, is_confirmed=False)
        due = sum(self.expiry.count_own(found, now, state.text_offset).values())
        stopped = stopped or forward_stop(self.clock.ahead(now, state), due=due)
        if stopped is not None:
            raise SweepStoppedError(stopped)
        with self.still():
            removed = clear_out(self.shredder, is_thorough=True)
        self.shredder.tidy(now)
        offset, counts = self.expiry.sweep_own(found, now, state.text_offset)
        counts["files_removed"] = len(removed.ids)
        if any(counts.values()):
            self.audit.append(OWN_SWEPT, RECORDER, "", {"counts": dict(counts), "at": time_to_json(now)})
        boot = state.boot if self.clock.is_same_start(now, state) else self.clock.boot(now)
        swept = replace(self.file.load(), boot=boot, text_offset=offset)
        self.file.save(swept)
        return swept
