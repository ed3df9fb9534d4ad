"""`reindex` and `fsck --repair` are killed at their steps: run again, nothing is lost or left half done."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import preloaded


@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize(("act", "aside"), [("reindex", "index.sqlite"), ("repair", ".key")])
def test_killed_at_any_step_and_run_again_nothing_is_lost(memory_path: Path, act: str, aside: str, every: int) -> None:
    program = Path(__file__).with_name("rebuild_steps.py")
    done = preloaded.run_script(program, (act, str(memory_path), str(every)), timeout_s=110)
    assert done.returncode == 0, done.stderr
    steps: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
    assert sum(one["killed"] for one in steps) >= 8, "the kills fell short"
    assert not steps[-1]["killed"]
    for one in steps:
        assert one["held"], one
        assert one["safe"], one
        assert (len(one["rows"]), len(one["containers"]), one["holds"]) == (3, 3, 1), one
        assert one["paths_fit"], one
        assert one["marked"], one
        assert one["audit"], one
        assert sum(name.endswith(aside) for name in one["aside"]) == 1, one
        assert set(one["findings"]) <= ({"temporary_file"} if act == "reindex" else set()), one
