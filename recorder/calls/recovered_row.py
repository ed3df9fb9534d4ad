"""The row of a recording that a daemon left open, amended by the pause state that it had acknowledged. Pure."""

from typing import Any

from recorder.calls.pause_register import State
from recorder.rules.pausing import HOLD, PauseState
from recorder.rules.segments import joined
from storage.types import SegmentKind


def is_discarded(state: State | None) -> bool:
    """Tell whether the recording was discarded, so that recovery has to destroy it."""
    return state is not None and state.get("state") == PauseState.DISCARDED


def is_undecided(state: State | None) -> bool:
    """Tell whether the recording was to be discarded unless it is kept, and that had not been decided."""
    return state is not None and bool(state.get("undecided"))


def amended(row: dict[str, Any], state: State | None) -> dict[str, Any]:
    """Return the row of a container that was left open, amended by the pause register.

    The register is on disk before an act is acknowledged; the container is updated a moment later.

    Args:
        row: The container's row in JSON form; it is not changed.
        state: The register's entry; None if there was no act on the call.
    """
    kind = _kind_of(state)
    if state is None or kind is None:
        return row
    row = row | {"opted_out": row.get("opted_out", False) or kind is SegmentKind.OPTED_OUT}
    segments = row.get("segments") or []
    if segments and segments[-1]["kind"] == kind:
        return row
    at_s = state["position_s"]
    before = [span for span in segments or [_span(0.0, SegmentKind.RECORDING)] if span["start_s"] < at_s]
    if before:
        before[-1] = before[-1] | {"end_s": at_s}
    return row | {"segments": [*before, _span(at_s, kind, _reason(kind, state))]}


def _kind_of(state: State | None) -> SegmentKind | None:
    if state is None:
        return None
    if state["state"] == PauseState.PAUSED and state["reasons"] == [HOLD]:
        return SegmentKind.HOLD
    return {
        PauseState.RECORDING: SegmentKind.RECORDING,
        PauseState.PAUSED: SegmentKind.PAUSED,
        PauseState.OPTED_OUT: SegmentKind.OPTED_OUT,
        PauseState.OUT_OF_SCOPE: SegmentKind.OUT_OF_SCOPE,
        PauseState.VOICEMAIL: SegmentKind.VOICEMAIL,
        PauseState.FAX_SUSPECTED: SegmentKind.FAX_SUSPECTED,
        SegmentKind.FAX: SegmentKind.FAX,  # written by an earlier version
    }.get(state["state"])


def _reason(kind: SegmentKind, state: State) -> str:
    if kind in (SegmentKind.PAUSED, SegmentKind.HOLD):
        return joined(state["reasons"])
    return "" if kind is SegmentKind.RECORDING else kind.value


def _span(at_s: float, kind: SegmentKind, reason: str = "") -> dict[str, Any]:
    return {"start_s": at_s, "end_s": at_s, "kind": kind.value, "reason": reason, "by": ""}
