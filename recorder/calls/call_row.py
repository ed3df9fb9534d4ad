"""What is said of a call in the list of live calls. Pure."""

from datetime import datetime
from typing import Any

from recorder.calls.call_facts import segment_of
from recorder.calls.gate_acts import GateActs
from recorder.calls.recording import Recording
from recorder.rules.pausing import PauseState
from storage.types import RecordingId


def state_of(recording: Recording) -> str:
    """Return how a recording stands: where there is none yet, or none any more, it does not say *recording*."""
    if recording.blocked is not None:
        return "blocked"
    if recording.taping is None and recording.book.state is PauseState.RECORDING:
        return "not_begun" if recording.fault is None else "failed"
    return recording.book.state.value


def listing_of(recording: Recording, gate: GateActs, *, second: str, conversation: RecordingId) -> dict[str, Any]:
    """Return a call as JSON-able values for `GET /api/calls`.

    Args:
        recording: Of the call.
        gate: What is done to it.
        second: How its second message stands.
        conversation: The oldest recording in progress of the same conversation.
    """
    call, watch, nomination = recording.call, gate.watch, recording.nomination
    started_at = recording.clock.started_at
    position_s = recording.taping.position_s if recording.taping is not None else None
    since = gate.state_since or recording.joined_at or started_at
    return {
        "id": recording.id,
        "call": recording.id,
        "conversation": conversation,
        "started_at": _iso(started_at),
        "direction": nomination.direction.value,
        "extension": nomination.extension.number,
        "operator": recording.operator,
        "extensions": list(recording.crew.extensions),
        "operators": list(recording.crew.operators),
        **segment_of(recording).as_json(),
        "service": recording.service.name,
        "team": nomination.extension.team,
        "caller": call.caller,
        "called": call.called,
        "phase": call.call.state.value,
        "is_recorded": recording.taping is not None,
        "state": state_of(recording),
        "state_since": _iso(since),
        "reasons": sorted(recording.book.reasons),
        "paused_s": None if watch.held_s is None else round(watch.held_s, 1),
        "pause_max_s": watch.max_s,
        "position_s": None if position_s is None else round(position_s, 3),
        "second_message": second,
        "erase_on_opt_out": recording.service.erase_on_opt_out,
    }


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
