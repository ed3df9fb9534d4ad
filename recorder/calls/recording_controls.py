"""Pause, resume, opt-out, discard and retroactive pause of one recording. Call thread only.

An act that stops recording is applied at once, and then stored. An act that lets it go on is stored first. Both are
answered when they are applied and stored (`recorder.calls.acts`).
"""

import contextlib
import logging
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future

from recorder.calls.acts import PendingAct, new_act_id, place_order
from recorder.calls.card_discard import CardDiscard
from recorder.calls.recording import Recording
from recorder.calls.recording_state import RecordingState
from recorder.common.clock import utc_now
from recorder.rules.erasing import is_live_order_confirmed
from recorder.rules.pausing import AGENT, Authority, Final, PauseState, RefusedError
from storage.erasures import new_order_id
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState
from storage.types import RecordingId

_log = logging.getLogger(__name__)

DECIDE_S = 0.5
"""How long the answer to a pause that may discard the recording waits for the database; then it is the pause."""


class RecordingControls:
    """The acts of people and rules on one recording, before and after the sides are joined.

    Args:
        on_reopened: Called when recording goes on after a pause.

    Attributes:
        state: Stores and publishes the pause state.
    """

    def __init__(self, recording: Recording, on_reopened: Callable[[], None]) -> None:
        self.recording = recording
        self._on_reopened = on_reopened
        self._settings = recording.services.config.pause  # a reload does not change calls in progress
        self.state = RecordingState(recording)
        self.discard = CardDiscard(recording, self.state)
        self._orders: list[ErasureOrder] = []
        self._resuming = 0

    @property
    def id(self) -> RecordingId:
        """Return the id of the recording."""
        return self.recording.id

    @property
    def twins(self) -> "Sequence[RecordingControls]":
        """Return the controls of other recordings to which each act on this one is passed on."""
        return ()

    @property
    def mates(self) -> "Sequence[RecordingControls]":
        """Return the controls of other recordings that end with this one's opt-out or discard, beside its twins."""
        return ()

    @property
    def lasting_reasons(self) -> frozenset[str]:
        """Return the pause reasons; none while a resume is being stored, so that a new pause is not left out."""
        return frozenset() if self._resuming else frozenset(self.recording.pause_reasons.reasons)

    def pause(self, reason: str, by: str, *, acts: Collection[str] = (), may_discard: bool = True) -> PendingAct:
        """Pause the recording, or discard it if the service requires that; the gate is shut on return.

        Args:
            reason: The pause reason.
            by: Who did it, as the audit log names them.
            acts: The ids of the acts that this belongs to; empty for an act of its own.
            may_discard: False only pauses, whatever the service requires.

        Raises:
            RefusedError: Recording has ended for the rest of the call.
        """
        self.recording.pause_reasons.check_open()
        acts = acts or (new_act_id(),)
        if may_discard and self.discard.is_due(reason):
            return self.discard.unless_kept(reason, by, acts, lambda paused: paused, answers_by=DECIDE_S)
        self.recording.pause_reasons.credit(reason, acts)
        return self.state.store(self.recording.gate.pause(reason, by))

    def opt_out(self, reason: str, by: str) -> PendingAct:
        """Stop recording for the rest of the call, with its twins; cannot be undone.

        Raises:
            RefusedError: Recording has ended for the rest of the call already.
        """
        return self.opt_out_only(reason, by)

    def opt_out_only(self, reason: str, by: str) -> PendingAct:
        """Stop this recording for the rest of the call, without its twins.

        Raises:
            RefusedError: Recording has ended for the rest of the call already.
        """
        return self.state.store(self.recording.gate.end(Final.OPTED_OUT, reason, by))

    def pause_retroactively(
        self, seconds: float | None, by: str, *, acts: Collection[str] = (), may_erase_alone: bool = True
    ) -> PendingAct:
        """Pause now, and order the erasure of the last seconds.

        An order of at most ``[pause] forgot_s`` seconds is confirmed at once; a longer one needs a second person. A
        service that discards recordings because of a card payment discards the whole recording instead.

        Args:
            seconds: How far back, over 0; None is since the sides were joined.
            by: Who did it, as the audit log names them.
            acts: As for `pause`.
            may_erase_alone: False has every order wait for a second person, and discards nothing.

        Returns:
            The answer with the order, once both are on disk. OSError if they could not be stored; the gate is shut
            all the same.

        Raises:
            RefusedError: Nothing of this call is recorded.
        """
        recording = self.recording
        if may_erase_alone and recording.pause_reasons.final is None and self.discard.is_due(AGENT):
            acts = acts or (new_act_id(),)
            return self.discard.unless_kept(AGENT, by, acts, lambda _: self._pause_retroactively(seconds, by, acts))
        return self._pause_retroactively(seconds, by, acts, may_erase_alone=may_erase_alone)

    def _pause_retroactively(
        self, seconds: float | None, by: str, acts: Collection[str], *, may_erase_alone: bool = True
    ) -> PendingAct:
        recording = self.recording
        in_progress = recording.in_progress
        if in_progress is None or recording.pause_reasons.final is Final.DISCARDED:
            raise RefusedError("nothing of this call is recorded, so there is nothing to erase")
        now_s = in_progress.position_s
        if recording.pause_reasons.final is None:
            recording.pause_reasons.credit(AGENT, acts or (new_act_id(),))
            position_s = self.recording.gate.pause(AGENT, by)
        else:
            position_s = now_s
        order = self._order(now_s, seconds, by, alone_from_s=in_progress.officer_since_s if may_erase_alone else None)
        return self.state.store(position_s, lambda: place_order(recording.services, order), erasure=order)

    def resume(
        self, authority: Authority, by: str, *, token: str | None = None, acts: frozenset[str] | None = None
    ) -> PendingAct:
        """Clear the pause reasons that an authority may clear, once the new state is on disk.

        Until then the gate stays shut, so that the pause still holds if the state cannot be stored. Another act in
        between takes precedence.

        Args:
            authority: Who may clear which reasons.
            by: Who did it, as the audit log names them.
            token: The payment token whose reason is cleared.
            acts: Clear only reasons that these acts gave; None is all.

        Raises:
            RefusedError: There is no reason that this authority may clear.
        """
        left = self.recording.pause_reasons.left_after(authority, token=token, acts=acts)
        state = PauseState.PAUSED if left else PauseState.RECORDING
        acts_before, done = self.state.acts, PendingAct()
        self._resuming += 1

        def settle(error: BaseException | None) -> None:
            self._resuming -= 1
            if error is not None:
                done.set_exception(error)
                return
            position_s = self.state.position_s
            if self.state.acts == acts_before and not self.recording.is_over:
                with contextlib.suppress(RefusedError):  # a first resume has cleared the reasons already
                    position_s = self._reopen(authority, by, token, acts)
            done.set_result(self.state.answer(position_s))

        services, settled = self.recording.services, self.recording.with_call(settle)

        def on_disk(stored: "Future[None]") -> None:
            services.scheduler.submit(settled, stored.exception())

        self.recording.store_state(state, sorted(left), self.state.position_s).add_done_callback(on_disk)
        return done

    def begun(self) -> None:
        """Start the reminders if the recording began paused."""
        self.state.watch.update()

    def end(self) -> None:
        """Stop the reminders, because the call is over."""
        self.state.watch.stop()

    # --- effects

    def _order(self, now_s: float, seconds: float | None, by: str, *, alone_from_s: float | None) -> ErasureOrder:
        late_s = self.recording.services.lateness.seconds
        start_s = 0.0 if seconds is None else max(now_s - seconds - late_s, 0.0)
        is_confirmed = is_live_order_confirmed(
            self._orders, (start_s, now_s), own_from_s=alone_from_s, forgot_s=self._settings.forgot_s + late_s
        )
        order = ErasureOrder(
            id=new_order_id(),
            recording=self.recording.id,
            start_s=round(start_s, 4),
            end_s=round(now_s, 4),
            kind=ErasureKind.CARD_DATA,
            ordered_by=by,
            ordered_at=utc_now(),
            state=ErasureState.CONFIRMED if is_confirmed else ErasureState.WAITING,
        )
        self._orders.append(order)
        return order

    def _reopen(self, authority: Authority, by: str, token: str | None, acts: frozenset[str] | None) -> float:
        recording = self.recording
        position_s = recording.gate.resume(authority, by, token=token, acts=acts)
        if recording.pause_reasons.state is PauseState.RECORDING:
            self._on_reopened()
        self.state.update()
        return position_s
