"""The benchmark of pauses is alive: acts are answered both ways, positions are true, the figures are there."""

import json
from pathlib import Path

import pytest

from benchmarks import disk, pause


@pytest.mark.long
def test_a_small_run_answers_every_act_and_states_true_positions(capsys: pytest.CaptureFixture[str]) -> None:
    status = pause.main(["--calls", "3", "--seconds", "1", "--rate", "8", "--json"])
    captured = capsys.readouterr()
    assert status == 0, captured.err + captured.out
    document = json.loads(captured.out)
    assert (document["joined_calls"], document["standing_calls"]) == (3, 3)
    for way in ("socket", "console"):
        part = document[way]
        assert (part["failed_acts"], part["positions_off"]) == (0, 0)
        assert part["acts"] >= 6
        assert set(part["pause_ms"]) == set(part["fdatasync_ms"]) == {"p50", "p99", "max"}
        assert part["pause_ms"]["p50"] > 0
    assert document["acts_audited"] >= document["socket"]["acts"] + document["console"]["acts"]


def test_the_disk_is_measured_and_left_as_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert disk.main([str(tmp_path), "--seconds", "0.2", "--rate", "50"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["appends"] == 10
    assert 0 < document["fdatasync_ms"]["p50"] <= document["fdatasync_ms"]["max"]
    assert list(tmp_path.iterdir()) == []
    assert disk.main([str(tmp_path / "gone")]) == 1


def test_quantiles_are_of_what_was_measured() -> None:
    assert disk.quantiles([]) is None
    assert disk.quantiles([float(n) for n in range(1, 101)]) == {"p50": 50.0, "p99": 99.0, "max": 100.0}
