"""The media threads: their priority, and the wait in which packets gather."""

import os
import resource
import time
from pathlib import Path

import pytest

from audio._relay import Core
from audio.relay import Relay
from audio.types import RelayOptions

_MEDIA_NICE = -10


def priorities() -> list[int]:
    """Return the nice value of every thread of this process (proc(5), field 19)."""
    lines = [path.read_text().rpartition(")")[2] for path in Path("/proc/self/task").glob("*/stat")]
    return [int(line.split()[16]) for line in lines]


def may_raise_priority() -> bool:
    return os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_NICE)[0] >= 20 - _MEDIA_NICE


def test_media_threads_go_before_everything_else_where_that_is_allowed() -> None:
    before = priorities().count(_MEDIA_NICE)
    expected = 2 if may_raise_priority() else 0
    with Relay(RelayOptions(threads=2, lock_memory=False)):
        deadline = time.monotonic() + 5
        while (found := priorities().count(_MEDIA_NICE) - before) != expected and time.monotonic() < deadline:
            time.sleep(0.005)
    assert found == expected


@pytest.mark.parametrize("gather_us", [-1, 10_001])
def test_a_wait_out_of_range_is_refused(gather_us: int) -> None:
    with pytest.raises(ValueError, match="Core"):
        Core(lock_memory=False, gather_us=gather_us)
