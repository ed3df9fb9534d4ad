"""The program that has calls come and go for ten minutes, with a dozen of them."""

import json
from typing import Any

import pytest

from benchmarks import soak

GOOD: dict[str, Any] = {
    "failed_calls": 0,
    "packets_damaged": 0,
    "tracebacks": 0,
    "calls_left": 0,
    "growth": 0.0,
    "descriptors": {"before": 15, "after": 15},
}


@pytest.mark.long
def test_calls_come_and_go_and_leave_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    status = soak.main(["--rate", "4", "--seconds", "3", "--hold-s", "1", "--json"])
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert (document["calls"], document["failed_calls"], document["ended"]) == (12, 0, {"ok": 12}), document
    assert document["outcomes"] == {"recorded": 12}
    assert (document["packets_lost"], document["packets_damaged"], document["tracebacks"]) == (0, 0, 0)
    assert document["most_at_a_time"] >= 4
    assert document["descriptors"]["after"] <= document["descriptors"]["before"]
    assert (status, document["is_good"]) == (0, True), document


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("failed_calls", 1),
        ("packets_damaged", 1),
        ("tracebacks", 1),
        ("calls_left", 1),
        ("growth", soak.MAX_GROWTH),
        ("descriptors", {"before": 15, "after": 16}),
    ],
)
def test_whatever_wears_out_is_told(what: str, value: object) -> None:
    assert soak.is_good(GOOD)
    assert not soak.is_good({**GOOD, what: value})
