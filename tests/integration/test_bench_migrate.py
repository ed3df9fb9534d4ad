"""The benchmark of `recorder database move`, tiny."""

import json
from pathlib import Path

import pytest

from benchmarks.migrate import main


@pytest.mark.long
def test_the_benchmark_runs(capsys: pytest.CaptureFixture[str], open_folder: Path) -> None:
    assert main(["--rows", "1000", "--folder", str(open_folder), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["there"]["rows"] == document["back"]["rows"] > 1000
    assert list(open_folder.iterdir()) == [], "it left something behind"


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--rows", "1"])
    assert caught.value.code == 2
