"""The program that has calls come and go for ten minutes, with a dozen of them."""

import json

import pytest

from benchmarks import soak


def test_calls_come_and_go_and_leave_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    status = soak.main(["--rate", "4", "--seconds", "3", "--hold-s", "1", "--json"])
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert (document["calls"], document["failed_calls"], document["ended"]) == (12, 0, {"ok": 12}), document
    assert document["outcomes"] == {"recorded": 12}
    assert (document["packets_lost"], document["packets_damaged"], document["tracebacks"]) == (0, 0, 0)
    assert document["most_at_a_time"] >= 4
    assert document["descriptors"]["after"] <= document["descriptors"]["before"]
    assert status in (0, 1)  # memory of so short a run is still growing
