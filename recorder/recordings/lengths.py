"""How long a call was, and how much of it is kept. Pure."""

from dataclasses import dataclass
from typing import Any

from storage.rows import row_to_json
from storage.types import RecordingRow, SegmentKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Lengths of a call, seconds.

    Attributes:
        call_s: The whole call, whatever was recorded of it: from when both sides were joined to its end.
        recorded_s: What is kept and can be heard.
        paused_s: What was not recorded because somebody paused.
        erased_s: What was recorded and erased afterwards.
    """

    call_s: float
    recorded_s: float
    paused_s: float
    erased_s: float


def lengths_of(row: RecordingRow) -> Lengths:
    """Return the lengths of a call; while it goes on, what is known so far."""
    lasted_s = 0.0 if row.ended_at is None else (row.ended_at - row.started_at).total_seconds()
    erased_s = sum(one.end_s - one.start_s for one in row.segments if one.kind is SegmentKind.ERASED)
    return Lengths(
        call_s=round(max(lasted_s, row.duration_s), 3),
        recorded_s=row.recorded_s if row.path is not None else 0.0,
        paused_s=row.paused_s,
        erased_s=round(erased_s, 3),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What a list marks a call with: paused at least once, opted out, kept by a hold."""

    was_paused: bool
    is_opted_out: bool
    is_held: bool


def flags_of(row: RecordingRow) -> Flags:
    """Return what a list marks a call with; the row has all of it, its holds too."""
    was_paused = any(segment.kind is SegmentKind.PAUSED for segment in row.segments)
    return Flags(was_paused=was_paused, is_opted_out=row.opted_out, is_held=bool(row.holds))


def row_with_lengths(row: RecordingRow) -> dict[str, Any]:
    """Return a row as JSON values for people and programs.

    ``length_s`` is the length of the call, ``recorded_s`` what is kept of it, ``erased_s`` what was erased.
    """
    lengths, flags = lengths_of(row), flags_of(row)
    return {
        **row_to_json(row), "length_s": lengths.call_s, "recorded_s": lengths.recorded_s, "erased_s": lengths.erased_s,
        "was_paused": flags.was_paused, "is_held": flags.is_held,
    }  # fmt: skip
