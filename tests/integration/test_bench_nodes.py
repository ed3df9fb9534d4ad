"""The benchmark of two recorders with one PostgreSQL: calls stand on both, and each figure is there."""

import pytest

from benchmarks import nodes

pytestmark = [pytest.mark.usefixtures("begins_at_once"), pytest.mark.long]


def test_calls_stand_on_both_nodes_and_are_in_one_index() -> None:
    found = nodes.measure(calls=4, seconds=1.0, rate=20.0)
    assert found["outcomes"] == {"recorded": 4}
    assert found["alone"]["outcomes"] == {"recorded": 2}
    assert found["failed_calls"] == found["never_ended"] == 0
    assert len(found["cpu_ms_per_call_second"]) == len(found["setup_cpu_ms_per_call"]) == 2
    assert min(found["cpu_ms_per_call_second"]) > 0
    assert found["database_cpu_ms_per_call"] > 0
    assert 10_000 < found["stored_bytes_per_call_second"] < 60_000  # 16 kB, less the silence before the first packet
