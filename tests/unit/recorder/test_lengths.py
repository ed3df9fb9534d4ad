"""How long a call was, and how much of it is kept."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from recorder.recordings.lengths import Lengths, lengths_of, row_with_lengths
from storage.rows import row_from_json, row_to_json
from storage.types import RecordingRow
from tests.helpers.storage_home import row

BEGAN = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def _span(start_s: float, end_s: float, kind: str) -> dict[str, Any]:
    return {"start_s": start_s, "end_s": end_s, "kind": kind, "reason": "", "by": ""}


def _call(*spans: dict[str, Any], **changes: Any) -> RecordingRow:
    ended_at = (BEGAN + timedelta(seconds=60)).isoformat()
    return row_from_json(
        row(started_at=BEGAN.isoformat(), ended_at=ended_at, segments=list(spans), **{"path": "a.rec", **changes})
    )


def test_what_was_erased_is_a_part_of_the_length() -> None:
    spans = (_span(0, 20, "recording"), _span(20, 30, "paused"), _span(30, 45, "erased"), _span(45, 60, "recording"))
    call = _call(*spans, duration_s=60.0, recorded_s=35.0, paused_s=10.0)
    assert lengths_of(call) == Lengths(call_s=60.0, recorded_s=35.0, paused_s=10.0, erased_s=15.0)


def test_a_call_of_which_nothing_was_kept_has_its_length_all_the_same() -> None:
    assert lengths_of(_call(duration_s=0.0, path=None, outcome="blocked")).call_s == 60.0
    discarded = _call(_span(0, 60, "recording"), duration_s=60.0, recorded_s=60.0, path=None, outcome="blocked")
    assert lengths_of(discarded) == Lengths(call_s=60.0, recorded_s=0.0, paused_s=0.0, erased_s=0.0)


def test_a_call_in_progress_is_as_long_as_it_is_recorded_so_far() -> None:
    assert lengths_of(replace(_call(duration_s=12.5), ended_at=None)).call_s == 12.5


def test_programs_get_both() -> None:
    call = _call(_span(0, 45, "recording"), _span(45, 60, "erased"), duration_s=60.0, recorded_s=45.0)
    shown = row_with_lengths(call)
    assert {**row_to_json(call), "length_s": 60.0, "erased_s": 15.0, "was_paused": False, "is_held": False} == shown
    assert shown["recorded_s"] == 45.0
