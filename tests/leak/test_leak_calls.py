"""A short run of the leak suite: every trigger and every moment once, every sink, and two of the mutations.

`make leak` is the whole of it. A failure names the call and its seed: `make leak SEED=S ONLY=N` makes it again.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.processors import PROCESSORS
from tests.leak import mutations, report
from tests.leak.plan import MOMENTS, TRIGGERS
from tests.leak.run import Result
from tests.leak.sinks import SINKS
from tests.leak.suite import run_calls

CALLS = 26
SLOTS = 13 * PROCESSORS
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def seed() -> int:
    return int(os.environ.get("LEAK_SEED", "0")) or int.from_bytes(os.urandom(3))


@pytest.fixture(
    scope="module",
    params=[False, pytest.param(True, marks=pytest.mark.kernel_relay)],
    ids=["sockets", "kernel, PostgreSQL"],
)
def result(request: pytest.FixtureRequest, seed: int) -> Iterator[Result]:
    slots, in_kernel = min(SLOTS, CALLS), request.param
    yield run_calls(
        seed, CALLS, slots=slots, is_short=True, in_kernel=in_kernel, is_proven=not in_kernel,
        has_database_server=in_kernel,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_nothing_that_must_not_be_kept_is_anywhere(result: Result) -> None:
    assert result.is_clean, report.table(result)
    assert {trigger for trigger, _ in result.cells} == set(TRIGGERS)
    assert {moment for _, moment in result.cells} == set(MOMENTS)
    said = report.as_json(result)
    assert said["secret_samples"] > CALLS * 8000, "secrets were said"
    assert said["ordinary_samples_kept"] > CALLS * 4000, "and what else was said is there"


@pytest.mark.slow
@pytest.mark.parametrize("result", [False], ids=["sockets"], indirect=True)
def test_every_sink_is_proven_by_a_plant(result: Result) -> None:
    proven = {name for name, searched in result.searched.items() if searched.is_proven}
    assert {sink.name for sink in SINKS} <= proven
    assert {f"export as {form}" for form in ("g711", "wav", "flac", "mp3", "opus")} <= proven


@pytest.mark.slow
def test_every_sink_was_searched(result: Result) -> None:
    assert {sink.name for sink in SINKS} <= set(result.searched)
    for name in ("containers, opened", "index with its log and free pages", "audit log", "memory of the processes"):
        assert result.searched[name].bytes > 1000, f"{name}: there was something to search"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", mutations.QUICK)
def test_a_recorder_that_is_broken_is_found_out(name: str) -> None:
    (tried,) = mutations.run_all(ROOT, names=(name,), say=lambda _: None)
    assert tried["is_found"], tried


def test_every_mutation_still_fits_the_sources(tmp_path: Path) -> None:
    assert len(mutations.MUTATIONS) >= 8
    mutations.copy_sources(ROOT, tmp_path / "copy")
    for mutation in mutations.MUTATIONS:
        path = tmp_path / "copy" / mutation.file
        before = path.read_text()
        mutations.mutate(tmp_path / "copy", mutation)
        assert path.read_text() != before
        path.write_text(before)
