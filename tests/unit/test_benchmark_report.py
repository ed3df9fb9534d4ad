"""The page of capacity is what the committed documents give, and no number on it was typed by hand."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from benchmarks.page_blocks import typed_numbers, with_blocks
from benchmarks.report import PAGE, RESULTS, ReportError, collect, measure_all, refuse_short_runs
from benchmarks.report_page import blocks, pictures
from benchmarks.report_runs import RUNS, Run
from benchmarks.svg import Line, Panel, line_plot

ANEW = "python -m benchmarks.report --from benchmarks/results"
COMMITTED: dict[str, Any] = json.loads((RESULTS / "report.json").read_text())
_SVG = "{http://www.w3.org/2000/svg}"


def test_the_report_is_what_the_documents_give() -> None:
    assert collect(RESULTS, COMMITTED) == COMMITTED, ANEW
    assert all(run["date"] for run in COMMITTED["runs"].values())


def test_the_page_and_its_plots_are_what_the_report_gives() -> None:
    page = PAGE.read_text()
    assert with_blocks(page, blocks(COMMITTED, "../benchmarks/results/")) == page, ANEW
    for name, text in pictures(COMMITTED).items():
        assert (PAGE.parent / name).read_text() == text, ANEW
        assert f"]({name})" in page


def test_no_number_on_the_page_was_typed_by_hand() -> None:
    assert typed_numbers(PAGE.read_text()) == [], "measure it (benchmarks.report_figures), or list it as not traced"


def test_a_number_is_found_outside_of_blocks_code_and_links() -> None:
    page = (
        "<!-- a: begin -->\n\n| 5 ms |\n\n<!-- a: end -->\n`LimitNICE=-10` ([ADR 9](adr/0009-x.md)) G.711, R^2, p99\n"
        "```\n7 ms\n```\nIt takes 0.6 ms.\n"
    )
    assert typed_numbers(page) == ["line 10: It takes 0.6 ms."]


def test_a_figure_without_a_source_is_refused() -> None:
    report = copy.deepcopy(COMMITTED)
    report["figures"]["typed_ms"] = {"value": 3.0, "unit": "ms", "source": "memory"}
    with pytest.raises(ValueError, match="'typed_ms' has no source: 'memory' is no run"):
        blocks(report, "")
    report["figures"]["typed_ms"]["source"] = "sockets"
    report["runs"]["sockets"]["sha256"] = None
    with pytest.raises(ValueError, match="has no source"):
        blocks(report, "")


def test_what_was_not_measured_is_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "nodes-2.json").write_bytes((RESULTS / "nodes-2.json").read_bytes())
    report = collect(tmp_path)
    found = blocks(report, "")
    assert found["cost"].count("\n") == 2  # heads, and the row of the disk
    assert "15.7 kB a second" in found["cost"]
    assert found["sockets"] == found["peers"] == "Not measured in this report."
    assert found["runs"].count("not measured in this report") == len(RUNS) - 1
    assert pictures(report) == {}


def test_a_range_and_a_ratio_are_of_the_same_rounds() -> None:
    ratio = COMMITTED["figures"]["daemon_to_rtpengine"]
    document = json.loads((RESULTS / "versus-500-written.json").read_text())
    ours, theirs = document["daemon"], document["rtpengine"]
    in_rounds = [one / other for one, other in zip(ours["rounds"], theirs["rounds"], strict=True)]
    assert ratio["value"] == pytest.approx(document["goals"]["daemon"]["rtpengine"]["ratio"], abs=0.005)
    assert (ratio["low"], ratio["high"]) == (
        pytest.approx(min(in_rounds), abs=1e-4),
        pytest.approx(max(in_rounds), abs=1e-4),
    )
    assert ratio["of"] == "5 rounds"


def test_a_wrong_document_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "nodes-2.json").write_text('{"machine": {}}')
    with pytest.raises(ReportError, match="'nodes' is not one of that benchmark"):
        collect(tmp_path)


def test_figures_of_a_short_run_are_not_for_the_page() -> None:
    refuse_short_runs(COMMITTED)
    report = copy.deepcopy(COMMITTED)
    report["runs"]["srtp"]["is_quick"] = True
    with pytest.raises(ReportError, match="without --quick: srtp"):
        refuse_short_runs(report)


def test_a_run_that_fails_keeps_its_document_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "limping.py").write_text("import sys\nprint('{\"failed_calls\": 1}')\nsys.exit(1)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)

    def run(name: str, *words: str) -> Run:
        return Run(name=name, measures="", document=name, words=words, quick=words, takes_s=1, quick_s=1)

    for name in ("bad", "limping"):
        (tmp_path / f"{name}.json").write_text("{}")
    runs = [
        run("bad", "benchmarks.scale", "--no-such-option"),
        run("limping", "limping"),
        run("good", "benchmarks.scale"),
    ]
    failed = measure_all(runs, tmp_path, is_quick=True)
    assert list(failed) == ["bad", "limping"]
    assert "ended with 2 and without a document" in failed["bad"]
    assert "limping.failed.json" in failed["limping"]
    assert [(tmp_path / f"{name}.json").read_text() for name in failed] == ["{}", "{}"]
    assert json.loads((tmp_path / "limping.failed.json").read_text())["failed_calls"] == 1
    document = json.loads((tmp_path / "good.json").read_text())
    assert document["command"] == "python -m benchmarks.scale --json"
    assert document["is_quick"] is True
    assert isinstance(document["took_s"], float)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_a_run_names_options_that_its_benchmark_has(run: Run) -> None:
    for module, *words in (run.words, run.quick):
        source = (RESULTS.parent / f"{module.removeprefix('benchmarks.')}.py").read_text()
        assert [word for word in words if word.startswith("--") and f'"{word}"' not in source] == []


def test_a_dry_run_says_what_would_run_and_writes_nothing(tmp_path: Path) -> None:
    into = tmp_path / "new"
    command = [sys.executable, "-m", "benchmarks.report", "--into", str(into), "--dry-run", "--json", "--only", "hour"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (listed,) = json.loads(done.stdout)
    assert (listed["name"], listed["needs"]) == ("hour", "30 GB of disk")
    assert listed["takes_s"] > 3600
    assert not into.exists()


def test_a_plot_has_a_title_a_description_and_axes_that_hold_every_point() -> None:
    line = Line(name="a < b", points=[(1, 0.4), (12, 3.1)])
    found = ET.fromstring(line_plot("Title", "What it shows", [Panel(x="calls", y="ms", lines=[line])]))
    assert found.get("role") == "img"
    assert found.get("aria-labelledby") == "title desc"
    assert [found.findtext(f"{_SVG}{name}") for name in ("title", "desc")] == ["Title", "What it shows"]
    texts = [text.text for text in found.iter(f"{_SVG}text")]
    assert texts == ["0", "5", "10", "15", "0", "1", "2", "3", "4", "calls", "ms", "a < b"]
