"""What a dead daemon had acknowledged, and what its container says."""

from typing import Any

import pytest

from recorder.calls.recovered_row import amended, is_discarded

RECORDING = {"start_s": 0.0, "end_s": 3.0, "kind": "recording", "reason": "", "by": ""}


def row(*segments: dict[str, Any]) -> dict[str, Any]:
    return {"id": "x", "opted_out": False, "segments": list(segments)}


def state(name: str, *reasons: str, at_s: float = 7.0) -> dict[str, Any]:
    return {"state": name, "reasons": list(reasons), "position_s": at_s}


def spans(found: dict[str, Any]) -> list[tuple[float, float, str, str]]:
    return [(s["start_s"], s["end_s"], s["kind"], s["reason"]) for s in found["segments"]]


@pytest.mark.parametrize(
    ("left", "kind", "reason"),
    [
        (state("paused", "agent", "hold"), "paused", "agent,hold"),
        (state("paused", "hold"), "hold", "hold"),
        (state("opted_out"), "opted_out", "opted_out"),
        (state("out_of_scope"), "out_of_scope", "out_of_scope"),
        (state("fax_suspected"), "fax_suspected", "fax_suspected"),
        (state("fax"), "fax", "fax"),
    ],
)
def test_a_state_that_the_container_did_not_know_yet_is_added(left: dict[str, Any], kind: str, reason: str) -> None:
    found = amended(row(RECORDING), left)
    assert spans(found) == [(0, 7, "recording", ""), (7, 7, kind, reason)]
    assert found["opted_out"] is (kind == "opted_out")


def test_a_pause_that_erased_what_the_container_calls_recorded() -> None:
    assert spans(amended(row(RECORDING), state("paused", "agent", at_s=2.0))) == [
        (0, 2, "recording", ""),
        (2, 2, "paused", "agent"),
    ]


def test_a_pause_from_the_very_beginning_has_nothing_before_it() -> None:
    assert spans(amended(row(RECORDING), state("paused", "agent", at_s=0.0))) == [(0, 0, "paused", "agent")]
    assert spans(amended(row(), state("paused", "agent", at_s=0.0))) == [(0, 0, "paused", "agent")]


def test_a_container_without_segments_yet() -> None:
    assert spans(amended(row(), state("paused", "agent", at_s=0.4))) == [
        (0, 0.4, "recording", ""),
        (0.4, 0.4, "paused", "agent"),
    ]


def test_what_the_container_knows_stays_as_it_says() -> None:
    paused = {"start_s": 3.0, "end_s": 4.0, "kind": "paused", "reason": "agent", "by": "alice"}
    known = row(RECORDING, paused)
    assert amended(known, state("paused", "agent")) == known


def test_a_resume_that_the_container_did_not_know_yet() -> None:
    paused = {"start_s": 3.0, "end_s": 4.0, "kind": "paused", "reason": "agent", "by": "alice"}
    found = amended(row(RECORDING, paused), state("recording"))
    assert spans(found) == [(0, 3, "recording", ""), (3, 7, "paused", "agent"), (7, 7, "recording", "")]


def test_the_row_that_is_given_is_not_changed() -> None:
    given = row(dict(RECORDING))
    amended(given, state("opted_out"))
    assert given == row(RECORDING)


@pytest.mark.parametrize("left", [None, state("discarded"), state("a word of a later version")])
def test_nothing_to_add(left: dict[str, Any] | None) -> None:
    assert amended(row(RECORDING), left) == row(RECORDING)


def test_what_must_be_destroyed() -> None:
    assert is_discarded(state("discarded"))
    assert not is_discarded(state("opted_out"))
    assert not is_discarded(None)
