"""Health says for how long the call thread was kept from its work, whatever kept it."""

import os
import signal
import time
from pathlib import Path

from recorder.service.stalls import EVERY_S
from tests.helpers.recorder_home import eventually, recorder_home

LONGER_S = 0.6


def test_a_daemon_that_was_held_up_says_for_how_long(tmp_path: Path) -> None:
    with recorder_home(tmp_path, next_hop="127.0.0.1:5060") as home:
        before = home.health()["call_thread"]
        held_s = before["longest_stall_ms"] / 1000 + LONGER_S
        os.kill(home.pid, signal.SIGSTOP)
        time.sleep(held_s)
        os.kill(home.pid, signal.SIGCONT)
        least_ms = 1000 * (held_s - EVERY_S)
        eventually(lambda: home.health()["call_thread"]["longest_stall_ms"] >= least_ms, "the stall is told")
        after = home.health()["call_thread"]
    assert before["longest_stall_ms"] < least_ms
    assert after["longest_stall_lately_ms"] == after["longest_stall_ms"]
    assert after["stalls_over_100_ms"] > before["stalls_over_100_ms"]
