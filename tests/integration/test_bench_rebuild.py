"""`python -m benchmarks.rebuild` still runs."""

import json

import pytest

from benchmarks.rebuild import main


def test_it_measures_each_thing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--recordings", "40", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert all(said[name]["per_s"] > 0 for name in ("fsck_quick", "fsck", "reindex"))
