"""The program that measures how long the call thread is blocked, with a few calls."""

import json

import pytest

from benchmarks import stalls

pytestmark = pytest.mark.usefixtures("begins_at_once")
PHASE = {"longest_iteration_ms": 20.0, "longest_full_ms": 20.0, "longest_short_ms": 20.0, "slowest_health_ms": 100.0}


@pytest.mark.long
def test_each_phase_has_iterations_and_only_half_of_the_calls_are_hung_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert stalls.main(["--calls", "4", "--seconds", "11", "--rate", "10", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert tuple(document["phases"]) == stalls.PHASES
    for phase in document["phases"].values():
        assert phase["iterations"] > 0
        assert 0 < phase["longest_iteration_ms"] < phase["cpu_ms"]
        assert phase["slowest_health_ms"] > 0
        assert phase["health_unanswered"] == 0
    assert document["phases"]["in_progress"]["full_passes"] >= 1, "one is made every 10 s"
    assert 0 < document["phases"]["in_progress"]["longest_full_ms"] <= document["longest_block_ms"]
    assert (document["hung_up"], document["still_standing"], document["packets_damaged"]) == (2, 2, 0)


@pytest.mark.parametrize("what", PHASE)
def test_the_goals_are_met_only_if_every_phase_meets_them(what: str) -> None:
    assert stalls.summary({"in_progress": PHASE, "hang_up": PHASE})["meets_goals"]
    found = stalls.summary({"in_progress": PHASE, "hang_up": {**PHASE, what: PHASE[what] + 0.1}})
    assert not found["meets_goals"]


def test_one_call_cannot_be_halved(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        stalls.main(["--calls", "1"])
    assert "two calls" in capsys.readouterr().err
