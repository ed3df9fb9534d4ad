"""Which calls a benchmark counts as recorded."""

import pytest

from benchmarks.outcomes import outcomes_of


@pytest.mark.parametrize(
    ("row", "counted"),
    [
        ({"outcome": "recorded", "reason": "ended", "packets": [400, 400]}, "recorded"),
        (
            {"outcome": "partial", "reason": "one_way", "packets": [453, 452]},
            "recorded",
        ),  # the load's noise is no speech
        ({"outcome": "partial", "reason": "one_way", "packets": [453, 0]}, "partial"),
        ({"outcome": "partial", "reason": "one_way", "packets": [453, 400]}, "partial"),
        ({"outcome": "partial", "reason": "one_way", "packets": [1, 453]}, "partial"),
        ({"outcome": "partial", "reason": "one_way"}, "partial"),
        ({"outcome": "partial", "reason": "lost", "packets": [453, 452]}, "partial"),
        ({}, "None"),
    ],
)
def test_noise_that_was_taken_for_speech_on_one_side_is_no_failed_call(row: dict[str, object], counted: str) -> None:
    assert outcomes_of([row]) == {counted: 1}
