"""The recording of one live call while it is made: tap, gate and segments. Call thread only.

The gate is shut first and everything else follows: an acknowledgement waits until the pause is on disk, the audio does
not. The file is `recorder.calls.recording_file`'s.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from audio.types import LegId, TapId, TapOptions
from recorder.calls.call_services import CallServices
from recorder.calls.recording_file import ERASES_NOTHING, Ending, RecordingFile
from recorder.calls.rules.reminding import is_watched
from recorder.rules.outcome import Facts
from recorder.rules.pausing import HOLD, Authority, Final, PauseReasons, PauseState
from recorder.rules.segments import SegmentList, joined
from storage.rows import row_to_json
from storage.types import Officer, Outcome, RecordingRow, SegmentKind

_ALL_S = 1.0
"""What the position grows by, at most, while everything before it is erased."""

_log = logging.getLogger(__name__)

_FINAL_KIND = {
    Final.OPTED_OUT: SegmentKind.OPTED_OUT,
    Final.DISCARDED: SegmentKind.ERASED,
    Final.OUT_OF_SCOPE: SegmentKind.OUT_OF_SCOPE,
    Final.VOICEMAIL: SegmentKind.VOICEMAIL,
}


class Gate(Protocol):
    """Opens and shuts the recording gate of a call, before its recording has begun or after.

    Each method returns the position from which it counts, seconds on the call's clock.
    """

    @property
    def position_s(self) -> float:
        """Return where the recording is now."""

    def pause(self, reason: str, by: str) -> float:
        """Pause for a reason; RefusedError where the recording has ended for good."""

    def resume(
        self, authority: Authority, by: str, *, token: str | None = None, acts: frozenset[str] | None = None
    ) -> float:
        """Take away what an authority may clear; RefusedError where there is nothing, or not for it."""

    def end(self, final: Final, reason: str, by: str) -> float:
        """End the recording for good; RefusedError where it has ended already."""


class NotBegun:
    """The gate of a recording that has not begun: it begins as its pause reasons say.

    Args:
        pause_reasons: Of the call.
    """

    position_s = 0.0

    def __init__(self, pause_reasons: PauseReasons) -> None:
        self._pause_reasons = pause_reasons

    def pause(self, reason: str, by: str) -> float:
        """Note the reason; see `Gate`."""
        self._pause_reasons.pause(reason)
        return 0.0

    def resume(
        self, authority: Authority, by: str, *, token: str | None = None, acts: frozenset[str] | None = None
    ) -> float:
        """Clear the reasons; see `Gate`."""
        self._pause_reasons.resume(authority, token=token, acts=acts)
        return 0.0

    def end(self, final: Final, reason: str, by: str) -> float:
        """Note the end; see `Gate`."""
        self._pause_reasons.end(final)
        return 0.0


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

    Attributes:
        file: Its file.
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
        self._pause_reasons = pause_reasons
        self._segments = SegmentList()
        if not pause_reasons.is_away and row.operator:
            self._segments.belongs_to(row.operator, extension, officers)
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
        self.file = RecordingFile(services, row, self._tap, self._snapshot())
        self.file.when_created(self._refresh)  # what changed while it was being made

    @property
    def position_s(self) -> float:
        """Return where the recording is now, seconds on the call's clock."""
        return self._services.relay.position_s(self._tap)

    @property
    def officer_since_s(self) -> float:
        """Return from when on the call was that of whoever has it now, as far as something was recorded."""
        return self._segments.theirs_since_s

    def pause(self, reason: str, by: str) -> float:
        """Hold the recording for a reason; return the position from which nothing is kept.

        Raises:
            RefusedError: The recording has ended for good; nothing changed.
        """
        was_held_only = self._pause_reasons.reasons == {HOLD}
        is_first = self._pause_reasons.pause(reason)
        if reason == HOLD and is_first:
            # Nobody decided that something must not be kept: what was said before the hold stays.
            return self._shut_gate(None, SegmentKind.HOLD, by)
        if is_first or (was_held_only and reason != HOLD):
            return self._shut_gate(self._pause.erase_s, SegmentKind.PAUSED, by)
        self._segments.add_reason(reason)
        self._refresh()
        return self.position_s

    def _shut_gate(self, before_s: float | None, kind: SegmentKind, by: str, reason: str = "") -> float:
        """Shut the gate; erase from ``before_s`` before the request on, within the look-back. None erases nothing."""
        erase_s = 0.0
        if before_s is not None:
            erase_s = max(before_s, min(before_s + self._services.lateness.seconds, self._pause.look_back_s))
        position_s = self._services.relay.close_gate(self._tap, erase_s)
        self._begin(position_s, kind, reason or joined(self._pause_reasons.reasons), by)
        return position_s

    def resume(
        self, authority: Authority, by: str, *, token: str | None = None, acts: frozenset[str] | None = None
    ) -> float:
        """Take away what an authority may clear; return the position from which audio is kept again.

        Raises:
            RefusedError: There is nothing to clear, or not for this authority; nothing changed.
        """
        if self._pause_reasons.resume(authority, token=token, acts=acts):
            return self._open_gate(by)
        position_s = self.position_s
        if self._pause_reasons.reasons == {HOLD}:
            self._begin(position_s, SegmentKind.HOLD, HOLD, by)  # the pause is over, the hold is not
        return position_s

    def end(self, final: Final, reason: str, by: str) -> float:
        """End the recording of this part for good; where it is discarded nothing is left of the whole call.

        Raises:
            RefusedError: It has ended for good already; nothing changed.
        """
        self._pause_reasons.end(final)
        before_s = None if final in ERASES_NOTHING else self._pause.erase_s
        if final is Final.DISCARDED:
            before_s = self.position_s + _ALL_S
        return self._shut_gate(before_s, _FINAL_KIND[final], by, reason)

    def suspect_fax(self, by: str) -> float:
        """Stop until somebody speaks, where nothing else has stopped it; return from where. What was kept stays."""
        if not self._pause_reasons.suspect_fax():
            return self.position_s
        return self._shut_gate(None, SegmentKind.FAX_SUSPECTED, by, SegmentKind.FAX_SUSPECTED.value)

    def clear_suspicion(self, by: str) -> float:
        """Go on after a suspicion of a fax, if it is what holds the recording; return from where."""
        if not self._pause_reasons.clear_suspicion():
            return self.position_s
        return self._open_gate(by)

    def retarget(self, left: LegId | None, right: LegId | None) -> None:
        """Record other media legs from now on, on the same time line; the gate stays as it is."""
        self._services.relay.retarget_tap(self._tap, left, right)

    def leave_scope(self, reason: str, by: str, final: Final = Final.OUT_OF_SCOPE) -> float:
        """Stop: the call goes to somebody whose calls are not recorded; return from where. What was kept stays."""
        if not self._pause_reasons.leave_scope(final):
            return self.position_s
        self._segments.belongs_to("", "")
        return self._shut_gate(0.0, _FINAL_KIND[final], by, reason)

    def enter_scope(self, operator: str, extension: str, officers: tuple[Officer, ...], by: str) -> float:
        """Go on for an operator, who may be a new one; return from where. What held the pause before holds it still."""
        position_s = self.position_s
        if not self._pause_reasons.enter_scope():
            self._segments.hand_over(position_s, operator, extension, officers=officers, by=by)
            self._refresh()
            return position_s
        self._segments.belongs_to(operator, extension, officers)
        if self._pause_reasons.reasons:
            kind = SegmentKind.HOLD if self._pause_reasons.reasons == {HOLD} else SegmentKind.PAUSED
            self._begin(position_s, kind, joined(self._pause_reasons.reasons), by)
            return position_s
        return self._open_gate(by)

    def mask(self, from_s: float, to_s: float) -> None:
        """Silence a span of both channels: a digit came by another way than the media."""
        self._services.relay.mask(self._tap, max(from_s, 0.0), to_s)

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
        facts = replace(facts, ended_paused=is_watched(self._pause_reasons))
        self.file.finish(
            Ending(
                facts=facts,
                row=row,
                end_s=max(self.position_s - silent_s, 0.0),
                segments=self._segments,
                pause_reasons=self._pause_reasons,
                done=done,
            )
        )

    # --- on the call thread

    def _open_gate(self, by: str) -> float:
        position_s = self._services.relay.open_gate(self._tap)
        self._begin(position_s, SegmentKind.RECORDING, "", by)
        return position_s

    def _begin(self, position_s: float, kind: SegmentKind, reason: str, by: str) -> None:
        self._segments.begin(position_s, kind, reason=reason, by=by)
        self._refresh()

    def _refresh(self) -> None:
        """Store how the row stands, for recovery."""
        if self.file.is_open:
            self.file.update(self._snapshot())

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
                opted_out=self._pause_reasons.final is Final.OPTED_OUT,
            )
        )
