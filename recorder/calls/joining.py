"""The moment at which the sides of a recorded call are joined, first or again: who is heard, and what of it is kept.

Whatever has to be shut is shut before anybody new can be heard. Call thread only.
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
"""Why a span is out of scope."""
_NOTED = (Final.VOICEMAIL, Final.OUT_OF_SCOPE)
"""Why nothing is kept of a call that is joined all the same."""


class Joining(Component[BridgedCall]):
    """The joinings of one call.

    Args:
        call: The call.
        recording: Its recording.
        keypad: Its keys.
    """

    def __init__(self, call: BridgedCall, recording: Recording, keypad: Keypad) -> None:
        super().__init__(call)
        self._recording = recording
        self._keypad = keypad

    @property
    def is_in_scope(self) -> bool:
        """Tell whether somebody's calls are recorded who is on it, and neither emergency services nor a mailbox are."""
        statuses = {party.status for party in self._call.parties}
        return PartyStatus.NOMINATED in statuses and PartyStatus.EXEMPT not in statuses

    def replaced(self, after: After) -> None:
        """Somebody else is on a side, and cannot be heard yet: stop, if they may not be recorded yet."""
        if after is not After.RECORD:
            self._stop(TRANSFERRED if after is After.OUT_OF_SCOPE else NOTICE)
        elif self._outside.is_told:
            self._call.progress.notice_complete = True

    def join(self) -> None:
        """Join the sides, and record them where that may be."""
        call = self._call
        if not self.is_in_scope:
            self._stop(TRANSFERRED)
            for media in call.sides.values():
                media.leg.listen(DtmfPolicy.PASS, tones=False)
            call.sides.bridge(is_a_mute=False)
            self._note()
            return
        if call.parties.officer is None:
            # During the notice somebody came who is not nominated, so that the officer is the one who heard it.
            call.progress.keys, call.progress.notice_complete = call.progress.outside, False
        if self._outside.status is PartyStatus.UNTOLD:
            call.progress.notice_complete = False  # somebody heard it, who is not there any more
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
            self._begin()  # first, so that nothing is heard that is not kept
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
            self._keep(in_progress.leave_scope(reason, BY, final))

    def _note(self) -> None:
        """Begin a recording of which nothing is kept, of a call that is joined like this: its row says why."""
        recording = self._recording
        if recording.in_progress is None and recording.blocked is None and recording.pause_reasons.final in _NOTED:
            recording.open_tap(*self._media)

    def _keep(self, position_s: float) -> None:
        """Have recovery know, should we die: what a container says of its end may be older."""
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
            self._keep(in_progress.enter_scope(self._recording.operator, number, self._recording.officers, BY))
            in_progress.describe(self._recording.row())
        else:  # whoever is new has not heard it in full
            self._stop(NOT_HEARD)
            call.tell_officer(self._recording.sounds.refused)

    def _begin(self) -> None:
        call = self._call
        self._recording.pause_reasons.enter_scope()
        self._note()
        if self._recording.in_progress is not None:
            return
        if not call.progress.notice_complete:
            self._recording.blocked = NOT_HEARD
            call.tell_officer(self._recording.sounds.refused)  # they should know that nothing of this is kept
        elif self._recording.pause_reasons.final is None:
            self._recording.open_tap(*self._media)

    @property
    def _media(self) -> tuple[MediaLegId, MediaLegId]:
        """Return the media legs of the outside party and the officer."""
        call = self._call
        outside, officer = call.sides[call.progress.outside].leg.id, call.sides[call.progress.officer].leg.id
        assert outside is not None
        assert officer is not None
        return outside, officer
