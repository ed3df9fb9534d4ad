"""Joins the sides of a recorded call, for the first time or after a transfer, and starts or stops recording.

Recording is stopped before a party who may not be recorded can be heard. Call thread only.
"""

from audio.types import DtmfPolicy
from audio.types import LegId as MediaLegId
from recorder.calls.bridged_call import BridgedCall
from recorder.calls.component import Component
from recorder.calls.keypad import Keypad
from recorder.calls.recording import Recording
from recorder.calls.recording_in_progress import RecordingInProgress
from recorder.calls.rules.call_events import After
from recorder.calls.rules.transfer import Party, PartyStatus
from recorder.rules.pausing import Final

BY = "rule:transfer"
TRANSFERRED, NOTICE, NOT_HEARD = "transferred", "notice", "notice_not_heard"
"""Reasons for which a span is out of scope."""
_NOTHING_KEPT = (Final.VOICEMAIL, Final.OUT_OF_SCOPE)
"""Final states of a call that is joined although nothing of it is kept."""


class Joining(Component[BridgedCall]):
    """Joins the sides of one call."""

    def __init__(self, call: BridgedCall, recording: Recording, keypad: Keypad) -> None:
        super().__init__(call)
        self._recording = recording
        self._keypad = keypad

    @property
    def is_in_scope(self) -> bool:
        """Tell whether a nominated extension is on the call, and neither emergency services nor a mailbox."""
        statuses = {party.status for party in self._call.parties}
        return PartyStatus.NOMINATED in statuses and PartyStatus.EXEMPT not in statuses

    def replaced(self, after: After) -> None:
        """Stop recording if a party who was put on a side, and is not heard yet, may not be recorded yet."""
        if after is not After.RECORD:
            self._stop(TRANSFERRED if after is After.OUT_OF_SCOPE else NOTICE)
        elif self._outside.is_told:
            self._call.progress.notice_complete = True

    def join(self) -> None:
        """Join the sides, and record them if that is permitted."""
        call = self._call
        if not self.is_in_scope:
            self._stop(TRANSFERRED)
            for media in call.sides.values():
                media.leg.listen(DtmfPolicy.PASS, tones=False)
            call.sides.bridge(is_a_mute=False)
            self._open_empty()
            return
        if call.parties.officer is None:
            # During the notice a party who is not nominated came in, and the officer is on the side that heard it.
            call.progress.keys, call.progress.notice_complete = call.progress.outside, False
        if self._outside.status is PartyStatus.UNTOLD:
            call.progress.notice_complete = False  # the party who heard it was replaced
        officer = call.parties.officer
        if officer is not None:
            self._recording.assign_to(officer)
        for party in call.parties:
            if party.extension is not None:
                self._recording.operators.add_participant(party.extension)
        self._listen()
        if self._recording.in_progress is not None:
            self._open_gate(self._recording.in_progress)
            call.sides.bridge(is_a_mute=False)
        else:
            self._begin()  # before bridging, so that nothing is said unrecorded
            call.sides.bridge(is_a_mute=False)

    @property
    def _outside(self) -> Party:
        return self._call.parties.outside

    def _stop(self, reason: str) -> None:
        in_progress, pause_reasons = self._recording.in_progress, self._recording.pause_reasons
        is_mailbox = any(party.is_mailbox for party in self._call.parties)
        final = Final.VOICEMAIL if is_mailbox else Final.OUT_OF_SCOPE
        if in_progress is None:
            pause_reasons.leave_scope(final)
        elif pause_reasons.final is None:
            self._store(in_progress.leave_scope(reason, BY, final))

    def _open_empty(self) -> None:
        """Begin a recording with a shut gate, so that the row says why nothing was kept."""
        recording = self._recording
        is_empty = recording.pause_reasons.final in _NOTHING_KEPT
        if recording.in_progress is None and recording.blocked is None and is_empty:
            recording.open_tap(*self._media)

    def _store(self, position_s: float) -> None:
        """Store the pause state for recovery: the container's row may be older."""
        pause_reasons = self._recording.pause_reasons
        self._recording.store_state(pause_reasons.state, sorted(pause_reasons.reasons), position_s)

    def _listen(self) -> None:
        call = self._call
        tones = call.services.config.media.detect_tones
        masked = DtmfPolicy.MASK if self._recording.service.mask_card_digits else DtmfPolicy.PASS
        keypad = self._keypad
        for side, party in call.sides.items():
            if call.has_keys(side):
                keys, secret = keypad.control_keys, keypad.secret_keys
                party.leg.listen(DtmfPolicy.HOLD_STAR, tones=tones, control=keys, secret=secret)
            else:
                party.leg.listen(masked, tones=tones)

    def _open_gate(self, in_progress: RecordingInProgress) -> None:
        call = self._call
        in_progress.retarget(*self._media)
        if call.progress.notice_complete:
            extension = call.parties.officer
            number = extension.number if extension is not None else ""
            self._store(in_progress.enter_scope(self._recording.operator, number, self._recording.officers, BY))
            in_progress.update_row(self._recording.row())
        else:  # the new party has not heard the notice in full
            self._stop(NOT_HEARD)
            call.tell_officer(self._recording.sounds.refused)

    def _begin(self) -> None:
        call = self._call
        self._recording.pause_reasons.enter_scope()
        self._open_empty()
        if self._recording.in_progress is not None:
            return
        if not call.progress.notice_complete:
            self._recording.blocked = NOT_HEARD
            call.tell_officer(self._recording.sounds.refused)
        elif self._recording.pause_reasons.final is None:
            self._recording.open_tap(*self._media)

    @property
    def _media(self) -> tuple[MediaLegId, MediaLegId]:
        call = self._call
        outside, officer = call.sides[call.progress.outside].leg.id, call.sides[call.progress.officer].leg.id
        assert outside is not None
        assert officer is not None
        return outside, officer
