"""The entry of a call in the list of live calls."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from recorder.calls.call_facts import segment_of
from recorder.calls.group_acts import GroupActs
from recorder.calls.recording import Recording
from recorder.calls.recording_controls import RecordingControls
from recorder.rules.pausing import AGENT, PauseState


def state_of(recording: Recording) -> str:
    """Return the state of a recording for people; never ``recording`` when nothing is being recorded."""
    if recording.blocked is not None:
        return "blocked"
    if recording.in_progress is None and recording.pause_reasons.state is PauseState.RECORDING:
        return "not_begun" if recording.fault is None else "failed"
    return recording.pause_reasons.state.value


class CallListing:
    """Describes one call for people.

    Args:
        second: Returns the state of the second message.
    """

    def __init__(
        self, recording: Recording, controls: RecordingControls, second: Callable[[], str], groups: GroupActs
    ) -> None:
        self._recording = recording
        self._controls = controls
        self._second = second
        self._groups = groups

    def as_json(self) -> dict[str, Any]:
        """Return the call as JSON-serialisable values, for ``GET /api/calls``."""
        recording, controls = self._recording, self._controls
        call, watch, nomination = recording.call, controls.state.watch, recording.nomination
        started_at = recording.clock.started_at
        position_s = recording.in_progress.position_s if recording.in_progress is not None else None
        since = controls.state.since or recording.joined_at or started_at
        return {
            "id": recording.id,
            "call": recording.id,
            "conversation": self._groups.conversation(controls),
            "started_at": _iso(started_at),
            "direction": nomination.direction.value,
            "extension": nomination.extension.number,
            "operator": recording.operator,
            "extensions": list(recording.operators.extensions),
            "operators": list(recording.operators.names),
            **segment_of(recording).as_json(),
            "service": recording.service.name,
            "team": nomination.extension.team,
            "caller": call.caller,
            "called": call.called,
            "phase": call.progress.state.value,
            "is_recorded": recording.in_progress is not None,
            "state": state_of(recording),
            "state_since": _iso(since),
            "reasons": sorted(recording.pause_reasons.reasons),
            "paused_s": None if watch.held_s is None else round(watch.held_s, 1),
            "paused_since": None if watch.since is None else _iso(watch.since),
            "pause_max_s": watch.max_s,
            "pause_erases_s": None if recording.in_progress is None else recording.in_progress.erases_s,
            "pause_discards": controls.discard.is_due(AGENT),
            "position_s": None if position_s is None else round(position_s, 3),
            "second_message": self._second(),
            "erase_on_opt_out": recording.service.erase_on_opt_out,
        }


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
