"""Reminds the officer of a pause, and raises the alarm if it lasts too long. Call thread only.

The timers are here; `recorder.calls.rules.reminding` says what is due.
"""

import logging
import time
from datetime import datetime
from typing import Any

from recorder.calls.recording import Recording
from recorder.calls.rules.reminding import Due, PauseReminders, is_watched
from recorder.common.clock import utc_now
from recorder.config.settings import Pause

_log = logging.getLogger(__name__)

OVER_MAXIMUM = "pause_over_maximum"
"""The alarm."""


class PauseWatch:
    """The timer of one call's pause.

    Attributes:
        since: When the pause began, UTC; None while the timer is stopped.
    """

    def __init__(self, recording: Recording, settings: Pause) -> None:
        self._recording = recording
        self._settings = settings
        self._reminders: PauseReminders | None = None
        self._since_s = 0.0
        self.since: datetime | None = None
        self._timer: Any = None

    def update(self) -> None:
        """Start or stop the timer by the current pause reasons; a timer that is running goes on."""
        if not is_watched(self._recording.pause_reasons):
            self.stop()
        elif self._reminders is None:
            self._reminders = PauseReminders(reminder_s=self._settings.reminder_s, max_s=self._settings.max_s)
            self._since_s, self.since = time.monotonic(), utc_now()
            self._wait(self._reminders)

    @property
    def held_s(self) -> float | None:
        """Return how long the pause has lasted, seconds; None while the timer is stopped."""
        return None if self._reminders is None else time.monotonic() - self._since_s

    @property
    def max_s(self) -> float:
        """Return the time after which the alarm is raised, seconds."""
        return self._settings.max_s

    def stop(self) -> None:
        """Stop the timer."""
        self._reminders = self.since = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, vigil: PauseReminders) -> None:
        seconds = vigil.wait_s(time.monotonic() - self._since_s)
        self._timer = (
            None
            if seconds is None
            else self._recording.services.scheduler.call_later(seconds, self._recording.with_call(self._tick))
        )

    def _tick(self) -> None:
        vigil = self._reminders
        if vigil is None:
            return
        due = vigil.due(time.monotonic() - self._since_s)
        if Due.REMIND in due:
            self._recording.call.tell_officer(self._recording.sounds.still_paused)
        if Due.ALARM in due:
            self._alarm()
        self._wait(vigil)

    def _alarm(self) -> None:
        recording = self._recording
        recording.services.alarm(OVER_MAXIMUM)
        recording.services.publish(
            {"event": "alarm", "alarm": OVER_MAXIMUM, "id": recording.id, "max_s": self._settings.max_s}
        )
        _log.warning("call %s: paused for over %g s; a person has to resume it", recording.id, self._settings.max_s)
