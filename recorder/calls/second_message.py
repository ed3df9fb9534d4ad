"""Plays the second message to the outside party of a joined call, when an officer or a person asks for it.

The outside party hears the message instead of the officer. Nothing else changes: the officer hears the outside party,
the recording goes on or stays paused, and the proof of the notice stays as it was. Call thread only.
"""

from audio.types import LegId as MediaLegId
from audio.types import PromptEnded
from recorder.calls.acts import ActEntry, AppliedAct, PauseAnswer, PendingAct, submit_entry
from recorder.calls.announcements import Announcement
from recorder.calls.bridged_call import BridgedCall
from recorder.calls.component import Component
from recorder.calls.recording import Recording
from recorder.calls.rules.call_events import CallState
from recorder.rules.pausing import RefusedError

ENDED = "call.second_message.ended"
_FIRST_TAG = 1000
"""Above every tag of `recorder.calls.announcer`: the end of these prompts is no event for the call's table."""


class NoSecondMessage:
    """The second message of a recording session, in which nothing can be played."""

    state = "off"

    def play(self, by: str) -> PendingAct:
        """Raise RefusedError."""
        raise RefusedError("this call is copied to the recorder by another system: nothing can be played in it")


class SecondMessage(Component[BridgedCall]):
    """Plays the second message in one call."""

    def __init__(self, call: BridgedCall, recording: Recording, message: Announcement | None) -> None:
        super().__init__(call)
        self._recording = recording
        self._message = message
        self._tag = _FIRST_TAG
        self._leg: MediaLegId | None = None
        """The leg to which it is being played, or None."""
        self._by = ""

    @property
    def state(self) -> str:
        """Return the state; see `recorder.calls.recorded_part.SecondMessagePlayback`."""
        call = self._call
        if self._message is None:
            return "off"
        if self._leg is not None or call.progress.is_second_playing:
            return "playing"
        return "played" if call.progress.second_played else "ready"

    def play(self, by: str) -> PendingAct:
        """Play the message; see `recorder.calls.recorded_part.SecondMessagePlayback`.

        Raises:
            RefusedError: No message is set, the sides are not joined, the call is out of scope, the outside party has
                the call on hold, or the message is being played.
        """
        call = self._call
        second, outside = self._message, call.sides[call.progress.outside]
        if second is None:
            raise RefusedError("no second message is set: see [notice] second in recorder.toml")
        if call.progress.state is not CallState.JOINED:
            raise RefusedError("the caller and the officer are not joined, so the message cannot be played")
        if self._recording.pause_reasons.is_away:
            raise RefusedError("this call was transferred to an extension whose calls are not recorded")
        if self._leg is not None:
            raise RefusedError("the caller is hearing the second message already")
        if outside.is_held:
            raise RefusedError("the caller would not hear it: this call is on hold")
        self._tag += 1
        self._leg, self._by, call.progress.second_played = outside.leg.id, by, True
        self._recording.second_message_began(by)
        outside.leg.play(second.prompt, tag=self._tag)
        if self._recording.in_progress is not None:
            # Recovery reads from the container's row that it was played.
            self._recording.in_progress.update_row(self._recording.row())
        call.publish()
        return self._done()

    def ended(self, event: PromptEnded) -> bool:
        """Handle the end of a prompt; return whether it was a second message of this class."""
        if event.tag == self._tag:
            call = self._call
            is_connected = call.legs.of(call.progress.outside) is not None
            self._end(is_complete=event.complete and is_connected)
        return event.tag > _FIRST_TAG

    def cut_off(self) -> None:
        """Note that the message was not heard in full, because its hearer has left or the call is over."""
        self._end(is_complete=False)

    def _end(self, *, is_complete: bool) -> None:
        if self._leg is None:
            return
        self._leg = None
        self._recording.second_message_ended(is_complete=is_complete)
        submit_entry(
            self._call.services,
            ActEntry(act=ENDED, actor=self._by, subject=self._call.id, details={"complete": is_complete}),
        )
        self._call.publish()

    def _done(self) -> PendingAct:
        in_progress, pause_reasons = self._recording.in_progress, self._recording.pause_reasons
        position_s = in_progress.position_s if in_progress is not None else 0.0
        answer = PauseAnswer(
            call=self._recording.id,
            state=pause_reasons.state,
            reasons=tuple(sorted(pause_reasons.reasons)),
            position_s=position_s,
        )
        act = AppliedAct(answer)
        act.set_result(answer)
        return act
