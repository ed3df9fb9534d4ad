"""The recording of one live call: tap, pauses, segments and container.

Runs on the call thread; what may block goes to the filing thread. The gate is shut first and everything else follows:
an acknowledgement waits until the pause is on disk, the audio does not.
"""

import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from audio.types import TICKS_PER_S, LegId, TapId, TapOptions
from audio.writer import WriterFullError
from audio.written import FinishedRecording
from recorder.calls.call_services import CallServices
from recorder.calls.container import SharedContainer, fault_of
from recorder.calls.measurements import measured
from recorder.calls.rules.reminding import is_watched
from recorder.common.serial_executor import after
from recorder.rules.outcome import Facts, settle
from recorder.rules.pausing import HOLD, Authority, Final, PauseReasons, PauseState
from recorder.rules.segments import OVERRUN, SegmentList, joined, seconds_of
from storage.errors import VaultError
from storage.recording import OpenRecording
from storage.rows import row_to_json
from storage.types import Officer, Outcome, RecordingHead, RecordingRow, SegmentKind

_ALL_S = 1.0
"""What the position grows by, at most, while everything before it is erased."""

_log = logging.getLogger(__name__)

_FINAL_KIND = {
    Final.OPTED_OUT: SegmentKind.OPTED_OUT,
    Final.DISCARDED: SegmentKind.ERASED,
    Final.OUT_OF_SCOPE: SegmentKind.OUT_OF_SCOPE,
    Final.VOICEMAIL: SegmentKind.VOICEMAIL,
}
_ERASES_NOTHING = frozenset({Final.OUT_OF_SCOPE, Final.VOICEMAIL})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ending:
    """What was known when the call ended, and who wants to know the rest."""

    facts: Facts
    row: RecordingRow
    end_s: float
    done: Callable[[RecordingRow], None]


class RecordingInProgress:
    """One recording in the making.

    Args:
        services: The daemon's parts.
        row: What is known of the call when its sides are joined.
        pause_reasons: The pauses of the call; it may be paused before it is joined.
        extension: The one whose call it is, which is not always the one that was dialled.
        officers: Everybody on the call whose calls are recorded.
        left: Media leg of the caller or called party outside; None while there is none.
        right: Media leg of the officer; likewise.
        opened_ns: Monotonic nanoseconds of position 0, not in the future; None: now.
    """

    def __init__(
        self,
        services: CallServices,
        row: RecordingRow,
        pause_reasons: PauseReasons,
        *,
        extension: str,
        officers: tuple[Officer, ...],
        left: LegId | None,
        right: LegId | None,
        opened_ns: int | None = None,
    ) -> None:
        self._services = services
        self._row = row
        self._book = pause_reasons
        self._segments = SegmentList()
        if not pause_reasons.is_away and row.operator:
            self._segments.belongs_to(row.operator, extension, officers)
        self._container: SharedContainer | None = None
        self._fault: str | None = None
        self._is_ending = False
        self.is_left_behind = False
        """The container could be neither closed nor destroyed: what is known of the call must stay for recovery."""
        self._pause = services.config.pause  # a reload must not promise more erasing than this tap's look-back holds
        is_closed = pause_reasons.state is not PauseState.RECORDING
        options = TapOptions(look_back_s=self._pause.look_back_s)
        self._tap: TapId = services.relay.open_tap(left, right, options, is_closed=is_closed, opened_ns=opened_ns)
        if pause_reasons.final is not None:
            self._segments.begin(0.0, _FINAL_KIND[pause_reasons.final], reason=pause_reasons.final.value)
        elif is_closed:
            self._segments.begin(0.0, SegmentKind.PAUSED, reason=joined(pause_reasons.reasons))
        else:
            self._segments.begin(0.0, SegmentKind.RECORDING)
        services.open_recordings.add(row.id)
        self._created = services.opening.submit(self._create, self._snapshot())
        self._created.add_done_callback(lambda _: services.scheduler.submit(self._refresh))

    @property
    def position_s(self) -> float:
        """Return where the recording is now, seconds on the call's clock."""
        return self._services.relay.position_s(self._tap)

    @property
    def theirs_since_s(self) -> float:
        """Return from when on the call was that of whoever has it now, as far as something was recorded."""
        return self._segments.theirs_since_s

    def pause(self, reason: str, by: str) -> float:
        """Hold the recording for a reason; return the position from which nothing is kept.

        Raises:
            RefusedError: The recording has ended for good; nothing changed.
        """
        was_held_only = self._book.reasons == {HOLD}
        is_first = self._book.pause(reason)
        if reason == HOLD and is_first:
            # Nobody decided that something must not be kept: what was said before the hold stays.
            return self._shut(None, SegmentKind.HOLD, by)
        if is_first or (was_held_only and reason != HOLD):
            return self._shut(self._pause.erase_s, SegmentKind.PAUSED, by)
        self._segments.add_reason(reason)
        self._refresh()
        return self.position_s

    def _shut(self, before_s: float | None, kind: SegmentKind, by: str, reason: str = "") -> float:
        """Shut the gate; erase from ``before_s`` before the request on, within the look-back. None erases nothing."""
        erase_s = 0.0
        if before_s is not None:
            erase_s = max(before_s, min(before_s + self._services.lateness.seconds, self._pause.look_back_s))
        position_s = self._services.relay.close_gate(self._tap, erase_s)
        self._begin(position_s, kind, reason or joined(self._book.reasons), by)
        return position_s

    def resume(
        self, authority: Authority, by: str, *, token: str | None = None, acts: frozenset[str] | None = None
    ) -> float:
        """Take away what an authority may clear; return the position from which audio is kept again.

        Raises:
            RefusedError: There is nothing to clear, or not for this authority; nothing changed.
        """
        if self._book.resume(authority, token=token, acts=acts):
            return self._go_on(by)
        position_s = self.position_s
        if self._book.reasons == {HOLD}:
            self._begin(position_s, SegmentKind.HOLD, HOLD, by)  # the pause is over, the hold is not
        return position_s

    def end(self, final: Final, reason: str, by: str) -> float:
        """End the recording of this part for good; where it is discarded nothing is left of the whole call.

        Raises:
            RefusedError: It has ended for good already; nothing changed.
        """
        self._book.end(final)
        before_s = None if final in _ERASES_NOTHING else self._pause.erase_s
        if final is Final.DISCARDED:
            before_s = self.position_s + _ALL_S
        return self._shut(before_s, _FINAL_KIND[final], by, reason)

    def suspect_fax(self, by: str) -> float:
        """Stop until somebody speaks, where nothing else has stopped it; return from where. What was kept stays."""
        if not self._book.suspect_fax():
            return self.position_s
        return self._shut(None, SegmentKind.FAX_SUSPECTED, by, SegmentKind.FAX_SUSPECTED.value)

    def clear_suspicion(self, by: str) -> float:
        """Go on after a suspicion of a fax, if it is what holds the recording; return from where."""
        if not self._book.clear_suspicion():
            return self.position_s
        return self._go_on(by)

    def retarget(self, left: LegId | None, right: LegId | None) -> None:
        """Record other media legs from now on, on the same time line; the gate stays as it is."""
        self._services.relay.retarget_tap(self._tap, left, right)

    def leave_scope(self, reason: str, by: str, final: Final = Final.OUT_OF_SCOPE) -> float:
        """Stop: the call goes to somebody whose calls are not recorded; return from where. What was kept stays."""
        if not self._book.leave_scope(final):
            return self.position_s
        self._segments.belongs_to("", "")
        return self._shut(0.0, _FINAL_KIND[final], by, reason)

    def enter_scope(self, operator: str, extension: str, officers: tuple[Officer, ...], by: str) -> float:
        """Go on for an operator, who may be a new one; return from where. What held the pause before holds it still."""
        position_s = self.position_s
        if not self._book.enter_scope():
            self._segments.hand_over(position_s, operator, extension, officers=officers, by=by)
            self._refresh()
            return position_s
        self._segments.belongs_to(operator, extension, officers)
        if self._book.reasons:
            kind = SegmentKind.HOLD if self._book.reasons == {HOLD} else SegmentKind.PAUSED
            self._begin(position_s, kind, joined(self._book.reasons), by)
            return position_s
        return self._go_on(by)

    def destroy(self) -> "Future[None]":
        """Destroy the container's key and file; done when nothing of them is left. OSError if the disk refused."""
        return after(self._created, lambda: self._services.opening.submit(self._destroy))

    def mask(self, from_s: float, to_s: float) -> None:
        """Silence a span of both channels: a digit came by another way than the media."""
        self._services.relay.mask(self._tap, max(from_s, 0.0), to_s)

    def mark(self, fields: dict[str, Any]) -> None:
        """Have something sealed with the audio, for whoever may open the recording."""
        self._created.add_done_callback(lambda _: self._services.filing.submit(self._mark, fields))

    def finish(
        self, facts: Facts, row: RecordingRow, done: Callable[[RecordingRow], None], *, silent_s: float = 0.0
    ) -> None:
        """Drain, close and file the recording.

        Args:
            facts: How the call ended.
            row: What is known of it.
            done: Gets the final row, on the filing thread.
            silent_s: How long ago the recording ended; nothing has arrived since.
        """
        facts = replace(facts, ended_paused=is_watched(self._book))
        self._is_ending = True
        ending = _Ending(facts=facts, row=row, end_s=max(self.position_s - silent_s, 0.0), done=done)
        self._created.add_done_callback(lambda _: self._services.filing.submit(self._drain, ending))

    def fail(self, fault: str) -> None:
        """Note that nothing more can be written; the call goes on."""
        if self._fault is None:
            self._fault = fault
            self._services.alarm(fault)

    # --- on the call thread

    def _go_on(self, by: str) -> float:
        position_s = self._services.relay.open_gate(self._tap)
        self._begin(position_s, SegmentKind.RECORDING, "", by)
        return position_s

    def _begin(self, position_s: float, kind: SegmentKind, reason: str, by: str) -> None:
        self._segments.begin(position_s, kind, reason=reason, by=by)
        self._refresh()

    def _refresh(self) -> None:
        """Tell the container how the row stands, for recovery; also what changed while it was being made."""
        if self._container is not None and not self._is_ending:
            self._services.filing.submit(self._container.update, self._snapshot())

    def describe(self, row: RecordingRow) -> None:
        """Take over what the row says of operators, numbers and related recordings."""
        self._row = replace(
            self._row,
            operators=row.operators,
            extensions=row.extensions,
            numbers=row.numbers,
            related=row.related,
            notice=row.notice,
            participants=row.participants,
            remarks=row.remarks,
        )
        self._refresh()

    def _snapshot(self) -> dict[str, Any]:
        """Return the row as recovery would have to file it if we died now."""
        segments = self._segments.finish(self.position_s)
        return row_to_json(
            replace(
                self._row,
                outcome=Outcome.PARTIAL,
                reason="daemon_stopped",
                segments=segments,
                opted_out=self._book.final is Final.OPTED_OUT,
            )
        )

    # --- on the filing thread

    def _create(self, row: dict[str, Any]) -> None:
        head = RecordingHead(
            id=self._row.id, started_at=self._row.started_at, operator_key=self._row.operator_key, index_row=row
        )
        try:
            recording = self._services.vault.create(head)
        except (OSError, VaultError) as error:
            _log.error("recording %s cannot be kept: %s", self._row.id, error)
            self.fail(fault_of(error))
            return
        container = SharedContainer(recording)
        try:
            self._services.writer.add(self._row.id, self._tap, container)
        except WriterFullError as error:
            _log.error("recording %s cannot be kept: %s", self._row.id, error)
            self.fail("writer_full")
            with contextlib.suppress(VaultError):
                recording.discard()
            return
        self._container = container

    def _mark(self, fields: dict[str, Any]) -> None:
        if self._container is not None:
            try:
                self._container.mark(fields)
            except OSError as error:
                _log.error("recording %s: what was said of it cannot be kept: %s", self._row.id, error)
                self.fail(fault_of(error))

    def _destroy(self) -> None:
        # Not on the executor's thread: it waits for a write in progress, and pauses of other calls must not.
        if self._container is not None:
            self._container.destroy()

    def _drain(self, ending: _Ending) -> None:
        if self._container is None:
            self._services.relay.release_tap(self._tap)
            self._file(None, ending)
        else:
            self._services.writer.finish(ending.row.id, lambda finished: self._hand_over(finished, ending))

    def _hand_over(self, finished: FinishedRecording, ending: _Ending) -> None:
        """On the writer thread: it must not wait for a disk."""
        self._services.filing.submit(self._file, finished, ending)

    def _file(self, finished: FinishedRecording | None, ending: _Ending) -> None:
        try:
            ending.done(self._settled(finished, ending))
        finally:
            self._services.open_recordings.discard(ending.row.id)
            self._created = _made()  # what waited for the other refers to us, and so to all of the call

    def _settled(self, finished: FinishedRecording | None, ending: _Ending) -> RecordingRow:
        if finished is not None and finished.is_failed and self._fault is None:
            self.fail("storage_fault")  # it failed in the last drain, when nobody listened to the writer any more
        lost = [(r.start / TICKS_PER_S, (r.start + r.ticks) / TICKS_PER_S) for r in finished.lost] if finished else []
        if self._fault is not None and (finished is None or finished.is_failed):
            lost.append((self._kept_to_s, ending.end_s))
        silenced = [(start / TICKS_PER_S, end / TICKS_PER_S) for start, end in finished.silenced] if finished else []
        segments = self._segments.finish(ending.end_s, lost, self._fault or OVERRUN, silenced=silenced)
        row = replace(
            ending.row,
            segments=segments,
            recorded_s=seconds_of(segments, SegmentKind.RECORDING),
            paused_s=seconds_of(segments, SegmentKind.PAUSED),
            duration_s=round(ending.end_s, 3),
        )
        facts = replace(
            ending.facts,
            opted_out=self._book.final is Final.OPTED_OUT,
            discarded=self._book.final is Final.DISCARDED,
            unrecorded=self._book.final.value if self._book.final in _ERASES_NOTHING else None,
            lost_s=seconds_of(segments, SegmentKind.LOST),
            is_fax_suspected=any(one.kind is SegmentKind.FAX_SUSPECTED for one in segments),
            fault=self._fault,
        )
        if finished is not None and not facts.discarded:
            row, facts = measured(row, facts, finished)
        outcome, reason = settle(facts)
        row = replace(row, outcome=outcome, reason=reason)
        if self._container is not None:
            is_whole = facts.fault is None and facts.lost_s == 0
            row = self._close(self._container.take(), row, is_whole=is_whole)
        return row

    @property
    def _kept_to_s(self) -> float:
        """Return how far the container reaches, seconds."""
        return self._container.take().ticks / TICKS_PER_S if self._container is not None else 0.0

    def _close(self, container: OpenRecording, row: RecordingRow, *, is_whole: bool) -> RecordingRow:
        try:
            if row.outcome is Outcome.BLOCKED:
                container.discard()
                return replace(row, recorded_s=0.0)
            fields = row_to_json(row, with_peaks=True)
            finished = container.close(fields, is_complete=is_whole)
        except (OSError, VaultError) as error:
            _log.error("recording %s is left to `recorder recover`: %s", row.id, error)
            self.is_left_behind = True
            self._services.alarm(fault_of(error))
            if row.outcome is Outcome.BLOCKED:
                return replace(row, recorded_s=0.0)  # recovery destroys it: nothing will have been kept
            kept = Outcome.FAILED if row.outcome is Outcome.FAILED else Outcome.PARTIAL
            return replace(row, outcome=kept, reason=fault_of(error))
        return replace(row, path=finished.path, bytes=finished.bytes, sha256=finished.sha256)


def _made() -> "Future[None]":
    made: Future[None] = Future()
    made.set_result(None)
    return made
