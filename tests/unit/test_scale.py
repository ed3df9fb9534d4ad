"""Tests of the arithmetic of docs/scale.md, and that page and document are what it says."""

import dataclasses
import json
import subprocess
import sys

import pytest

from benchmarks.scale import PAGE, RESULTS, Assumptions, calls_of_a_node, page_with, plan, size

MEASURED = {
    "node_ms_per_s": 20.0, "call_ms_per_s": 0.5, "setup_ms": 10.0, "most_calls": 1000.0, "call_kb": 200.0,
    "stored_bytes_per_s": 16_000.0, "database_ms": 2.0, "row_bytes": 2500.0, "rows_per_s": 400.0,
    "searched_rows": 5_000_000.0, "listed_bytes": 1000.0,
}  # fmt: skip


def test_the_page_and_the_document_are_what_is_calculated() -> None:
    document = plan()
    assert json.loads((RESULTS / "scale.json").read_text()) == document, "python -m benchmarks.scale --write"
    page = PAGE.read_text()
    assert page_with(page, document) == page, "python -m benchmarks.scale --write"


def test_a_page_without_the_place_of_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the table 'measured'"):
        page_with(PAGE.read_text().replace("<!-- measured: begin -->", ""), plan())


@pytest.mark.parametrize(
    ("changed", "calls"),
    [
        ({}, 1000),  # as far as it was measured
        ({"cores": 1.0}, (500 - 20) / (0.5 + 10 / 240)),
        ({"call_s": 10.0}, 0.5 * 1000 / (10 / 10)),  # the call thread
    ],
)
def test_a_node_is_planned_for_what_its_tightest_limit_allows(changed: dict[str, float], calls: float) -> None:
    assert calls_of_a_node(MEASURED, dataclasses.replace(Assumptions(), **changed)) == int(calls)


def test_sizes_follow_from_the_figures() -> None:
    found = size(1500, MEASURED, Assumptions())
    assert found["nodes"] == 3  # two, and one spare
    assert found["calls_a_day"] == 1500 * 6 * 3600 / 240
    assert found["stored_gb_a_day"] == round(1500 * 6 * 3600 * 16_000 / 1e9, 1)
    assert found["writes_a_day_with_parts"] - found["writes_a_day"] == 1500 * 6 * 3600 / 5
    assert found["requests_usd_a_month"] == round(30 * 135_000 * 2 * 0.005 / 1000, 2)


def test_one_machine_needs_no_spare_and_what_is_above_a_limit_says_so() -> None:
    small, large = (size(calls, MEASURED, Assumptions()) for calls in (10, 100_000))
    assert small["nodes"] == 1
    assert max(small["used"].values()) < 0.1
    assert large["used"]["rows the database writes"] == pytest.approx(100_000 / 240 / (400 * 0.5), rel=1e-3)
    assert large["next_limit"] == "rows a search was measured on"


@pytest.mark.parametrize(
    ("words", "message"), [(["calls=3"], "'calls' is no assumption"), (["cores=0"], "cores must be above 0")]
)
def test_a_wrong_assumption_is_wrong_usage(words: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale", "--assume", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert message in done.stderr
