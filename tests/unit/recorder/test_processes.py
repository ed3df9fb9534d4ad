"""Daemon and console as processes: none is left behind, however often somebody presses Ctrl-C."""

import os
import signal
import subprocess
import sys

import pytest

from recorder.service.processes import drain_and_stop


class Interrupted(subprocess.Popen[bytes]):
    """A process during whose end somebody presses Ctrl-C each time that it is looked at."""

    def wait(self, timeout: float | None = None) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        return super().wait(timeout)


def test_a_third_interrupt_leaves_no_process_behind() -> None:
    sleeping = (sys.executable, "-S", "-c", "import time; time.sleep(60)")
    daemon, console = Interrupted(sleeping), Interrupted(sleeping)
    try:
        assert drain_and_stop(daemon, [console]) == [-signal.SIGTERM, -signal.SIGTERM]
    except KeyboardInterrupt:
        pytest.fail("the console is left behind")
    finally:
        left = [one for one in (daemon, console) if one.returncode is None]
        for one in left:
            one.kill()
            subprocess.Popen.wait(one)
    assert not left
