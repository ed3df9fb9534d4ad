"""What a sweep knows of the clock: what it showed before, and how far it was set forward since the machine's start."""

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
    """Compares the clock with what is stored.

    Attributes:
        calls: The index, as a sweep reads it.
        audit: The audit log.
        since_boot: Returns the id of the machine's start and the seconds since then, or None: it cannot be known.
    """

    calls: OldCalls
    audit: AuditLog
    since_boot: Callable[[], tuple[str, float] | None]

    def seen(self, state: SweepState) -> list[datetime | None]:
        """Return moments that lie in the past for certain."""
        newest = next((time_from_json(entry.at) for entry in newest_first(self.audit.path)), None)
        return [state.last_success, self.calls.newest(state.wrong_times), newest]

    def ahead(self, now: datetime, state: SweepState) -> timedelta:
        """Return how far the clock was set forward since the first sweep after the machine's start."""
        boot, before = self.boot(now), state.boot
        if boot is None or before is None or boot[0] != before[0]:
            return timedelta()
        return timedelta(seconds=boot[1] - before[1])

    def is_same_start(self, now: datetime, state: SweepState) -> bool:
        """Tell whether the machine was not started anew since the sweep that a state is of."""
        boot = self.boot(now)
        return boot is None or (state.boot is not None and boot[0] == state.boot[0])

    def boot(self, now: datetime) -> tuple[str, float] | None:
        """Return the id of the machine's start, and how far the clock is ahead of the time since then."""
        found = self.since_boot()
        return None if found is None else (found[0], now.timestamp() - found[1])

    def silence(self, now: datetime, state: SweepState) -> timedelta | None:
        """Return how long ago the last sweep ended well, or the newest call began; None: neither is known."""
        last = state.last_success or self.calls.newest(state.wrong_times)
        return None if last is None else now - last
