"""The daemon's heartbeat: feeds systemd's watchdog while call thread and writer make progress, and tells it the status.

The beat is a timer of the call thread: a call thread that is blocked does not beat, so the watchdog bites after
``WatchdogSec``. The writer marks the end of each of its operations. A slow disk makes them long, and its errors are
handled (`audio.writer`); both are progress. From `LATE_S` in one single operation on, that is an alarm. The writer is
stuck if it has not ended for `STUCK_S`, and the thread does not wait for the disk: what is left is a fault of this
program, which a new start mends. No start mends a disk that does not answer, so it ends no call. Call thread only.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path

from recorder.calls.call_services import Scheduler
from recorder.common.service_manager import ServiceManager
from recorder.rules.drain import DrainState
from recorder.service.draining import Draining

_log = logging.getLogger(__name__)

BEAT_S = 1.0
"""Interval of the beats, seconds; shorter where the watchdog's time is."""
LATE_S = 10.0
"""After so long in one operation the writer is late: its rings are full, so audio is being lost."""
STUCK_S = 120.0
"""After so long it is stuck, unless it waits for the disk."""
EXTENSION_S = 30.0
"""Time that is asked for with each beat of a stop, seconds."""
ALARM = "writer_stuck"


def waits_for_disk(thread_id: int, process: int | str = "self") -> bool:
    """Tell whether a thread waits where the kernel lets nothing interrupt it, as for disks and shares.

    That is state D in proc_pid_stat(5). A thread that cannot be looked at is taken for one that does not.
    """
    try:
        stat = Path(f"/proc/{process}/task/{thread_id}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "D"


class Heartbeat:
    """Beats while the call thread runs.

    Args:
        scheduler: The call thread's scheduler.
        manager: The service manager.
        draining: The daemon's state.
        calls: Returns the number of calls in progress.
        writer_s: Returns when the writer last ended an operation, by ``clock``.
        is_at_disk: Tells whether the writer's thread waits for a disk, or a share.
        alarm: Raises the alarm of a name.
        clock: Monotonic clock, seconds.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        manager: ServiceManager,
        draining: Draining,
        *,
        calls: Callable[[], int],
        writer_s: Callable[[], float],
        is_at_disk: Callable[[], bool],
        alarm: Callable[[str], None],
        end_alarm: Callable[[str], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scheduler = scheduler
        self._manager = manager
        self._draining = draining
        self._calls = calls
        self._writer_s = writer_s
        self._is_at_disk = is_at_disk
        self._alarm, self._end_alarm = alarm, end_alarm
        self._clock = clock
        self._every_s = BEAT_S if manager.watchdog_s is None else min(BEAT_S, manager.watchdog_s / 4)
        self._said = ""
        self._is_stopping = self._is_late = False

    def start(self) -> None:
        """Say that the daemon is ready, and begin to beat."""
        self._said = self._status
        self._manager.ready(self._said)
        self._beat()

    def stop(self) -> None:
        """Say once that the daemon is stopping."""
        if not self._is_stopping:
            self._is_stopping = True
            self._manager.stopping()

    def _beat(self) -> None:
        stuck_s = self._clock() - self._writer_s()
        self._look_at_writer(stuck_s)
        if stuck_s < STUCK_S or self._is_at_disk():
            self._manager.feed()
        if self._draining.state in (DrainState.STOPPING, DrainState.ENDING):
            self.stop()
            self._manager.extend(EXTENSION_S)
        if (status := self._status) != self._said:
            self._said = status
            self._manager.status(status)
        self._scheduler.call_later(self._every_s, self._beat)

    def _look_at_writer(self, stuck_s: float) -> None:
        is_late = stuck_s >= LATE_S
        if is_late and not self._is_late:
            self._alarm(ALARM)
            _log.error(
                "the writer has been in one operation for %.0f s, so audio is being lost: %s",
                stuck_s,
                "the disk does not answer" if self._is_at_disk() else "it does not wait for the disk, which is a fault",
            )
        elif self._is_late and not is_late:
            _log.warning("the writer goes on")
            self._end_alarm(ALARM)
        self._is_late = is_late

    @property
    def _status(self) -> str:
        live = self._calls()
        calls = "1 call in progress" if live == 1 else f"{live} calls in progress"
        if not self._draining.state.refuses_calls:
            return calls
        return f"{self._draining.state.value}, new calls are refused: {calls}"
