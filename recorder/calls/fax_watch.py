"""Fax machines on a recorded call: where one is suspected, recording stops until somebody speaks. Call thread only.

T.38 is rejected in every answer of a recorded call and never offered, so that it is never agreed; an offer of it alone
says nothing of what is sent. What is heard is judged by `recorder.calls.rules.fax`.
"""

import logging
import time

from audio.types import FaxHeard, Prompt, VoiceHeard
from recorder.calls.bridged_call import BridgedCall
from recorder.calls.component import Component
from recorder.calls.recording_controls import RecordingControls
from recorder.calls.rules.call_events import CallState, Side
from recorder.calls.rules.fax import QUIET_S, FaxRule
from recorder.rules.pausing import PauseState

_log = logging.getLogger(__name__)

BY = "rule:fax"
SUSPECTED = "fax_suspected"
"""The alarm."""
_LOOK_LATER_S = 0.1
"""A voice that is heard at the end of the quiet is reported by then."""


class FaxWatch(Component[BridgedCall]):
    """The fax rule of one call.

    Args:
        call: The call.
        controls: What is done to its recording.
    """

    def __init__(self, call: BridgedCall, controls: RecordingControls) -> None:
        super().__init__(call)
        self._controls = controls
        self._recording = controls.recording
        self._rule = FaxRule()
        self._is_listening = False
        self._is_by_officer = False
        """Whether the tones came from the officer's side: where a machine is, nobody is told anything."""

    def take(self, side: Side, event: FaxHeard | VoiceHeard) -> None:
        """Take a tone or a voice of one side."""
        if isinstance(event, VoiceHeard):
            self._spoken()
        else:
            self._heard(side, event.kind)

    def joining(self) -> None:
        """Begin anew: somebody else is on a side, and is recorded."""
        self._spoken()

    def _heard(self, side: Side, kind: str) -> None:
        call = self._call
        if self._recording.in_progress is None or self._recording.pause_reasons.state is not PauseState.RECORDING:
            return
        if self._rule.heard(kind, time.monotonic()) and not self._is_listening:
            self._is_by_officer = side is call.progress.officer
            self._listen(is_on=True)
            call.services.scheduler.call_later(QUIET_S + _LOOK_LATER_S, self._with_call(self._look))

    def _spoken(self) -> None:
        """Go on recording since somebody speaks, unless something else has ended it."""
        self._rule.spoken()
        self._listen(is_on=False)
        call = self._call
        if self._recording.in_progress is not None and self._recording.pause_reasons.state is PauseState.FAX_SUSPECTED:
            self._changed(self._recording.in_progress.clear_suspicion(BY))
            self._tell(self._recording.sounds.resumed)
            _log.info("call %s: somebody speaks, so that it is recorded again", call.id)

    def _look(self) -> None:
        """Stop recording if nobody has spoken; called once they have had the time to."""
        call = self._call
        if call.progress.state is CallState.ENDED or not self._rule.is_fax(time.monotonic()):
            return
        if self._recording.in_progress is None or self._recording.pause_reasons.state is not PauseState.RECORDING:
            self._rule.spoken()
            self._listen(is_on=False)
            return
        self._changed(self._recording.in_progress.suspect_fax(BY))
        call.services.alarm(SUSPECTED)
        call.services.publish({"event": "alarm", "alarm": SUSPECTED, "id": call.id})
        _log.warning("call %s: tones of a fax, and nobody speaks: not recorded until somebody does", call.id)
        self._tell(self._recording.sounds.paused)

    def _listen(self, *, is_on: bool) -> None:
        if is_on is self._is_listening:
            return
        self._is_listening = is_on
        for party in self._call.sides.values():
            party.leg.report_voice(is_on=is_on)

    def _changed(self, position_s: float) -> None:
        pause_reasons = self._recording.pause_reasons
        self._recording.store_state(pause_reasons.state, sorted(pause_reasons.reasons), position_s)
        self._controls.state.changed()

    def _tell(self, sound: Prompt) -> None:
        if not self._is_by_officer:
            self._call.tell_officer(sound)
