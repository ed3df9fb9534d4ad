"""How far back a retroactive pause reaches, whatever its form says of the pause."""

import pytest

from recorder.web.retroactive_spans import chosen_span


@pytest.mark.parametrize(
    ("span", "paused_at", "seconds"),
    [("30", "990", 40.0), ("30", "", 30.0), ("30", "2000", 30.0), ("30", "\u00b2", 30.0), ("all", "990", None)],
)
def test_it_counts_from_the_pause(span: str, paused_at: str, seconds: float | None) -> None:
    assert chosen_span(span, paused_at, 1000.0) == seconds
