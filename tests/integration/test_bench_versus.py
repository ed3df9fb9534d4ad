"""The comparison is alive: daemons whose calls stand are measured in turn with a bare loop, and ratios are there."""

import json
from pathlib import Path

import pytest

from benchmarks import versus

pytestmark = pytest.mark.usefixtures("begins_at_once")


@pytest.mark.long
def test_daemons_and_bare_loop_are_measured_in_turn_while_the_calls_stand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "versus.png"
    words = ["--calls", "2", "--seconds", "0.5", "--rounds", "2", "--rate", "10", "--json"]
    only = ["--plot", str(picture), "--only", "daemon", "daemon_kernel", "bare_gathering"]
    assert versus.main([*words, *only]) == 0
    document = json.loads(capsys.readouterr().out)
    for name in ("daemon", "daemon_kernel", "bare_gathering"):
        path = document[name]
        assert len(path["rounds"]) == 2
        assert min(path["rounds"]) <= path["cpu_ms_per_call_second"] <= max(path["rounds"])
        assert path["packets_sent"] >= 2 * 2 * 2 * 25
        assert (path["packets_lost"], path["packets_damaged"]) == (0, 0)
    ratio = document["daemon"]["cpu_ms_per_call_second"] / document["bare_gathering"]["cpu_ms_per_call_second"]
    assert document["goals"]["daemon"]["bare_gathering"]["ratio"] == round(ratio, 2)
    assert set(document["goals"]) == {"daemon", "daemon_kernel"}
    assert set(document["goals"]["daemon"]) == {"ms", "bare_gathering"}
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(("cost", "is_held"), [(1.5, True), (1.52, False)])
def test_a_goal_is_held_up_to_its_ratio(cost: float, is_held: bool) -> None:
    document = {"daemon": {"cpu_ms_per_call_second": cost}, "bare_gathering": {"cpu_ms_per_call_second": 1.0}}
    assert versus.goals(document, "daemon")["bare_gathering"]["is_held"] is is_held


@pytest.mark.parametrize(("cost", "is_held"), [(versus.GOAL_MS, True), (versus.GOAL_MS + 0.001, False)])
def test_the_goal_in_ms_is_held_up_to_it(cost: float, is_held: bool) -> None:
    assert versus.goals({"daemon": {"cpu_ms_per_call_second": cost}}, "daemon")["ms"]["is_held"] is is_held
