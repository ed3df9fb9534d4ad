"""The rates of set-ups are alive: each has a recorder of its own, and the first failed call is the end."""

import json
from typing import Any

import pytest

from benchmarks import setup, soak


@pytest.mark.long
def test_calls_are_set_up_at_one_rate_after_another(capsys: pytest.CaptureFixture[str]) -> None:
    assert setup.main(["--rates", "4", "8", "--seconds", "1", "--hold-s", "0.5", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [(step["rate"], step["calls"], step["failed_calls"]) for step in document["steps"]] == [(4, 4, 0), (8, 8, 0)]
    assert (document["highest_without_failure"], document["first_failure"]) == (8, None)
    assert all(step["cpu_ms_per_call"] > 0 and step["peers_cpu_s"] > 0 for step in document["steps"])


def test_after_the_first_rate_at_which_a_call_fails_none_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[float] = []

    def measured(*, rate: float, **_: Any) -> dict[str, Any]:
        tried.append(rate)
        return dict.fromkeys(setup._KEPT, 0) | {"calls": 10, "cpu_s": 0.1, "failed_calls": int(rate >= 60)}

    monkeypatch.setattr(soak, "measure", measured)  # a fault: no real recorder fails at a rate that is known before
    document = setup.measure(rates=[40, 60, 80], seconds=1, hold_s=1)
    assert tried == [40, 60]
    assert (document["highest_without_failure"], document["first_failure"]) == (40, 60)
