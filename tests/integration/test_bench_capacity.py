"""How the cost grows with the number of calls: the line, and a run so small that it only shows that it runs."""

import json
from pathlib import Path

import pytest

from benchmarks import capacity
from benchmarks.capacity import Line, line_through

pytestmark = pytest.mark.usefixtures("begins_at_once")


def test_the_line_and_how_straight_it_is() -> None:
    assert line_through([(100, 48.0), (200, 88.0), (500, 208.0)]) == Line(fixed_ms=8.0, per_call_ms=0.4, r_squared=1.0)
    bent = line_through([(100, 48.0), (200, 88.0), (500, 408.0)])
    assert bent is not None
    assert bent.r_squared < 0.99
    assert line_through([(100, 48.0), (200, 88.0)]) is None


@pytest.mark.long
def test_a_short_series_has_its_document_and_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "capacity.svg"
    assert capacity.main(["--calls", "1", "2", "--seconds", "1", "--json", "--plot", str(picture)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [step["calls"] for step in document["steps"]] == [1, 2]
    assert all(step["failed_calls"] == step["packets_lost"] == step["lost_segments"] == 0 for step in document["steps"])
    assert document["lines"] == {"daemon": None, "bare": None}
    assert "CPU and delay by number of calls, by sockets" in picture.read_text()
    with pytest.raises(SystemExit) as refused:
        capacity.main(["--calls", "0"])
    assert refused.value.code == 2
