"""A daemon without a call sleeps: nothing in it looks many times a second whether there is work."""

import re
import time
from pathlib import Path

from tests.helpers import procfs
from tests.helpers.recorder_home import recorder_home
from tests.helpers.starvation import with_children

SECONDS = 6.0
SETTLED_S = 3.0
MOST_WAKES_PER_S = 20
"""A wake-up costs a machine that sleeps otherwise: with 140 a second it never reaches its deeper states of sleep."""
_SWITCHES = re.compile(rb"^voluntary_ctxt_switches:\s*(\d+)", re.MULTILINE)


def wakes(pid: int) -> dict[str, int]:
    """Return how often each thread of a process and of its children has gone to sleep so far."""
    found = {}
    for process in with_children(pid):
        for task in Path(f"/proc/{process}/task").iterdir():
            text = procfs.read(f"{process}/task/{task.name}/status")
            switches = _SWITCHES.search(text)
            assert switches is not None, text
            found[f"{process}/{task.name}"] = int(switches[1])
    return found


def test_a_daemon_without_a_call_wakes_at_most_twenty_times_a_second(tmp_path: Path) -> None:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5060") as home:
        time.sleep(SETTLED_S)
        began_s, before = time.monotonic(), wakes(home.pid)
        time.sleep(SECONDS)
        after = wakes(home.pid)
        gained = {thread: count - before.get(thread, 0) for thread, count in after.items()}
        most = MOST_WAKES_PER_S * (time.monotonic() - began_s)
    assert sum(gained.values()) <= most, sorted(gained.items(), key=lambda one: -one[1])[:6]
