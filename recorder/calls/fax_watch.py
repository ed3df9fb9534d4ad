"""Fax machines on a recorded call: where one is suspected, recording stops until somebody speaks. Call thread only.

T.38 is rejected in every answer of a recorded call and never offered, so that it is never agreed; an offer of it alone
says nothing of what is sent. What is heard is judged by `recorder.calls.rules.fax`.
"""

import logging
import time
from concurrent.futures import Future
from typing import Any, Protocol

from audio.types import FaxHeard, Prompt, VoiceHeard
from recorder.calls.gate_acts import GateActs
from recorder.calls.part import Part
from recorder.calls.party import Party
from recorder.calls.rules.call import Call, Side, State
from recorder.calls.rules.fax import QUIET_S, FaxRule
from recorder.calls.taping import Taping
from recorder.calls.works import Sounds, Works
from recorder.rules.pausing import PauseBook, PauseState

_log = logging.getLogger(__name__)

BY = "rule:fax"
SUSPECTED = "fax_suspected"
"""The alarm."""
_LOOK_LATER_S = 0.1
"""A voice that is heard at the end of the quiet is reported by then."""


class FaxedCall(Protocol):
    """The call; `recorder.calls.recorded_call.RecordedCall` is the real one."""

    id: Any
    works: Works
    call: Call
    book: PauseBook
    gate: GateActs
    sounds: Sounds
    taping: Taping | None
    parties: dict[Side, Party]

    def keep_state(self, state: PauseState, reasons: list[str], position_s: float) -> "Future[None]":
        """Write down how the recording stands."""

    def tell_officer(self, sound: Prompt) -> None:
        """Play something short to the officer."""


class FaxWatch(Part[FaxedCall]):
    """The fax rule of one call."""

    def __init__(self, call: FaxedCall) -> None:
        super().__init__(call)
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
        if call.taping is None or call.book.state is not PauseState.RECORDING:
            return
        if self._rule.heard(kind, time.monotonic()) and not self._is_listening:
            self._is_by_officer = side is call.call.officer
            self._listen(is_on=True)
            call.works.scheduler.call_later(QUIET_S + _LOOK_LATER_S, self._kept(self._look))

    def _spoken(self) -> None:
        """Go on recording since somebody speaks, unless something else has ended it."""
        self._rule.spoken()
        self._listen(is_on=False)
        call = self._call
        if call.taping is not None and call.book.state is PauseState.FAX_SUSPECTED:
            self._changed(call.taping.clear_suspicion(BY))
            self._tell(call.sounds.resumed)
            _log.info("call %s: somebody speaks, so that it is recorded again", call.id)

    def _look(self) -> None:
        """Stop recording if nobody has spoken; called once they have had the time to."""
        call = self._call
        if call.call.state is State.ENDED or not self._rule.is_fax(time.monotonic()):
            return
        if call.taping is None or call.book.state is not PauseState.RECORDING:
            self._rule.spoken()
            self._listen(is_on=False)
            return
        self._changed(call.taping.suspect_fax(BY))
        call.works.alarm(SUSPECTED)
        call.works.publish({"event": "alarm", "alarm": SUSPECTED, "id": call.id})
        _log.warning("call %s: tones of a fax, and nobody speaks: not recorded until somebody does", call.id)
        self._tell(call.sounds.paused)

    def _listen(self, *, is_on: bool) -> None:
        if is_on is self._is_listening:
            return
        self._is_listening = is_on
        for party in self._call.parties.values():
            party.report_voice(is_on=is_on)

    def _changed(self, position_s: float) -> None:
        call = self._call
        call.keep_state(call.book.state, sorted(call.book.reasons), position_s)
        call.gate.changed()

    def _tell(self, sound: Prompt) -> None:
        if not self._is_by_officer:
            self._call.tell_officer(sound)
