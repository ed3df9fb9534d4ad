"""The benchmark of the audit log runs, and measures what it says."""

from pathlib import Path

from benchmarks.audit import TEXT_EVERY, measure


def test_a_short_run(tmp_path: Path) -> None:
    measured = measure(tmp_path, 200)
    assert (measured["entries"], measured["texts"]) == (200, 200 // TEXT_EVERY)
    assert measured["found"] == 3
    assert measured["verified_per_s"] > 100
