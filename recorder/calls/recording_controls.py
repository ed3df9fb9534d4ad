"""Pause, resume, opt-out, discard and "forgot" of one call, before and after its sides are joined. Call thread only.

What stops recording is done at once and stored after; what lets it go on is stored first. Whoever waits for the answer
gets it when both are done (`recorder.calls.acts`).
"""

import contextlib
import logging
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future

from recorder.calls.acts import Act, new_act_id, place_order
from recorder.calls.card_discard import CardDiscard
from recorder.calls.recording import Recording
from recorder.calls.recording_state import RecordingState
from recorder.common.clock import utc_now
from recorder.rules.erasing import alone_s
from recorder.rules.pausing import AGENT, Authority, Final, PauseState, RefusedError
from storage.erasures import new_order_id
from storage.retention_types import ErasureKind, ErasureOrder, ErasureState
from storage.types import RecordingId

_log = logging.getLogger(__name__)

DECIDE_S = 0.5
"""How long a pause that may discard the recording waits to be answered until the database says whether it does."""


class RecordingControls:
    """What people and rules do to one call's recording.

    Args:
        recording: The recording.
        on_reopened: Called when recording goes on after a pause.

    Attributes:
        state: Stores and publishes how the recording stands.
        discard: Discards it because of a card payment.
    """

    def __init__(self, recording: Recording, on_reopened: Callable[[], None]) -> None:
        self.recording = recording
        self._on_reopened = on_reopened
        self._settings = recording.services.config.pause  # a call keeps what it began with
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
        """Return those of other recordings to which this one passes every act by itself."""
        return ()

    @property
    def lasting_reasons(self) -> frozenset[str]:
        """Return what holds the pause; none while a resume is under way, which a new pause has to overtake."""
        return frozenset() if self._resuming else frozenset(self.recording.pause_reasons.reasons)

    def pause(self, reason: str, by: str, *, acts: Collection[str] = (), may_discard: bool = True) -> Act:
        """Pause the recording, or discard it where the service wants that; the gate is shut when this returns.

        Args:
            reason: What is to hold the pause.
            by: Who, as the audit log names them.
            acts: The ids of the acts that this is part of; none: it is one of its own.
            may_discard: False: pause only, whatever the service says.

        Raises:
            RefusedError: The recording has ended for good.
        """
        self.recording.pause_reasons.check_open()
        acts = acts or (new_act_id(),)
        if may_discard and self.discard.is_due(reason):
            return self.discard.unless_kept(reason, by, acts, lambda paused: paused, answers_by=DECIDE_S)
        self.recording.pause_reasons.credit(reason, acts)
        return self.state.stored(self.recording.gate.pause(reason, by))

    def opt_out(self, reason: str, by: str) -> Act:
        """Stop recording for the rest of the call; cannot be undone.

        Raises:
            RefusedError: The recording has ended for good already.
        """
        return self.opt_out_only(reason, by)

    def opt_out_only(self, reason: str, by: str) -> Act:
        """Do so for this recording, whatever twins it has.

        Raises:
            RefusedError: The recording has ended for good already.
        """
        return self.state.stored(self.recording.gate.end(Final.OPTED_OUT, reason, by))

    def pause_retroactively(
        self, seconds: float | None, by: str, *, acts: Collection[str] = (), may_erase_alone: bool = True
    ) -> Act:
        """Pause now, and order what was kept of the last seconds to be erased: the officer forgot to pause.

        An order of at most ``[pause] forgot_s`` seconds is confirmed at once, a longer one waits for a second person.
        In a service that discards calls with a card payment the whole recording goes, and nothing is left to order.

        Args:
            seconds: How far back, over 0; None is from the joining.
            by: Who, as the audit log names them.
            acts: As for `pause`.
            may_erase_alone: False: the order waits for a second person however short it is, and nothing is discarded.

        Returns:
            The answer, with the order in it, once the state and the order are on disk. OSError if either could not be
            stored; the gate is shut all the same.

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
    ) -> Act:
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
        return self.state.stored(position_s, lambda: place_order(recording.services, order), erasure=order)

    def resume(
        self, authority: Authority, by: str, *, token: str | None = None, acts: frozenset[str] | None = None
    ) -> Act:
        """Take away the reasons that an authority may clear, once that is on disk; of ``acts`` only, if given.

        Until then the gate stays shut: whoever is told that it could not be stored may rely on the pause. An act
        that comes in between wins.

        Raises:
            RefusedError: Nothing to clear, or not for this authority.
        """
        left = self.recording.pause_reasons.left_after(authority, token=token, acts=acts)
        state = PauseState.PAUSED if left else PauseState.RECORDING
        acts_before, done = self.state.acts, Act()
        self._resuming += 1

        def settle(error: BaseException | None) -> None:
            self._resuming -= 1
            if error is not None:
                done.set_exception(error)
                return
            position_s = self.state.position_s
            if self.state.acts == acts_before and not self.recording.is_over:
                with contextlib.suppress(RefusedError):  # pressed twice: the first has done it
                    position_s = self._reopen(authority, by, token, acts)
            done.set_result(self.state.answer(position_s))

        services, settled = self.recording.services, self.recording.with_call(settle)

        def on_disk(stored: "Future[None]") -> None:
            services.scheduler.submit(settled, stored.exception())

        self.recording.store_state(state, sorted(left), self.state.position_s).add_done_callback(on_disk)
        return done

    def begun(self) -> None:
        """Recording began; it may have begun paused, and then somebody is to be reminded."""
        self.state.watch.look()

    def end(self) -> None:
        """The call is over: no reminder follows."""
        self.state.watch.stop()

    # --- their effects

    def _order(self, now_s: float, seconds: float | None, by: str, *, alone_from_s: float | None) -> ErasureOrder:
        late_s = self.recording.services.lateness.seconds
        start_s = 0.0 if seconds is None else max(now_s - seconds - late_s, 0.0)
        is_own = alone_from_s is not None and start_s >= alone_from_s  # before that it was somebody else's call
        is_small = alone_s(self._orders, (start_s, now_s), duration_s=now_s) <= self._settings.forgot_s + late_s
        order = ErasureOrder(
            id=new_order_id(),
            recording=self.recording.id,
            start_s=round(start_s, 4),
            end_s=round(now_s, 4),
            kind=ErasureKind.CARD_DATA,
            ordered_by=by,
            ordered_at=utc_now(),
            state=ErasureState.CONFIRMED if is_small and is_own else ErasureState.WAITING,
        )
        self._orders.append(order)
        return order

    def _reopen(self, authority: Authority, by: str, token: str | None, acts: frozenset[str] | None) -> float:
        recording = self.recording
        position_s = recording.gate.resume(authority, by, token=token, acts=acts)
        if recording.pause_reasons.state is PauseState.RECORDING:
            self._on_reopened()
        self.state.changed()
        return position_s
