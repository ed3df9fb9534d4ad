"""Discards a recording because of a card payment, unless a legal hold or rights request keeps it. Call thread only.

The database says whether it is kept. No call waits for the database: the recording is paused until the answer comes.
"""

import contextlib
import logging
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

from recorder.calls.acts import ActEntry, PendingAct, audited
from recorder.calls.recording import Recording
from recorder.calls.recording_state import RecordingState
from recorder.permissions import Act
from recorder.rules.pausing import CARD_TRIGGERS, Final, RefusedError, kind_of
from recorder.rules.policy import CardPayment
from storage.types import Outcome

_log = logging.getLogger(__name__)

KEPT = "kept_not_discarded"
"""The alarm: a recording was paused, not discarded, because of a legal hold or a rights request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingDiscard:
    """A pause that becomes a discard unless the recording is kept.

    Attributes:
        by: Who paused, as the audit log names them.
        was_reason: The recording was paused for the same reason before.
        at_s: The position from which nothing is stored, seconds.
        paused: The act of the pause.
        if_kept: Called with ``paused`` if the recording is kept; returns the act to answer with.
        done: The act that the requester waits for.
    """

    reason: str
    by: str
    was_reason: bool
    at_s: float
    paused: PendingAct
    if_kept: Callable[[PendingAct], PendingAct]
    done: PendingAct = field(default_factory=PendingAct)

    def answer_as(self, act: PendingAct, *, is_kept: bool = False) -> None:
        """Answer with the result of another act, unless it was answered already."""
        copy_result(act, self.done, is_kept=is_kept)

    def refuse(self, error: BaseException) -> None:
        """Answer with an error, unless it was answered already."""
        if not self.done.done():
            self.done.set_exception(error)


def copy_result(act: PendingAct, done: PendingAct, *, is_kept: bool = False) -> None:
    """Give ``done`` the result or error of ``act``, unless it has one already."""

    def ended(of: PendingAct) -> None:
        error = of.exception()
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(replace(of.result(), is_kept=is_kept))

    act.add_done_callback(ended)


class CardDiscard:
    """Discards one recording, once the database says that nothing keeps it."""

    def __init__(self, recording: Recording, state: RecordingState) -> None:
        self._recording = recording
        self._state = state
        self._deciding = 0
        self._closing: Callable[[], None] | None = None

    def is_due(self, reason: str) -> bool:
        """Tell whether the service discards recordings for this pause reason."""
        return self._recording.service.card_payment is CardPayment.DISCARD and kind_of(reason) in CARD_TRIGGERS

    def unless_kept(
        self,
        reason: str,
        by: str,
        acts: Collection[str],
        if_kept: Callable[[PendingAct], PendingAct],
        *,
        answers_by: float | None = None,
    ) -> PendingAct:
        """Shut the gate at once; then discard the recording, or leave it paused if it is kept.

        Args:
            reason: The pause reason until then.
            by: Who did it, as the audit log names them.
            acts: The ids of the acts that this belongs to.
            if_kept: Called with the pause if the recording is kept; returns the act to answer with.
            answers_by: Seconds after which the answer is the pause, even if a discard follows; None waits for the
                decision.
        """
        recording = self._recording
        if recording.in_progress is None:  # there is nothing to keep
            return self._discard(reason, by)
        was_reason = reason in recording.pause_reasons.reasons
        recording.pause_reasons.credit(reason, acts)
        at_s = recording.gate.pause(reason, by)
        self._count_undecided(1)
        pending = PendingDiscard(
            reason=reason, by=by, was_reason=was_reason, at_s=at_s, paused=self._state.store(at_s), if_kept=if_kept
        )
        if answers_by is not None:  # a slow database must not delay the confirmation of the pause
            recording.services.scheduler.call_later(answers_by, copy_result, pending.paused, pending.done)
        self._ask_whether_kept(pending)
        return pending.done

    def _ask_whether_kept(self, pending: PendingDiscard) -> None:
        services, decided = self._recording.services, self._recording.with_call(self._decided)
        may_go = services.orders.submit(services.discards.decide, self._recording.id)
        may_go.add_done_callback(lambda answer: services.scheduler.submit(decided, pending, answer))

    def _decided(self, pending: PendingDiscard, may_go: "Future[bool]") -> None:
        """Discard the recording or keep it paused; if the database did not answer, it is kept."""
        self._count_undecided(-1)
        unknown = may_go.exception()
        try:
            if unknown is not None or not may_go.result():
                self._keep_paused(pending, unknown)
            elif self._has_ended:  # another act has ended recording meanwhile
                self._settle()
                pending.answer_as(pending.paused)
            else:
                self._discard_pending(pending)
        except RefusedError as error:
            pending.refuse(error)
        finally:
            self._close_if_decided()

    @property
    def _has_ended(self) -> bool:
        pause_reasons = self._recording.pause_reasons
        return pause_reasons.final is not None and not pause_reasons.is_away  # what is away may come back

    def _count_undecided(self, more: int) -> None:
        self._deciding += more
        self._recording.services.pauses.set_undecided(self._recording.id, is_undecided=self._deciding > 0)

    def _keep_paused(self, pending: PendingDiscard, unknown: BaseException | None) -> None:
        pause_reasons = self._recording.pause_reasons
        self._recording.store_state(pause_reasons.state, sorted(pause_reasons.reasons), pending.at_s)
        self._tell_kept(unknown)
        pending.answer_as(pending.if_kept(pending.paused), is_kept=True)

    def _discard_pending(self, pending: PendingDiscard) -> None:
        recording = self._recording
        recording.pause_reasons.reasons -= set() if pending.was_reason else {pending.reason}
        discarded, is_late = self._discard(pending.reason, pending.by), pending.done.done()
        if is_late:  # the first audit entry says that the recording was paused
            details = {"decided_late": True}
            entry = ActEntry(act=Act.PAUSE.value, actor=pending.by, subject=recording.id, details=details)
            audited(recording.services, discarded, entry)
        pending.answer_as(discarded)
        settle = recording.with_call(self._settle)
        discarded.add_done_callback(lambda act: settle() if act.exception() is None else None)

    def _settle(self) -> None:
        services = self._recording.services
        with contextlib.suppress(RuntimeError):  # the daemon is stopping, and the executor is closed
            services.orders.submit(services.discards.settle, self._recording.id)

    def _tell_kept(self, unknown: BaseException | None) -> None:
        recording = self._recording
        recording.services.alarm(KEPT)
        why = (
            "a legal hold or a rights request keeps its recording"
            if unknown is None
            else f"it is not known whether its recording is to be kept ({unknown})"
        )
        _log.warning("call %s: %s; paused, not discarded", recording.id, why)
        recording.services.publish({"event": "alarm", "alarm": KEPT, "id": recording.id})

    def when_decided(self, close: Callable[[], None]) -> None:
        """Call ``close`` once it is decided whether the recording is discarded."""
        self._closing = close
        self._close_if_decided()

    def _close_if_decided(self) -> None:
        close = self._closing
        if close is not None and not self._deciding:
            self._closing = None
            close()

    def _discard(self, reason: str, by: str) -> PendingAct:
        """Destroy the recording of the whole call, and tell the officer."""
        in_progress = self._recording.in_progress
        position_s = self._recording.gate.end(Final.DISCARDED, reason, by)
        act = self._state.store(position_s, *(() if in_progress is None else (in_progress.file.destroy,)))
        self._file_row()
        tell = self._recording.with_call(self._tell_discarded)
        act.add_done_callback(lambda done: tell(done.exception() is None))
        return act

    def _file_row(self) -> None:
        """File the row now: if the daemon died, there would be no container to recover it from."""
        row = replace(self._recording.row(), outcome=Outcome.BLOCKED, reason="discarded")
        self._recording.services.filing.submit(self._recording.services.rows.save, row)

    def _tell_discarded(self, is_stored: bool) -> None:
        recording, sounds = self._recording, self._recording.sounds
        sound = sounds.ended if is_stored else sounds.refused
        recording.services.scheduler.submit(recording.call.tell_officer, sound)
