"""Watches over one call's pause: reminds the officer, alarms when it is too long. Call thread only.

What is due when is `recorder.calls.rules.reminding`'s; the timers are here.
"""

import logging
import time
from typing import Any

from recorder.calls.recording import Recording
from recorder.calls.rules.reminding import Due, PauseReminders, is_watched
from recorder.config.settings import Pause

_log = logging.getLogger(__name__)

OVER_MAXIMUM = "pause_over_maximum"
"""The alarm."""


class PauseWatch:
    """One call's watch.

    Args:
        recording: The recording.
        settings: Its ``[pause]``.
    """

    def __init__(self, recording: Recording, settings: Pause) -> None:
        self._recording = recording
        self._settings = settings
        self._reminders: PauseReminders | None = None
        self._since_s = 0.0
        self._timer: Any = None

    def look(self) -> None:
        """Begin or end the watch as the call's pause now stands; a pause that goes on is not begun again."""
        if not is_watched(self._recording.pause_reasons):
            self.stop()
        elif self._reminders is None:
            self._reminders = PauseReminders(reminder_s=self._settings.reminder_s, max_s=self._settings.max_s)
            self._since_s = time.monotonic()
            self._wait(self._reminders)

    @property
    def held_s(self) -> float | None:
        """Return how long the pause has lasted, seconds; None while there is nothing to watch over."""
        return None if self._reminders is None else time.monotonic() - self._since_s

    @property
    def max_s(self) -> float:
        """Return the seconds after which the alarm is raised."""
        return self._settings.max_s

    def stop(self) -> None:
        """End the watch."""
        self._reminders = None
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
        _log.warning(
            "call %s has been paused for over %g s; nothing but a person resumes it", recording.id, self._settings.max_s
        )
