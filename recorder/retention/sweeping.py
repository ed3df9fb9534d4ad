"""Starts the retention sweep daily, at a local time of the site, in a process of its own.

One thread of the daemon, which only waits. It uses the clock only to start a sweep; the sweep decides whether anything
may be deleted.
"""

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from recorder.common.child_process import Child, end, start_module
from recorder.common.clock import utc_now
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.retention import console_sweep
from recorder.retention.sweep_process import BUSY, DONE, STOPPED, sweeps_people
from recorder.retention.sweep_state import NAME, SweepState, alarms_of, read_state, state_to_json, was_cut_off
from recorder.retention.sweep_times import next_sweep, soon

_log = logging.getLogger(__name__)

LOOK_S = 30.0
"""How often the clock is checked, seconds: it may be stepped."""
MOST_JITTER = timedelta(hours=1)
RETRY = timedelta(minutes=30)
"""Delay after a sweep that failed or was killed."""
BUSY_RETRY = timedelta(minutes=5)
END_S = 5.0
_POLL_S = 0.1
_FARTHEST = timedelta(hours=38)
"""The next sweep is never farther away than this, unless the clock was stepped back."""


def start_sweep(home: Home) -> Child:
    """Start a sweep as a process of its own."""
    return start_module("recorder.retention.sweep_process", str(home.root))


class Sweeping:
    """Starts sweeps when they are due, and reports how the last one ended.

    Args:
        home: The home to sweep.
        config: Returns the configuration in force.
        now: The clock, UTC.
        jitter: Delay after the configured time, so that a council's recorders do not all sweep at once; None for
            random.
        look_s: How often the clock is checked, seconds.
        start: Starts a sweep.
    """

    def __init__(
        self,
        home: Home,
        config: Callable[[], Config],
        *,
        now: Callable[[], datetime] = utc_now,
        jitter: timedelta | None = None,
        look_s: float | None = None,
        start: Callable[[Home], Child] = start_sweep,
    ) -> None:
        self._home = home
        self._config = config
        self._now = now
        self._jitter = random.uniform(0, 1) * MOST_JITTER if jitter is None else jitter  # noqa: S311 - spreads the load
        self._look_s = LOOK_S if look_s is None else look_s
        self._start = start
        self._since = now()
        self._due: datetime | None = None
        self._planned_for: tuple[str, str] | None = None
        self._unsaid = ""
        """How the last sweep ended, if it could not store that itself."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="sweeping", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; a running sweep is interrupted, and the next one goes on."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(2 * END_S)

    def health(self) -> dict[str, Any]:
        """Return ``alarms``, and how the last sweep ended; reads a file."""
        now, state = self._now(), self._state()
        since = min(self._since, now)
        alarms = alarms_of(state, now, since=since)
        is_swept = state is not None and state.last_success is not None and "retention_overdue" not in alarms
        if is_swept and not sweeps_people(self._config()):  # the console's part follows a successful sweep
            alarms |= console_sweep.alarms_of(self._home.state, now, since=since)
        due = None if self._due is None else self._due.isoformat().replace("+00:00", "Z")
        return {
            **state_to_json(state),
            "alarms": alarms,
            "next": due,
        }

    def _state(self) -> SweepState | None:
        try:
            state = read_state(self._home.state / NAME)
        except OSError:
            return SweepState(problem=f"{NAME} cannot be read")
        if self._unsaid and not (state or SweepState()).problem:
            return replace(state or SweepState(), problem=self._unsaid)
        return state

    def _go_on(self) -> None:
        while not self._stopping.wait(self._look_s):
            try:
                self._look()
            except Exception:  # noqa: BLE001 - due data must be deleted in the end
                _log.exception("Starting the retention sweep failed; retrying")
                self._due = self._now() + RETRY

    def _look(self) -> None:
        now, config = self._now(), self._config()
        planned_for = (config.retention.sweep_at, config.site.timezone)
        if self._due is None or self._due - now > _FARTHEST or planned_for != self._planned_for:
            self._due, self._planned_for = self._first(now, config), planned_for
            _log.info("Next retention sweep at %s", f"{self._due:%Y-%m-%d %H:%M} UTC")
        if now >= self._due:
            code = self._sweep()
            if code is not None:
                self._due = self._after(code)

    def _first(self, now: datetime, config: Config) -> datetime:
        state = self._state()
        if was_cut_off(state):
            return soon(now, jitter=self._jitter)
        return self._next(now, None if state is None else state.last_success, config)

    def _next(self, now: datetime, last: datetime | None, config: Config) -> datetime:
        zone = ZoneInfo(config.site.timezone)
        return next_sweep(now, last, at=config.retention.sweep_time, zone=zone, jitter=self._jitter)

    def _after(self, code: int) -> datetime:
        now = self._now()
        if code != BUSY:
            self._unsaid = "" if code in (DONE, STOPPED) else f"the sweep ended with exit code {code}; see the log"
        if code in (DONE, STOPPED):
            return self._next(now, now, self._config())
        if code == BUSY:
            return now + BUSY_RETRY
        if code < 0:
            _log.error("The retention sweep was ended by signal %d; retrying", -code)
        return now + RETRY

    def _sweep(self) -> int | None:
        """Sweep and return the exit code; None if stopped first."""
        child = self._start(self._home)
        while (code := child.poll()) is None:
            if self._stopping.wait(_POLL_S):
                end(child, END_S)
                return None
        return code
