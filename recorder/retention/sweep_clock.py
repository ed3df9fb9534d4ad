"""Checks the clock for a sweep: earlier times on record, and how far it was set forward since the machine's boot."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from recorder.retention.sweep_state import SweepState
from storage.audit import AuditLog
from storage.audit_reading import newest_first
from storage.old_calls import OldCalls
from storage.rows import time_from_json


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepClock:
    """Compares the clock with times on record.

    Attributes:
        since_boot: Returns the id of the machine's boot and the seconds since then; None if unknown.
    """

    calls: OldCalls
    audit: AuditLog
    since_boot: Callable[[], tuple[str, float] | None]

    def seen(self, state: SweepState) -> list[datetime | None]:
        """Return moments that are certainly in the past."""
        newest = next((time_from_json(entry.at) for entry in newest_first(self.audit.path)), None)
        return [state.last_success, self.calls.newest(state.wrong_times), newest]

    def ahead(self, now: datetime, state: SweepState) -> timedelta:
        """Return how far the clock was set forward since the first sweep after the machine's boot."""
        boot, before = self.boot(now), state.boot
        if boot is None or before is None or boot[0] != before[0]:
            return timedelta()
        return timedelta(seconds=boot[1] - before[1])

    def is_same_start(self, now: datetime, state: SweepState) -> bool:
        """Tell whether the machine was not rebooted since the sweep of a state."""
        boot = self.boot(now)
        return boot is None or (state.boot is not None and boot[0] == state.boot[0])

    def boot(self, now: datetime) -> tuple[str, float] | None:
        """Return the id of the machine's boot, and the clock minus the uptime, seconds."""
        found = self.since_boot()
        return None if found is None else (found[0], now.timestamp() - found[1])

    def silence(self, now: datetime, state: SweepState) -> timedelta | None:
        """Return the time since the last successful sweep, or the newest call; None if both are unknown."""
        last = state.last_success or self.calls.newest(state.wrong_times)
        return None if last is None else now - last
