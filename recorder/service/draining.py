"""Drains the daemon: refuses new calls while those in progress go on, and leaves when the last one has ended.

`recorder.rules.drain` has the states. The state is in memory only, so a daemon that is started again takes calls.
Call thread only.
"""

import logging
import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from typing import Any, Protocol

from recorder.calls.call_services import Scheduler
from recorder.config.settings import Drain
from recorder.rules.drain import DrainAction, DrainEvent, DrainState, after

_log = logging.getLogger(__name__)

LOOK_S = 0.2
"""How often the calls that are left are counted, seconds."""
QUIET_S = 2.0
"""How long no call may be in progress before the daemon leaves, seconds: the last BYE may have to be sent again (RFC
3261 section 17.1.2), and an emergency call may still come.
"""


LOG_S = 60.0
"""How often the calls that are left are logged, seconds."""


class Drainable(Protocol):
    """The calls in progress; implemented by `recorder.calls.live_calls.LiveCalls`."""

    @property
    def live(self) -> int:
        """Return how many calls are in progress."""

    @property
    def counts(self) -> dict[str, int]:
        """Return how many calls there were; ``drained`` are those refused in a drain."""

    def refuse_new(self, is_refusing: bool) -> None:
        """Refuse new calls, or take them again."""


class Draining:
    """The daemon's state between taking calls and leaving.

    Args:
        scheduler: The call thread's scheduler.
        calls: The calls in progress.
        options: Returns the present configuration.
        refuse_options: Has OPTIONS answered 503, or 200 again.
        audit: Writes an entry: act, actor, details; the future is done when it is in the log or queued.
        publish: Sends an event to watchers.
        leave: Ends the calls that are left and the daemon.
        now: The wall clock, UTC.
        clock: Monotonic clock, seconds.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        calls: Drainable,
        *,
        options: Callable[[], Drain],
        refuse_options: Callable[[bool], None],
        audit: Callable[[str, str, dict[str, Any]], "Future[None]"],
        publish: Callable[[dict[str, Any]], None],
        leave: Callable[[], None],
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scheduler = scheduler
        self._calls = calls
        self._options = options
        self._refuse_options = refuse_options
        self._audit = audit
        self._publish = publish
        self._leave = leave
        self._now = now
        self._clock = clock
        self.state = DrainState.RUNNING
        self._since: datetime | None = None
        self._refused_before = 0
        self._limit_s: float | None = None
        self._ends_s = math.inf
        self._quiet_since_s: float | None = None
        self._published: tuple[DrainState, int] | None = None
        self._is_looking = False
        self._is_noted = False
        """Whether the audit log has entries of it: a stop without a call in progress, by a signal, has none."""
        self._logged_s = -math.inf

    # --- what people, and the system, ask

    def drain(self, by: str) -> "Future[None]":
        """Refuse new calls until that is taken back; return the audit entry."""
        self._apply(DrainEvent.DRAIN_ASKED)
        _log.warning("draining, asked by %s; %s", by, self._said)
        self._is_noted = True
        return self._audit("daemon.draining", by, {"calls": self._calls.live})

    def take_back(self, by: str) -> "Future[None] | None":
        """Take new calls again; return the audit entry, or None if there is no drain that can be taken back."""
        if self.state is not DrainState.DRAINING:
            return None
        refused = self.refused
        self._apply(DrainEvent.TAKEN_BACK)
        _log.warning("the drain is taken back by %s; new calls are taken again", by)
        return self._audit("daemon.taking_calls", by, {"calls": self._calls.live, "refused": refused})

    def stop(self, by: str, limit_s: float | None = None) -> "Future[None]":
        """Refuse new calls, and leave when the last call has ended; return the audit entry.

        Args:
            by: Who asks.
            limit_s: After so many seconds the calls that are left are ended; None for the configured limit, or for the
                one in force.
        """
        if self.state is not DrainState.STOPPING or limit_s is not None:
            self._limit_s = limit_s
            self._apply(DrainEvent.STOP_ASKED)
        _log.warning("stopping, asked by %s; %s", by, self._said)
        self._scheduler.call_later(LOOK_S, self._look_at_once)  # later, so that who asked gets an answer
        self._is_noted = True
        return self._audit("daemon.stopping", by, self._details)

    def signalled(self, name: str) -> None:
        """Handle SIGTERM or SIGINT: the first one begins a stop, the second one ends the calls that are left."""
        is_second = self.state is DrainState.STOPPING
        self._limit_s = None
        self._is_noted |= bool(self._calls.live)
        if is_second:
            _log.warning("%s again: the calls that are left are ended", name)
        self._apply(DrainEvent.SIGNALLED)
        if not is_second and self.state is DrainState.STOPPING:
            more = "; a second SIGTERM or Ctrl-C ends them at once" if self._calls.live and self._left_s else ""
            _log.warning("%s: stopping; %s%s", name, self._said, more)
            if self._is_noted:
                self._audit("daemon.stopping", "signal", {"signal": name, **self._details})
            self._look_at_once()

    # --- how it is

    @property
    def refused(self) -> int:
        """Return how many calls were refused since the drain began."""
        return self._calls.counts["drained"] - self._refused_before if self._since is not None else 0

    @property
    def _left_s(self) -> float | None:
        return None if math.isinf(self._ends_s) else max(0.0, round(self._ends_s - self._clock(), 1))

    @property
    def _said(self) -> str:
        live, left_s = self._calls.live, self._left_s
        if not live:
            return "no call is in progress"
        calls = "1 call" if live == 1 else f"{live} calls"
        if left_s == 0:
            return f"{calls} ended at once"
        limit = "" if left_s is None else f", {left_s:g} s at most"
        return f"new calls are refused, {calls} in progress go on{limit}"

    def as_json(self) -> dict[str, Any]:
        """Return the state and its beginning, the calls in progress and refused, and the seconds to a stop's limit."""
        return {
            "state": self.state.value,
            "since": None if self._since is None else self._since.isoformat(timespec="seconds"),
            "calls": self._calls.live,
            "refused": self.refused,
            "left_s": self._left_s,
        }

    # --- what follows

    @property
    def _details(self) -> dict[str, Any]:
        return {"calls": self._calls.live, "limit_s": self._left_s}

    def _apply(self, event: DrainEvent) -> None:
        before, transition = self.state, after(self.state, event)
        self.state = transition.state
        if before is DrainState.RUNNING and self.state is not before:
            self._since, self._refused_before = self._now(), self._calls.counts["drained"]
        for action in transition.actions:
            self._do(action)
        self._tell()

    def _do(self, action: DrainAction) -> None:
        match action:
            case DrainAction.REFUSE_CALLS:
                self._calls.refuse_new(True)
                self._refuse_options(self._options().refuse_options)
                self._quiet_since_s, self._logged_s = None, self._clock()
                self._look_later()
            case DrainAction.TAKE_CALLS:
                self._calls.refuse_new(False)
                self._refuse_options(False)
                self._since = None
            case DrainAction.START_LIMIT:
                limit_s = self._options().limit_s if self._limit_s is None else self._limit_s
                self._ends_s = self._clock() + limit_s
            case DrainAction.END_CALLS:
                self._end()

    def _end(self) -> None:
        """Write what became of the calls to the audit log, and leave."""
        if self._is_noted:
            self._audit("daemon.stopped", "recorder", {"calls_left": self._calls.live, "refused": self.refused})
        self._leave()

    def _look_later(self) -> None:
        if not self._is_looking:
            self._is_looking = True
            self._scheduler.call_later(LOOK_S, self._look)

    def _look(self) -> None:
        """Count the calls that are left; repeats itself until calls are taken again or the daemon leaves."""
        self._is_looking = False
        now_s = self._clock()
        if self._calls.live:
            self._quiet_since_s = None
        elif self._quiet_since_s is None:
            self._quiet_since_s = now_s
        if now_s - self._logged_s >= LOG_S:
            self._logged_s = now_s
            _log.info("%s; %s", self.state.value, self._said)
        if self._quiet_since_s is not None and now_s - self._quiet_since_s >= QUIET_S:
            self._apply(DrainEvent.EMPTIED)
        elif now_s >= self._ends_s:
            self._apply(DrainEvent.LIMIT_OVER)
        self._tell()
        if self.state in (DrainState.DRAINING, DrainState.STOPPING):
            self._look_later()

    def _look_at_once(self) -> None:
        """Leave at once if no call is in progress as the stop begins, or if its limit is 0."""
        if not self._calls.live:
            self._apply(DrainEvent.EMPTIED)
        elif self._clock() >= self._ends_s:
            self._apply(DrainEvent.LIMIT_OVER)

    def _tell(self) -> None:
        news = (self.state, self._calls.live)
        if self.state is DrainState.RUNNING and self._published is None:
            return
        if news != self._published:
            self._published = news if self.state is not DrainState.RUNNING else None
            self._publish({"event": "drain", "state": self.state.value, "calls": self._calls.live})
