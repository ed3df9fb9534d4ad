"""Hold is not recorded where a service says so: SIP's hold pauses the recording, its end resumes it. Call thread only.

This is the only pause that ends without a person, and it never takes away more than it gave.
"""

import logging
from concurrent.futures import Future
from typing import Any

from recorder.calls.recording_controls import RecordingControls
from recorder.rules.pausing import HOLD, Authority, RefusedError

_log = logging.getLogger(__name__)

BY = "rule:hold"

AGAIN_S = 5.0
"""When the end of a hold could not be stored, so that recording has not gone on, it is tried again after so long."""


class HoldRule:
    """The rule for one call's recording.

    Args:
        controls: What is done to it.
    """

    def __init__(self, controls: RecordingControls) -> None:
        self._controls = controls
        self._is_ending = False
        """The end of a hold is being stored; another act may overtake it, and then it has done nothing."""

    def look(self) -> None:
        """Pause or resume as the sides now stand."""
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
            _log.debug("call %s: recording has ended, hold changes nothing", recording.id)

    def _ended(self, done: "Future[Any]") -> None:
        self._is_ending = False
        if done.exception() is None:
            self.look()
        else:
            recording = self._controls.recording
            recording.services.scheduler.call_later(AGAIN_S, recording.with_call(self.look))
