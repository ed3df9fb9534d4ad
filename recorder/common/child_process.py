"""Programs of the recorder that the daemon runs as processes of their own, and ends when it ends."""

import os
import subprocess
import sys
from typing import Protocol

from recorder.common.logs import log_to_stderr
from recorder.common.process_hardening import forbid_dumps, wiping_environment

_NICE = 5
"""Calls come first. At the lowest priority others wait seconds for a lock of the process while all processors are busy.

Measured with the sweep and 12 busy processes on 2 cores: 2.0 s at 19, 0.35 s at 5.
"""


class Child(Protocol):
    """A running process; `subprocess.Popen` in production."""

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""

    def terminate(self) -> None:
        """Ask it to end."""

    def kill(self) -> None:
        """End it."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended."""


class NotNeeded:
    """Stands for a process that was not started, since there was nothing to do.

    Args:
        code: Its exit code.
    """

    def __init__(self, code: int) -> None:
        self._code = code

    def poll(self) -> int | None:
        """Return the exit code."""
        return self._code

    def terminate(self) -> None:
        """Do nothing."""

    def kill(self) -> None:
        """Do nothing."""

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit code."""
        return self._code


def start_module(module: str, *words: str) -> Child:
    """Run a module as a program, in its own session, so that terminal signals do not reach it. Raises OSError."""
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", module, *words],
        env=wiping_environment(os.environ),
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def begin() -> None:
    """Set up a process that `start_module` started: its log, no memory dumps, and a lower priority than calls have."""
    log_to_stderr()
    forbid_dumps()
    os.nice(_NICE)


def end(child: Child, within_s: float) -> None:
    """Ask a process to end, and kill it when it has not ended in time."""
    child.terminate()
    try:
        child.wait(within_s)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
