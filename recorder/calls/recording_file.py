"""The file of a recording in progress: created, updated and closed on executors, so that no call waits for a disk."""

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
from storage.types import Outcome, RecordingHead, RecordingRow, SegmentKind

_log = logging.getLogger(__name__)

ERASES_NOTHING = frozenset({Final.OUT_OF_SCOPE, Final.VOICEMAIL})
"""Ends of a recording that leave what was recorded before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What was known when the call ended, and who wants to know the rest.

    Attributes:
        facts: How the call ended.
        row: What is known of it.
        end_s: Where the recording ends, seconds.
        segments: Its segments.
        pause_reasons: Whether it has ended for good.
        done: Gets the final row, on the filing thread.
    """

    facts: Facts
    row: RecordingRow
    end_s: float
    segments: SegmentList
    pause_reasons: PauseReasons
    done: Callable[[RecordingRow], None]


class RecordingFile:
    """The file of one recording. Its methods never wait; the work is done on the executors of opening and filing.

    Args:
        services: The daemon's parts.
        row: What is known of the call.
        tap: Where its audio comes from.
        snapshot: The row as recovery would have to file it, as JSON-able values.

    Attributes:
        fault: Why nothing more can be written; None while it can.
        is_left_behind: The file could be neither closed nor destroyed: what is known of the call stays for recovery.
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

    def when_created(self, fn: Callable[[], None]) -> None:
        """Have a function called on the call thread once the file is there, or cannot be."""
        self._created.add_done_callback(lambda _: self._services.scheduler.submit(fn))

    @property
    def is_open(self) -> bool:
        """Tell whether the file is there, and the call has not ended."""
        return self._container is not None and not self._is_ending

    def update(self, row: dict[str, Any]) -> None:
        """Store how the row stands, for recovery; only while `is_open`."""
        if self._container is not None:
            self._services.filing.submit(self._container.update, row)

    def mark(self, fields: dict[str, Any]) -> None:
        """Have something sealed with the audio, for whoever may open the recording."""
        self._created.add_done_callback(lambda _: self._services.filing.submit(self._mark, fields))

    def destroy(self) -> "Future[None]":
        """Destroy the file's key and the file; done when nothing of them is left. OSError if the disk refused."""
        return after(self._created, lambda: self._services.opening.submit(self._destroy))

    def fail(self, fault: str) -> None:
        """Note that nothing more can be written; the call goes on."""
        if self.fault is None:
            self.fault = fault
            self._services.alarm(fault)

    def finish(self, ending: Ending) -> None:
        """Drain the tap, close the file and give the final row."""
        self._is_ending = True
        self._created.add_done_callback(lambda _: self._services.filing.submit(self._drain, ending))

    # --- on the opening executor

    def _create(self) -> None:
        recording_id = self._head.id
        try:
            recording = self._services.vault.create(self._head)
        except (OSError, VaultError) as error:
            _log.error("recording %s cannot be kept: %s", recording_id, error)
            self.fail(fault_of(error))
            return
        container = SharedContainer(recording)
        try:
            self._services.writer.add(recording_id, self._tap, container)
        except WriterFullError as error:
            _log.error("recording %s cannot be kept: %s", recording_id, error)
            self.fail("writer_full")
            with contextlib.suppress(VaultError):
                recording.discard()
            return
        self._container = container

    def _destroy(self) -> None:
        # Not on the act writer's thread: it waits for a write in progress, and pauses of other calls must not.
        if self._container is not None:
            self._container.destroy()

    # --- on the filing executor

    def _mark(self, fields: dict[str, Any]) -> None:
        if self._container is not None:
            try:
                self._container.mark(fields)
            except OSError as error:
                _log.error("recording %s: what was said of it cannot be kept: %s", self._head.id, error)
                self.fail(fault_of(error))

    def _drain(self, ending: Ending) -> None:
        if self._container is None:
            self._services.relay.release_tap(self._tap)
            self._file(None, ending)
        else:
            self._services.writer.finish(ending.row.id, lambda finished: self._hand_over(finished, ending))

    def _hand_over(self, finished: FinishedRecording, ending: Ending) -> None:
        """On the writer thread: it must not wait for a disk."""
        self._services.filing.submit(self._file, finished, ending)

    def _file(self, finished: FinishedRecording | None, ending: Ending) -> None:
        try:
            ending.done(self._settled(finished, ending))
        finally:
            self._services.open_recordings.discard(ending.row.id)
            self._created = _made()  # what waited for the other refers to us, and so to all of the call

    def _settled(self, finished: FinishedRecording | None, ending: Ending) -> RecordingRow:
        if finished is not None and finished.is_failed and self.fault is None:
            self.fail("storage_fault")  # it failed in the last drain, when nobody listened to the writer any more
        row = self._with_segments(finished, ending)
        final = ending.pause_reasons.final
        facts = replace(
            ending.facts,
            opted_out=final is Final.OPTED_OUT,
            discarded=final is Final.DISCARDED,
            unrecorded=final.value if final in ERASES_NOTHING else None,
            lost_s=seconds_of(row.segments, SegmentKind.LOST),
            is_fax_suspected=any(one.kind is SegmentKind.FAX_SUSPECTED for one in row.segments),
            fault=self.fault,
        )
        if finished is not None and not facts.discarded:
            row, facts = measured(row, facts, finished)
        outcome, reason = settle(facts)
        row = replace(row, outcome=outcome, reason=reason)
        if self._container is not None:
            is_whole = facts.fault is None and facts.lost_s == 0
            row = self._close(self._container.take(), row, is_whole=is_whole)
        return row

    def _with_segments(self, finished: FinishedRecording | None, ending: Ending) -> RecordingRow:
        """Return the row with its segments, and how long each kind of them is."""
        lost = [(r.start / TICKS_PER_S, (r.start + r.ticks) / TICKS_PER_S) for r in finished.lost] if finished else []
        if self.fault is not None and (finished is None or finished.is_failed):
            lost.append((self._kept_to_s, ending.end_s))
        silenced = [(start / TICKS_PER_S, end / TICKS_PER_S) for start, end in finished.silenced] if finished else []
        segments = ending.segments.finish(ending.end_s, lost, self.fault or OVERRUN, silenced=silenced)
        return replace(
            ending.row,
            segments=segments,
            recorded_s=seconds_of(segments, SegmentKind.RECORDING),
            paused_s=seconds_of(segments, SegmentKind.PAUSED),
            duration_s=round(ending.end_s, 3),
        )

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
