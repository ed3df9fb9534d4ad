"""A short run of the leak suite: every trigger and every moment once, every sink, and two of the mutations.

`make leak` is the whole of it. A failure names the call and its seed: `make leak SEED=S ONLY=N` makes it again.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from recorder.service.kernel_relay import obstacle, read_means
from tests.helpers.processors import PROCESSORS
from tests.leak import mutations, report
from tests.leak.plan import MOMENTS, TRIGGERS, VIA_CONSOLE, matrix
from tests.leak.result import Result
from tests.leak.server_sinks import SERVER_SINKS
from tests.leak.sinks import SINKS
from tests.leak.suite import run_calls, run_with_server

CALLS = 26
SLOTS = 13 * PROCESSORS if PROCESSORS > 1 else 6
"""One processor has the commands, the console and the voices to run too: a call must end before its secrets do."""
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def seed() -> int:
    return int(os.environ.get("LEAK_SEED", "0")) or int.from_bytes(os.urandom(3))


@pytest.fixture(scope="module")
def has_kernel() -> bool:
    return obstacle(read_means(), "127.0.0.1", ("lo",)) is None or "CI" in os.environ


@pytest.fixture(scope="module", params=[CALLS], ids=["sockets, kernel"])  # with an id: see tests/helpers/units.py
def result(seed: int, has_kernel: bool) -> Result:
    """A run of which the kernel relays the second half; where it cannot, the first half is all."""
    return run_calls(seed, CALLS, slots=min(SLOTS, CALLS), is_short=True, also_in_kernel=has_kernel)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nothing_that_must_not_be_kept_is_anywhere(result: Result) -> None:
    assert result.is_clean, report.table(result)
    said = report.as_json(result)
    assert said["secret_samples"] > CALLS * 8000, "secrets were said"
    assert said["ordinary_samples_kept"] > CALLS * 4000, "and what else was said is there"


@pytest.mark.slow
def test_every_trigger_and_moment_came(result: Result) -> None:
    came_to_all(result.cells)


@pytest.mark.slow
@pytest.mark.kernel_relay
def test_every_trigger_and_moment_came_while_the_kernel_relayed(result: Result, seed: int) -> None:
    came_to_all(result.cells - Counter((plan.trigger, plan.moment) for plan in matrix(seed, CALLS)))
    assert result.relayed > CALLS * 50, "packets"


def came_to_all(cells: Counter[tuple[str, str]]) -> None:
    assert {trigger for trigger, _ in cells} == set(TRIGGERS)
    assert {moment for _, moment in cells} == set(MOMENTS)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_server_with_the_index_keeps_nothing_either(seed: int, cluster: Path) -> None:
    result = run_with_server(seed, cluster, slots=SLOTS)
    assert result.is_clean, report.table(result)
    assert {trigger for trigger, _ in result.cells} == {t for t in TRIGGERS if t not in {*VIA_CONSOLE, "session_token"}}
    assert set(result.searched) == {sink.name for sink in SERVER_SINKS}
    assert all(searched.is_proven and searched.bytes > 1000 for searched in result.searched.values())


@pytest.mark.slow
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
def test_a_recorder_that_is_broken_is_found_out() -> None:
    tried = mutations.try_together(ROOT, mutations.QUICK)
    assert [one["name"] for one in tried] == list(mutations.QUICK)
    for one in tried:
        assert one["is_found"], one


def test_every_mutation_still_fits_the_sources(tmp_path: Path) -> None:
    assert len(mutations.MUTATIONS) >= 8
    for mutation in mutations.MUTATIONS:
        path = tmp_path / mutation.file
        path.parent.mkdir(parents=True, exist_ok=True)
        before = (ROOT / mutation.file).read_text()
        path.write_text(before)
        mutations.mutate(tmp_path, mutation)
        assert path.read_text() != before
