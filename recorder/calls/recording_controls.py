"""Pause, resume, opt-out, discard and "forgot" of one call, before and after its sides are joined. Call thread only.

What stops recording is done at once and stored after; what lets it go on is stored first. Whoever waits for the answer
gets it when both are done (`recorder.calls.acts`).
"""

import contextlib
import logging
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from datetime import datetime

from recorder import permissions as access
from recorder.calls.acts import Act, DoneAct, PauseAnswer, Signature, new_act_id, placed, signed
from recorder.calls.pause_watch import PauseWatch
from recorder.calls.pending_discard import PendingDiscard, hand_on
from recorder.calls.recording import Recording
from recorder.common.clock import utc_now
from recorder.common.serial_executor import after, after_all
from recorder.rules.erasing import alone_s
from recorder.rules.pausing import AGENT, CARD_TRIGGERS, Authority, Final, PauseState, RefusedError, kind_of
from recorder.rules.policy import CardPayment
from storage.erasures import new_order_id
from storage.types import ErasureKind, ErasureOrder, ErasureState, RecordingId

_log = logging.getLogger(__name__)

KEPT = "kept_not_discarded"
"""The alarm: what was to be dropped for a card payment is held or claimed, and was paused."""
PAUSE = access.Act.PAUSE.value
DECIDE_S = 0.5
"""How long a pause that may discard the recording waits to be answered until the database says whether it does."""


class RecordingControls:
    """What people and rules do to one call's recording.

    Args:
        recording: The recording.
        on_reopened: Called when recording goes on after a pause.
    """

    def __init__(self, recording: Recording, on_reopened: Callable[[], None]) -> None:
        self.recording = recording
        self._on_reopened = on_reopened
        self._settings = recording.services.config.pause  # a call keeps what it began with
        self.watch = PauseWatch(recording, self._settings)
        self.state_since: datetime | None = None
        """When the state last changed, UTC; None: it never has."""
        self._state = recording.pause_reasons.state
        self._acts = 0
        self._orders: list[ErasureOrder] = []
        self._resuming = 0
        self._deciding = 0
        self._closing: Callable[[], None] | None = None

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
        if may_discard and self._discards(reason):
            return self._discard_unless_kept(reason, by, acts, lambda paused: paused, answers_by=DECIDE_S)
        self.recording.pause_reasons.credit(reason, acts)
        return self._stored(self._shut(reason, by))

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
        in_progress = self.recording.in_progress
        if in_progress is not None:
            return self._stored(in_progress.end(Final.OPTED_OUT, reason, by))
        self.recording.pause_reasons.end(Final.OPTED_OUT)
        return self._stored(0.0)

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
        if may_erase_alone and recording.pause_reasons.final is None and self._discards(AGENT):
            acts = acts or (new_act_id(),)
            return self._discard_unless_kept(AGENT, by, acts, lambda _: self._pause_retroactively(seconds, by, acts))
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
            position_s = self._shut(AGENT, by)
        else:
            position_s = now_s
        order = self._order(now_s, seconds, by, alone_from_s=in_progress.theirs_since_s if may_erase_alone else None)
        return self._stored(position_s, lambda: placed(recording.services, order), erasure=order)

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
        acts_before, done = self._acts, Act()
        self._resuming += 1

        def settle(error: BaseException | None) -> None:
            self._resuming -= 1
            if error is not None:
                done.set_exception(error)
                return
            position_s = self._position_s
            if self._acts == acts_before and not self.recording.is_over:
                with contextlib.suppress(RefusedError):  # pressed twice: the first has done it
                    position_s = self._reopen(authority, by, token, acts)
            done.set_result(self._answer(position_s))

        services, settled = self.recording.services, self.recording.keep(settle)

        def on_disk(stored: "Future[None]") -> None:
            services.scheduler.submit(settled, stored.exception())

        self._put(state, sorted(left), self._position_s).add_done_callback(on_disk)
        return done

    def begun(self) -> None:
        """Recording began; it may have begun paused, and then somebody is to be reminded."""
        self.watch.look()

    def end(self) -> None:
        """The call is over: no reminder follows."""
        self.watch.stop()

    # --- what is done at once

    def _shut(self, reason: str, by: str) -> float:
        """Shut the gate; return the position from which nothing is kept."""
        in_progress = self.recording.in_progress
        if in_progress is not None:
            return in_progress.pause(reason, by)
        self.recording.pause_reasons.pause(reason)
        return 0.0

    def _discards(self, reason: str) -> bool:
        return self.recording.service.card_payment is CardPayment.DISCARD and kind_of(reason) in CARD_TRIGGERS

    def _discard_unless_kept(
        self,
        reason: str,
        by: str,
        acts: Collection[str],
        if_kept: Callable[[Act], Act],
        *,
        answers_by: float | None = None,
    ) -> Act:
        """Shut the gate at once; then discard the recording, or leave it paused where it is to be kept.

        Whether it is to be kept is in the database, for which no call waits.

        Args:
            reason: What holds the pause until then.
            by: Who, as the audit log names them.
            acts: The ids of the acts that this is part of.
            if_kept: What is done where it is kept; gets the pause.
            answers_by: After how long the answer is the pause, and a discard follows; None: it waits for the decision.
        """
        recording = self.recording
        if recording.in_progress is None:  # there is nothing that could be kept
            return self._discard(reason, by)
        was_held = reason in recording.pause_reasons.reasons
        recording.pause_reasons.credit(reason, acts)
        at_s = self._shut(reason, by)
        self._count_undecided(1)
        pending = PendingDiscard(
            reason=reason, by=by, was_held=was_held, at_s=at_s, paused=self._stored(at_s), if_kept=if_kept
        )
        if answers_by is not None:  # whoever pauses is told in time that nothing more is recorded
            recording.services.scheduler.call_later(answers_by, hand_on, pending.paused, pending.done)
        self._ask_whether_kept(pending)
        return pending.done

    def _ask_whether_kept(self, pending: PendingDiscard) -> None:
        services, decided = self.recording.services, self.recording.keep(self._decided)
        may_go = services.orders.submit(services.discards.decide, self.recording.id)
        may_go.add_done_callback(lambda answer: services.scheduler.submit(decided, pending, answer))

    def _decided(self, pending: PendingDiscard, may_go: "Future[bool]") -> None:
        """Do what was decided; where it could not be found out nothing is destroyed."""
        self._count_undecided(-1)
        unknown = may_go.exception()
        try:
            if unknown is not None or not may_go.result():
                self._keep_paused(pending, unknown)
            elif self.recording.pause_reasons.final is not None:  # ended for good by another act meanwhile
                self._settle_discard()
                pending.end_as(pending.paused)
            else:
                self._discard_pending(pending)
        except RefusedError as error:
            pending.refuse(error)
        finally:
            self._close_if_decided()

    def _count_undecided(self, more: int) -> None:
        self._deciding += more
        self.recording.services.pauses.set_undecided(self.recording.id, is_undecided=self._deciding > 0)

    def _keep_paused(self, pending: PendingDiscard, unknown: BaseException | None) -> None:
        pause_reasons = self.recording.pause_reasons
        self._put(pause_reasons.state, sorted(pause_reasons.reasons), pending.at_s)
        self._tell_kept(unknown)
        pending.end_as(pending.if_kept(pending.paused), is_kept=True)

    def _discard_pending(self, pending: PendingDiscard) -> None:
        recording = self.recording
        recording.pause_reasons.reasons -= set() if pending.was_held else {pending.reason}
        discarded, is_late = self._discard(pending.reason, pending.by), pending.done.done()
        if is_late:  # its first entry says that it was paused
            signature = Signature(act=PAUSE, actor=pending.by, subject=recording.id, details={"decided_late": True})
            signed(recording.services, discarded, signature)
        pending.end_as(discarded)
        settle = self.recording.keep(self._settle_discard)
        discarded.add_done_callback(lambda act: settle() if act.exception() is None else None)

    def _settle_discard(self) -> None:
        services = self.recording.services
        with contextlib.suppress(RuntimeError):  # the executor takes nothing more: the daemon is being ended
            services.orders.submit(services.discards.settle, self.recording.id)

    def _tell_kept(self, unknown: BaseException | None) -> None:
        recording = self.recording
        recording.services.alarm(KEPT)
        why = "is held or claimed" if unknown is None else f"may be held or claimed: the index does not say ({unknown})"
        _log.warning("call %s: its recording %s, so it is paused and not discarded", recording.id, why)
        recording.services.publish({"event": "alarm", "alarm": KEPT, "id": recording.id})

    def when_decided(self, close: Callable[[], None]) -> None:
        """Close the recording once it is known whether it is discarded."""
        self._closing = close
        self._close_if_decided()

    def _close_if_decided(self) -> None:
        close = self._closing
        if close is not None and not self._deciding:
            self._closing = None
            close()

    def _discard(self, reason: str, by: str) -> Act:
        """Drop the recording of the whole call, and tell the officer: nobody else will look for it."""
        in_progress = self.recording.in_progress
        if in_progress is not None:
            act = self._stored(in_progress.end(Final.DISCARDED, reason, by), in_progress.destroy)
        else:
            self.recording.pause_reasons.end(Final.DISCARDED)
            act = self._stored(0.0)
        self.recording.file_discarded()
        tell = self.recording.keep(self._tell_discarded)
        act.add_done_callback(lambda done: tell(done.exception() is None))
        return act

    def _tell_discarded(self, is_stored: bool) -> None:
        recording, sounds = self.recording, self.recording.sounds
        sound = sounds.ended if is_stored else sounds.refused
        recording.services.scheduler.submit(recording.call.tell_officer, sound)

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
        if recording.in_progress is not None:
            position_s = recording.in_progress.resume(authority, by, token=token, acts=acts)
        else:
            recording.pause_reasons.resume(authority, token=token, acts=acts)
            position_s = 0.0
        if recording.pause_reasons.state is PauseState.RECORDING:
            self._on_reopened()
        self.changed()
        return position_s

    def changed(self) -> None:
        """Start or stop reminders and publish the state, after the recording's state may have changed."""
        self.watch.look()
        if self.recording.pause_reasons.state is not self._state:
            self._state, self.state_since = self.recording.pause_reasons.state, utc_now()
        self.recording.call.tell()

    # --- what is stored

    def _stored(
        self, position_s: float, *also: Callable[[], "Future[None]"], erasure: ErasureOrder | None = None
    ) -> Act:
        """Return the answer to an act that is done already, once its state, and then what else it needs, is on disk."""
        self._acts += 1
        answer = self._answer(position_s, erasure)
        done = DoneAct(answer)

        def on_disk(stored: "Future[None]") -> None:
            error = stored.exception()
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(answer)

        put = self._put(answer.state, list(answer.reasons), position_s)
        after_all(put, *(after(put, start) for start in also)).add_done_callback(on_disk)
        self.changed()
        return done

    def _put(self, state: PauseState, reasons: list[str], position_s: float) -> "Future[None]":
        return self.recording.keep_state(state, reasons, position_s)

    def _answer(self, position_s: float, erasure: ErasureOrder | None = None) -> PauseAnswer:
        pause_reasons = self.recording.pause_reasons
        reasons = tuple(sorted(pause_reasons.reasons))
        return PauseAnswer(
            call=self.recording.id, state=pause_reasons.state, reasons=reasons, position_s=position_s, erasure=erasure
        )

    @property
    def _position_s(self) -> float:
        in_progress = self.recording.in_progress
        return in_progress.position_s if in_progress is not None and not self.recording.is_over else 0.0
