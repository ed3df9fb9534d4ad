"""The benchmark of pauses at another node is alive: acts are answered near and far, positions are true."""

import json

import pytest

from benchmarks import pause_far


@pytest.mark.long
def test_a_small_run_answers_every_act_at_both_nodes(capsys: pytest.CaptureFixture[str]) -> None:
    status = pause_far.main(["--calls", "4", "--seconds", "1", "--rate", "8", "--json"])
    captured = capsys.readouterr()
    assert status == 0, captured.err + captured.out
    document = json.loads(captured.out)
    assert (document["joined_calls"], document["standing_calls"]) == (4, 4)
    for way in pause_far.WAYS:
        part = document[way]
        assert (part["failed_acts"], part["positions_off"]) == (0, 0)
        assert part["acts"] >= 6 and part["pause_ms"]["p50"] > 0
