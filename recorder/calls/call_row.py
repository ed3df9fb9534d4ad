"""What is said of a call in the list of live calls. Pure."""

from datetime import datetime
from typing import Any

from recorder.calls.call_facts import segment_of
from recorder.calls.recording import Recording
from recorder.calls.recording_controls import RecordingControls
from recorder.rules.pausing import PauseState
from storage.types import RecordingId


def state_of(recording: Recording) -> str:
    """Return how a recording stands: where there is none yet, or none any more, it does not say *recording*."""
    if recording.blocked is not None:
        return "blocked"
    if recording.in_progress is None and recording.pause_reasons.state is PauseState.RECORDING:
        return "not_begun" if recording.fault is None else "failed"
    return recording.pause_reasons.state.value


def listing_of(
    recording: Recording, controls: RecordingControls, *, second: str, conversation: RecordingId
) -> dict[str, Any]:
    """Return a call as JSON-able values for `GET /api/calls`.

    Args:
        recording: Of the call.
        controls: What is done to it.
        second: How its second message stands.
        conversation: The oldest recording in progress of the same conversation.
    """
    call, watch, nomination = recording.call, controls.watch, recording.nomination
    started_at = recording.clock.started_at
    position_s = recording.in_progress.position_s if recording.in_progress is not None else None
    since = controls.state_since or recording.joined_at or started_at
    return {
        "id": recording.id,
        "call": recording.id,
        "conversation": conversation,
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
        "pause_max_s": watch.max_s,
        "position_s": None if position_s is None else round(position_s, 3),
        "second_message": second,
        "erase_on_opt_out": recording.service.erase_on_opt_out,
    }


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
