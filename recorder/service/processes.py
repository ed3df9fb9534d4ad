"""Starts and stops daemon and console as processes."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from recorder.common.home import Home
from recorder.common.process_hardening import wiping_environment
from recorder.common.service_manager import without_manager

AGAIN_S = 1.0
"""How long a process has to end before it is terminated again, seconds."""

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class NotReadyError(Exception):
    """A process did not become ready; the message is a sentence."""


def start(home: Home, command: str, *, log: Path | None = None) -> subprocess.Popen[bytes]:
    """Start ``recorder COMMAND`` in a home; output goes to ``log`` if given.

    It is in a process group of its own: Ctrl-C in a terminal reaches only who started it. A console that got it too
    would leave while the daemon drains, and nobody could pause.
    """
    arguments = [sys.executable, "-m", "recorder", command, "-C", str(home.root)]
    environment = without_manager(wiping_environment(os.environ))
    if log is None:
        return subprocess.Popen(arguments, env=environment, process_group=0)  # noqa: S603 - ourselves
    with log.open("ab") as file:
        return subprocess.Popen(  # noqa: S603 - ourselves
            arguments, env=environment, stderr=file, stdout=file, process_group=0
        )


def stop(child: subprocess.Popen[bytes], within_s: float = 20.0) -> int:
    """End a process at once, and kill it if it does not end in time; return its exit code.

    It is terminated each second, because a daemon drains at the first SIGTERM and ends its calls at the second.
    """
    deadline = time.monotonic() + within_s
    while child.poll() is None and time.monotonic() < deadline:
        child.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(AGAIN_S)
    if child.poll() is None:
        child.kill()
    return child.wait()


def drain_and_stop(daemon: subprocess.Popen[bytes], others: Sequence[subprocess.Popen[bytes]]) -> list[int]:
    """Have a daemon drain, stop the others when it has left, and return the exit codes.

    KeyboardInterrupt ends the daemon's calls. Further signals are ignored: the processes are in groups of their own, so
    one that is not stopped here would go on with nobody to stop it. Call it on the main thread.
    """
    codes = []
    try:
        if daemon.poll() is None:
            daemon.terminate()
        codes.append(daemon.wait())
    except KeyboardInterrupt:
        pass
    finally:
        handlers = {number: signal.signal(number, signal.SIG_IGN) for number in _ENDING}
    try:
        return [*(codes or [stop(daemon)]), *map(stop, others)]
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def wait_ready(home: Home, child: subprocess.Popen[bytes], within_s: float = 20.0) -> None:
    """Wait until the daemon answers on its socket.

    Raises:
        NotReadyError: It ended, or does not answer in time.
    """
    # An HTTP client, which the daemon itself need not load.
    from recorder.control.client import LiveClient  # noqa: PLC0415
    from recorder.control.errors import DaemonRefusedError, DaemonUnavailableError  # noqa: PLC0415

    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise NotReadyError("the daemon did not start; see its message above or in its log")
        try:
            with LiveClient(home.socket) as client:
                client.health()
            return
        except (DaemonUnavailableError, DaemonRefusedError):
            time.sleep(0.05)
    raise NotReadyError(f"the daemon did not answer within {within_s:g} s")
