"""What happens beside calls that stand is alive: collection, search and export take place while packets are timed."""

import json
from pathlib import Path

import pytest

from benchmarks import beside

pytestmark = pytest.mark.usefixtures("begins_at_once")


@pytest.mark.long
def test_each_thing_is_done_while_calls_stand_and_what_it_adds_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = tmp_path / "index.sqlite"
    words = ["--calls", "2", "--seconds", "1", "--rounds", "1", "--rate", "10", "--rows", "1000", "--index", str(index)]
    assert beside.main([*words, "--export-s", "2", "--format", "wav", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document["phases"]) == set(beside.PHASES)
    for name, phase in document["phases"].items():
        assert (phase["packets_lost"], phase["packets_damaged"]) == (0, 0)
        assert phase["packets_sent"] >= 2 * 2 * 50
        (work,) = phase["work"]
        assert work["done"] == 0 if name == "nothing" else work["done"] > 0, name
        assert name == "nothing" or work["longest_step_ms"] > 0
    delays = {name: phase["delay_ms"]["p99_9"] for name, phase in document["phases"].items()}
    assert {name: one["p99_9_ms"] for name, one in document["added"].items()} == pytest.approx(
        {name: delays[name] - delays["nothing"] for name in ("collection", "search", "export")}, abs=0.01
    )
    assert index.exists()


def test_an_index_that_cannot_be_opened_is_told_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert beside.main(["--calls", "1", "--rows", "1000", "--index", str(tmp_path)]) == 1
    assert f"the database {tmp_path} does not answer" in capsys.readouterr().err


def test_an_index_without_a_file_of_its_own_is_removed() -> None:
    with beside.index_of(1000, None) as url:
        path = Path(url.removeprefix("sqlite:///"))
        assert path.exists()
    assert not path.parent.exists()


@pytest.mark.parametrize(("ms", "is_held"), [(8.0, True), (8.01, False)])
def test_a_phase_may_add_five_milliseconds(ms: float, is_held: bool) -> None:
    phases = {"nothing": {"delay_ms": {"p99_9": 3.0}}, "search": {"delay_ms": {"p99_9": ms}}}
    assert beside.added(phases)["search"]["is_held"] is is_held
