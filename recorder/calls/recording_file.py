"""The container of a recording in progress: created, updated and closed on executors, so no call waits for a disk."""

import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from audio.types import TICKS_PER_S, TapId
from audio.writer import WriterFullError
from audio.written import FinishedRecording
from recorder.calls.call_services import CallServices
from recorder.calls.container import SharedContainer, fault_of
from recorder.calls.measurements import measured
from recorder.common.serial_executor import after
from recorder.rules.outcome import Facts, settle
from recorder.rules.pausing import Final, PauseReasons
from recorder.rules.segments import OVERRUN, SegmentList, seconds_of
from storage.errors import VaultError
from storage.recording import OpenRecording
from storage.rows import row_to_json
from storage.types import Outcome, RecordingHead, RecordingRow, Segment, SegmentKind

_log = logging.getLogger(__name__)

ERASES_NOTHING = frozenset({Final.OUT_OF_SCOPE, Final.VOICEMAIL})
"""Final states in which the audio before them is kept in full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The facts at the end of a call, from which the row is made.

    Attributes:
        facts: How the call ended.
        end_s: Position of the recording's end, seconds.
        pause_reasons: Whether recording had ended before the call did.
        done: Called with the final row, on the filing thread.
    """

    facts: Facts
    row: RecordingRow
    end_s: float
    segments: SegmentList
    pause_reasons: PauseReasons
    done: Callable[[RecordingRow], None]


class RecordingFile:
    """The container of one recording. Its methods never block: the executors ``opening`` and ``filing`` do the work.

    Args:
        snapshot: The row that recovery would file, as JSON-serialisable values.

    Attributes:
        fault: Why nothing more can be written; None while it can.
        is_left_behind: The file could be neither closed nor destroyed, so the pause state is kept for recovery.
    """

    def __init__(self, services: CallServices, row: RecordingRow, tap: TapId, snapshot: dict[str, Any]) -> None:
        self._services = services
        self._head = RecordingHead(
            id=row.id, started_at=row.started_at, operator_key=row.operator_key, index_row=snapshot
        )
        self._tap = tap
        self._container: SharedContainer | None = None
        self._is_ending = False
        self.fault: str | None = None
        self.is_left_behind = False
        services.open_recordings.add(row.id)
        self._created = services.opening.submit(self._create)

    def update(self, row: dict[str, Any]) -> None:
        """Store the row for recovery as soon as the file was created; does nothing after the call has ended."""
        if not self._is_ending:
            self._created.add_done_callback(lambda _: self._services.filing.submit(self._update, row))

    def mark(self, fields: dict[str, Any]) -> None:
        """Seal fields into the container, readable with the recording's key."""
        self._created.add_done_callback(lambda _: self._services.filing.submit(self._mark, fields))

    def destroy(self) -> "Future[None]":
        """Destroy the key and the file; the future is done when both are gone, or has the OSError of the disk."""
        return after(self._created, lambda: self._services.opening.submit(self._destroy))

    def fail(self, fault: str) -> None:
        """Note why nothing more can be written, and raise the alarm; the call goes on."""
        if self.fault is None:
            self.fault = fault
            self._services.alarm(fault)

    def finish(self, ending: Ending) -> None:
        """Drain the tap, close the file and hand the final row to ``ending.done``."""
        self._is_ending = True
        # By `opening`, which by then has called back whatever waited for the file, such as a mark.
        self._services.opening.submit(self._drain, ending)

    # --- on the opening executor

    def _create(self) -> None:
        recording_id = self._head.id
        try:
            recording = self._services.vault.create(self._head)
        except (OSError, VaultError) as error:
            _log.error("call %s: the recording cannot be stored: %s", recording_id, error)
            self.fail(fault_of(error))
            return
        container = SharedContainer(recording)
        try:
            self._services.writer.add(recording_id, self._tap, container)
        except WriterFullError as error:
            _log.error("call %s: the recording cannot be stored: %s", recording_id, error)
            self.fail("writer_full")
            with contextlib.suppress(VaultError):
                recording.discard()
            return
        self._container = container

    def _drain(self, ending: Ending) -> None:
        if self._container is None:
            self._services.filing.submit(self._release, ending)
        else:  # what was queued for the file before is done before it is closed, since filing keeps its order
            self._services.writer.finish(ending.row.id, lambda finished: self._hand_over(finished, ending))

    def _destroy(self) -> None:
        # This waits for a write in progress, so it does not run on the thread that stores pauses of other calls.
        if self._container is not None:
            self._container.destroy()

    # --- on the filing executor

    def _update(self, row: dict[str, Any]) -> None:
        if self._container is not None:
            self._container.update(row)

    def _mark(self, fields: dict[str, Any]) -> None:
        if self._container is not None:
            try:
                self._container.mark(fields)
            except OSError as error:
                _log.error("call %s: metadata cannot be stored in the recording: %s", self._head.id, error)
                self.fail(fault_of(error))

    def _release(self, ending: Ending) -> None:
        self._services.relay.taps.release(self._tap)
        self._file(None, ending)

    def _hand_over(self, finished: FinishedRecording, ending: Ending) -> None:
        """Continue on the filing executor. Runs on the writer thread, which must not wait for a disk."""
        self._services.filing.submit(self._file, finished, ending)

    def _file(self, finished: FinishedRecording | None, ending: Ending) -> None:
        try:
            ending.done(self._settled(finished, ending))
        finally:
            self._services.open_recordings.discard(ending.row.id)
            self._created = _done()  # the old future's callbacks refer to the call, and would keep it in memory

    def _settled(self, finished: FinishedRecording | None, ending: Ending) -> RecordingRow:
        if finished is not None and finished.is_failed and self.fault is None:
            self.fail("storage_fault")  # it failed in the last drain, which is not reported otherwise
        row, segments = ending.row, self._segments(finished, ending)
        final = ending.pause_reasons.final
        facts = replace(
            ending.facts,
            opted_out=final is Final.OPTED_OUT,
            discarded=final is Final.DISCARDED,
            unrecorded=final.value if final in ERASES_NOTHING else None,
            lost_s=seconds_of(segments, SegmentKind.LOST),
            is_fax_suspected=any(segment.kind is SegmentKind.FAX_SUSPECTED for segment in segments),
            fault=self.fault,
        )
        if finished is not None and not facts.discarded:
            row, facts = measured(row, facts, finished)
        outcome, reason = settle(facts)
        row = replace(
            row,
            outcome=outcome,
            reason=reason,
            segments=segments,
            recorded_s=seconds_of(segments, SegmentKind.RECORDING),
            paused_s=seconds_of(segments, SegmentKind.PAUSED),
            duration_s=round(ending.end_s, 3),
        )
        if self._container is not None:
            is_whole = facts.fault is None and facts.lost_s == 0
            row = self._close(self._container.take(), row, is_whole=is_whole)
        return row

    def _segments(self, finished: FinishedRecording | None, ending: Ending) -> tuple[Segment, ...]:
        lost = [(r.start / TICKS_PER_S, (r.start + r.ticks) / TICKS_PER_S) for r in finished.lost] if finished else []
        if self.fault is not None and (finished is None or finished.is_failed):
            lost.append((self._kept_to_s, ending.end_s))
        silenced = [(start / TICKS_PER_S, end / TICKS_PER_S) for start, end in finished.silenced] if finished else []
        return ending.segments.finish(ending.end_s, lost, self.fault or OVERRUN, silenced=silenced)

    @property
    def _kept_to_s(self) -> float:
        """Return the position up to which the container has audio, seconds."""
        return self._container.take().ticks / TICKS_PER_S if self._container is not None else 0.0

    def _close(self, container: OpenRecording, row: RecordingRow, *, is_whole: bool) -> RecordingRow:
        try:
            if row.outcome is Outcome.BLOCKED:
                container.discard()
                return replace(row, recorded_s=0.0)
            fields = row_to_json(row, with_peaks=True)
            finished = container.close(fields, is_complete=is_whole)
        except (OSError, VaultError) as error:
            _log.error("call %s: the recording cannot be closed; `recorder recordings recover` will: %s", row.id, error)
            self.is_left_behind = True
            self._services.alarm(fault_of(error))
            if row.outcome is Outcome.BLOCKED:
                return replace(row, recorded_s=0.0)  # recovery destroys the file
            kept = Outcome.FAILED if row.outcome is Outcome.FAILED else Outcome.PARTIAL
            return replace(row, outcome=kept, reason=fault_of(error))
        return replace(row, path=finished.path, bytes=finished.bytes, sha256=finished.sha256)


def _done() -> "Future[None]":
    done: Future[None] = Future()
    done.set_result(None)
    return done
