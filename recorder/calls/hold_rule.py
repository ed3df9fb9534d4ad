"""Pauses a recording during a SIP hold, if the service requires that, and resumes it afterwards. Call thread only.

This is the only pause that ends without a person. Its end clears no other pause reason.
"""

import logging
from concurrent.futures import Future
from typing import Any

from recorder.calls.recording_controls import RecordingControls
from recorder.rules.pausing import HOLD, Authority, RefusedError

_log = logging.getLogger(__name__)

BY = "rule:hold"

AGAIN_S = 5.0
"""Interval of retries when the end of a hold could not be stored, and recording is still paused."""


class HoldRule:
    """Applies the rule to one recording."""

    def __init__(self, controls: RecordingControls) -> None:
        self._controls = controls
        self._is_ending = False
        """The end of a hold is being stored; if another act overtakes it, it has no effect."""

    @property
    def is_ending(self) -> bool:
        """Tell whether the pause of a hold ends as soon as that is stored."""
        return self._is_ending and not self._controls.recording.call.is_held

    def apply(self) -> None:
        """Pause or resume, by whether a party has the call on hold now."""
        controls, recording = self._controls, self._controls.recording
        if recording.service.record_hold or recording.in_progress is None or recording.is_over:
            return
        is_held, is_paused = recording.call.is_held, HOLD in recording.pause_reasons.reasons
        try:
            if is_held and (not is_paused or self._is_ending):
                controls.pause(HOLD, BY)
            elif not is_held and is_paused and not self._is_ending:
                act = controls.resume(Authority.RULE, BY)
                self._is_ending, ended = True, recording.with_call(self._ended)
                act.add_done_callback(lambda done: recording.services.scheduler.submit(ended, done))
        except RefusedError:
            _log.debug("call %s: recording has ended; the hold changes nothing", recording.id)

    def _ended(self, done: "Future[Any]") -> None:
        self._is_ending = False
        if done.exception() is None:
            self.apply()
        else:
            recording = self._controls.recording
            recording.services.scheduler.call_later(AGAIN_S, recording.with_call(self.apply))
