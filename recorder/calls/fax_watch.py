"""Stops recording when fax tones are heard, until somebody speaks. Call thread only.

`recorder.calls.rules.fax` judges the tones. T.38 is never agreed on a recorded call: answers reject it and offers do
not have it. An offer of T.38 alone does not prove that a fax is sent, so it is not used here.
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
_REPORT_DELAY_S = 0.1
"""Time for the report of a voice that begins at the end of the quiet period."""


class FaxWatch(Component[BridgedCall]):
    """Applies the fax rule to one call."""

    def __init__(self, call: BridgedCall, controls: RecordingControls) -> None:
        super().__init__(call)
        self._controls = controls
        self._recording = controls.recording
        self._rule = FaxRule()
        self._is_listening = False
        self._is_by_officer = False
        """Whether the tones came from the officer's side: no confirmation is played to a machine."""

    def take(self, side: Side, event: FaxHeard | VoiceHeard) -> None:
        """Handle a tone or a voice on one side."""
        if isinstance(event, VoiceHeard):
            self._voice_heard()
        else:
            self._tone_heard(side, event)

    def joining(self) -> None:
        """Reset the rule, because another party may be on a side now."""
        self._voice_heard()

    def _tone_heard(self, side: Side, event: FaxHeard) -> None:
        call = self._call
        if self._recording.in_progress is None or self._recording.pause_reasons.state is not PauseState.RECORDING:
            return
        if self._rule.heard(event.kind, time.monotonic(), event.pause_s) and not self._is_listening:
            self._is_by_officer = side is call.progress.officer
            self._listen(is_on=True)
            call.services.scheduler.call_later(QUIET_S + _REPORT_DELAY_S, self._with_call(self._decide))

    def _voice_heard(self) -> None:
        """Go on recording if it was stopped because of fax tones."""
        self._rule.spoken()
        self._listen(is_on=False)
        call = self._call
        if self._recording.in_progress is not None and self._recording.pause_reasons.state is PauseState.FAX_SUSPECTED:
            self._store(self._recording.in_progress.clear_suspicion(BY))
            self._tell(self._recording.sounds.resumed)
            _log.info("call %s: a voice is heard; recording again", call.id)

    def _decide(self) -> None:
        """Stop recording if nobody has spoken in the quiet period."""
        call = self._call
        if call.progress.state is CallState.ENDED or not self._rule.is_fax(time.monotonic()):
            return
        if self._recording.in_progress is None or self._recording.pause_reasons.state is not PauseState.RECORDING:
            self._rule.spoken()
            self._listen(is_on=False)
            return
        self._store(self._recording.in_progress.suspect_fax(BY))
        call.services.alarm(SUSPECTED)
        call.services.publish({"event": "alarm", "alarm": SUSPECTED, "id": call.id})
        _log.warning("call %s: fax tones and no voice; not recorded until somebody speaks", call.id)
        self._tell(self._recording.sounds.paused)

    def _listen(self, *, is_on: bool) -> None:
        if is_on is self._is_listening:
            return
        self._is_listening = is_on
        for party in self._call.sides.values():
            party.leg.report_voice(is_on=is_on)

    def _store(self, position_s: float) -> None:
        pause_reasons = self._recording.pause_reasons
        self._recording.store_state(pause_reasons.state, sorted(pause_reasons.reasons), position_s)
        self._controls.state.update()

    def _tell(self, sound: Prompt) -> None:
        if not self._is_by_officer:
            self._call.tell_officer(sound)
