"""The pause state of one recording: stored before an act is answered, published on change. Call thread only."""

from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime

from recorder.calls.acts import AppliedAct, PauseAnswer, PendingAct
from recorder.calls.pause_watch import PauseWatch
from recorder.calls.recording import Recording
from recorder.common.clock import utc_now
from recorder.common.serial_executor import after, after_all
from storage.retention_types import ErasureOrder


class RecordingState:
    """Stores and publishes the pause state of one recording.

    Attributes:
        since: When the state last changed, UTC; None if it has not.
        acts: How many acts have been applied.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._state = recording.pause_reasons.state
        self.watch = PauseWatch(recording, recording.services.config.pause)
        self.since: datetime | None = None
        self.acts = 0

    @property
    def position_s(self) -> float:
        """Return the current position, seconds; 0 before the recording begins and after the call's end."""
        return 0.0 if self._recording.is_over else self._recording.gate.position_s

    def answer(self, position_s: float, erasure: ErasureOrder | None = None) -> PauseAnswer:
        """Return the answer to an act that took effect at a position."""
        pause_reasons = self._recording.pause_reasons
        reasons = tuple(sorted(pause_reasons.reasons))
        return PauseAnswer(
            call=self._recording.id, state=pause_reasons.state, reasons=reasons, position_s=position_s, erasure=erasure
        )

    def store(
        self, position_s: float, *also: Callable[[], "Future[None]"], erasure: ErasureOrder | None = None
    ) -> PendingAct:
        """Store the state after an act that was applied, then run ``also``; the act is done when all is on disk."""
        self.acts += 1
        answer = self.answer(position_s, erasure)
        done = AppliedAct(answer)

        def on_disk(stored: "Future[None]") -> None:
            error = stored.exception()
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(answer)

        state_stored = self._recording.store_state(answer.state, list(answer.reasons), position_s)
        after_all(state_stored, *(after(state_stored, start) for start in also)).add_done_callback(on_disk)
        self.update()
        return done

    def update(self) -> None:
        """Start or stop reminders and publish the call, after the state may have changed."""
        self.watch.update()
        if self._recording.pause_reasons.state is not self._state:
            self._state, self.since = self._recording.pause_reasons.state, utc_now()
        self._recording.call.publish()
