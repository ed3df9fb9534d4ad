"""The recording of a live call while it is made: tap, recording gate and segments. Call thread only.

A pause shuts the gate first. Only then is the state stored and the pause acknowledged. `recorder.calls.recording_file`
has the container.
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
from recorder.rules.pausing import HOLD, Authority, Final, PauseReasons, PauseState, erased_before_s
from recorder.rules.segments import SegmentList, joined
from storage.rows import row_to_json
from storage.types import Officer, Outcome, RecordingRow, SegmentKind

_ALL_S = 1.0
"""Added to the position when everything is erased: the position may grow that much meanwhile."""

_LEAST_S = 0.0001
"""Length of the first segment at least: a recovered recording goes on with the kind of its last segment."""

_log = logging.getLogger(__name__)

_FINAL_KIND = {
    Final.OPTED_OUT: SegmentKind.OPTED_OUT,
    Final.DISCARDED: SegmentKind.ERASED,
    Final.OUT_OF_SCOPE: SegmentKind.OUT_OF_SCOPE,
    Final.VOICEMAIL: SegmentKind.VOICEMAIL,
}


class Gate(Protocol):
    """Opens and shuts the recording gate of a call, before or after its recording has begun.

    Each method returns the position from which it takes effect, seconds on the call's clock.
    """

    @property
    def position_s(self) -> float:
        """Return the current position."""

    def pause(self, reason: str, by: str) -> float:
        """Pause for a reason; RefusedError if recording has ended for the rest of the call."""

    def resume(
        self, authority: Authority, by: str, *, token: str | None = None, acts: frozenset[str] | None = None
    ) -> float:
        """Clear the reasons that an authority may clear; RefusedError if there are none."""

    def end(self, final: Final, reason: str, by: str) -> float:
        """End recording for the rest of the call; RefusedError if it has ended already."""


class NotBegun:
    """The gate of a recording that has not begun: only notes the reasons with which it will begin."""

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
    """One recording in progress.

    Args:
        row: The row when the sides are joined.
        pause_reasons: The call's pause reasons; a call can be paused before its sides are joined.
        extension: The extension of the officer who has the call; not always the dialled one.
        left: Media leg of the outside party, or None.
        right: Media leg of the officer, or None.
        opened_ns: Position 0, monotonic nanoseconds, not in the future; None is now.
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
        self._pause = services.config.pause  # not reloaded: erase_s must fit the look-back of this tap
        is_closed = pause_reasons.state is not PauseState.RECORDING
        options = TapOptions(look_back_s=self._pause.look_back_s)
        self._tap: TapId = services.relay.taps.open(left, right, options, is_closed=is_closed, opened_ns=opened_ns)
        if pause_reasons.final is not None:
            self._segments.begin(0.0, _FINAL_KIND[pause_reasons.final], reason=pause_reasons.final.value)
        elif is_closed:
            self._segments.begin(0.0, SegmentKind.PAUSED, reason=joined(pause_reasons.reasons))
        else:
            self._segments.begin(0.0, SegmentKind.RECORDING)
        self._is_outdated = False
        """The row has changed since the file was ordered, and the file does not know."""
        self.file = RecordingFile(services, row, self._tap, self._snapshot())
        self.file.when_created(self._catch_up)

    @property
    def position_s(self) -> float:
        """Return the current position, seconds on the call's clock."""
        return self._services.relay.taps.position_s(self._tap)

    @property
    def erases_s(self) -> float:
        """Return how much audio before a pause is erased with it at least, seconds."""
        return self._pause.erase_s

    @property
    def officer_since_s(self) -> float:
        """Return the position from which the current officer has had the call, seconds."""
        return self._segments.theirs_since_s

    def pause(self, reason: str, by: str) -> float:
        """Pause for a reason; return the position from which nothing is stored.

        Raises:
            RefusedError: Recording has ended for the rest of the call; nothing changed.
        """
        was_held_only = self._pause_reasons.reasons == {HOLD}
        is_first = self._pause_reasons.pause(reason)
        if reason == HOLD and is_first:
            # No person asked for this pause, so the audio before the SIP hold is kept.
            return self._paused(reason, self._shut_gate(None, SegmentKind.HOLD, by))
        if is_first or (was_held_only and reason != HOLD):
            return self._paused(reason, self._shut_gate(self._pause.erase_s, SegmentKind.PAUSED, by))
        self._segments.add_reason(reason)
        self._refresh()
        return self.position_s

    def _paused(self, reason: str, position_s: float) -> float:
        self._services.tallies.paused(reason, self._services.lateness.seconds)
        return position_s

    def _shut_gate(self, before_s: float | None, kind: SegmentKind, by: str, reason: str = "") -> float:
        """Shut the gate; erase from ``before_s`` before the request, within the look-back. None erases nothing."""
        late_s, look_back_s = self._services.lateness.seconds, self._pause.look_back_s
        erase_s = 0.0 if before_s is None else erased_before_s(before_s, late_s=late_s, look_back_s=look_back_s)
        position_s = self._services.relay.taps.close_gate(self._tap, erase_s)
        self._begin_segment(position_s, kind, reason or joined(self._pause_reasons.reasons), by)
        return position_s

    def resume(
        self, authority: Authority, by: str, *, token: str | None = None, acts: frozenset[str] | None = None
    ) -> float:
        """Clear the reasons that an authority may clear; return the position from which audio is stored again.

        Raises:
            RefusedError: There is no reason that this authority may clear; nothing changed.
        """
        if self._pause_reasons.resume(authority, token=token, acts=acts):
            return self._open_gate(by)
        position_s = self.position_s
        if self._pause_reasons.reasons == {HOLD}:
            self._begin_segment(position_s, SegmentKind.HOLD, HOLD, by)  # the SIP hold goes on
        return position_s

    def end(self, final: Final, reason: str, by: str) -> float:
        """End recording for the rest of the call; a discard erases the whole recording.

        Raises:
            RefusedError: Recording has ended already; nothing changed.
        """
        self._pause_reasons.end(final)
        before_s = None if final in ERASES_NOTHING else self._pause.erase_s
        if final is Final.DISCARDED:
            before_s = self.position_s + _ALL_S
        return self._shut_gate(before_s, _FINAL_KIND[final], by, reason)

    def suspect_fax(self, by: str) -> float:
        """Stop until somebody speaks, unless recording is stopped already; return the position. Erases nothing."""
        if not self._pause_reasons.suspect_fax():
            return self.position_s
        return self._shut_gate(None, SegmentKind.FAX_SUSPECTED, by, SegmentKind.FAX_SUSPECTED.value)

    def clear_suspicion(self, by: str) -> float:
        """Go on recording if only the suspicion of a fax has stopped it; return the position."""
        if not self._pause_reasons.clear_suspicion():
            return self.position_s
        return self._open_gate(by)

    def retarget(self, left: LegId | None, right: LegId | None) -> None:
        """Record other media legs from now on; positions go on, and the gate stays as it is."""
        self._services.relay.taps.retarget(self._tap, left, right)

    def leave_scope(self, reason: str, by: str, final: Final = Final.OUT_OF_SCOPE) -> float:
        """Stop, because no nominated extension is on the call; return the position. Erases nothing."""
        if not self._pause_reasons.leave_scope(final):
            return self.position_s
        self._segments.belongs_to("", "")
        return self._shut_gate(0.0, _FINAL_KIND[final], by, reason)

    def enter_scope(self, operator: str, extension: str, officers: tuple[Officer, ...], by: str) -> float:
        """Go on for an operator, who may be another than before; return the position. Pause reasons stay."""
        position_s = self.position_s
        if not self._pause_reasons.enter_scope():
            self._segments.hand_over(position_s, operator, extension, officers=officers, by=by)
            self._refresh()
            return position_s
        self._segments.belongs_to(operator, extension, officers)
        if self._pause_reasons.reasons:
            kind = SegmentKind.HOLD if self._pause_reasons.reasons == {HOLD} else SegmentKind.PAUSED
            self._begin_segment(position_s, kind, joined(self._pause_reasons.reasons), by)
            return position_s
        return self._open_gate(by)

    def mask(self, from_s: float, to_s: float) -> None:
        """Silence a span of both channels, because a digit came by SIP INFO and its tone may be in the audio."""
        self._services.relay.taps.mask(self._tap, max(from_s, 0.0), to_s)

    def finish(
        self, facts: Facts, row: RecordingRow, done: Callable[[RecordingRow], None], *, silent_s: float = 0.0
    ) -> None:
        """Drain the tap, close the container and hand over the final row.

        Args:
            facts: How the call ended.
            row: The row so far.
            done: Called with the final row, on the filing thread.
            silent_s: How long ago the recording ended, because no media arrived since.
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

    def _open_gate(self, by: str) -> float:
        position_s = self._services.relay.taps.open_gate(self._tap)
        self._begin_segment(position_s, SegmentKind.RECORDING, "", by)
        return position_s

    def _begin_segment(self, position_s: float, kind: SegmentKind, reason: str, by: str) -> None:
        self._segments.begin(position_s, kind, reason=reason, by=by)
        self._refresh()

    def _refresh(self) -> None:
        if self.file.is_open:
            self.file.update(self._snapshot())
        else:
            self._is_outdated = True

    def _catch_up(self) -> None:
        if self._is_outdated:
            self._refresh()

    def update_row(self, row: RecordingRow) -> None:
        """Copy operators, numbers, related recordings, participants and remarks from a row."""
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
        """Return the row that recovery would file if the daemon died now."""
        segments = self._segments.finish(max(self.position_s, _LEAST_S))
        return row_to_json(
            replace(
                self._row,
                outcome=Outcome.PARTIAL,
                reason="daemon_stopped",
                segments=segments,
                opted_out=self._pause_reasons.final is Final.OPTED_OUT,
            )
        )
