"""Starts and stops daemon and console as processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

from recorder.common.home import Home
from recorder.common.process_hardening import wiping_environment


class NotReadyError(Exception):
    """A process did not become ready; the message is a sentence."""


def start(home: Home, command: str, *, log: Path | None = None) -> subprocess.Popen[bytes]:
    """Start ``recorder COMMAND`` in a home; output goes to ``log`` if given."""
    arguments = [sys.executable, "-m", "recorder", command, "-C", str(home.root)]
    environment = wiping_environment(os.environ)
    if log is None:
        return subprocess.Popen(arguments, env=environment)  # noqa: S603 - ourselves
    with log.open("ab") as file:
        return subprocess.Popen(arguments, env=environment, stderr=file, stdout=file)  # noqa: S603 - ourselves


def stop(child: subprocess.Popen[bytes], within_s: float = 20.0) -> int:
    """Terminate a process, and kill it if it does not end in time; return its exit code."""
    if child.poll() is None:
        child.terminate()
    try:
        return child.wait(within_s)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def wait_ready(home: Home, child: subprocess.Popen[bytes], within_s: float = 20.0) -> None:
    """Wait until the daemon answers on its socket.

    Raises:
        NotReadyError: It ended, or does not answer in time.
    """
    from recorder.control.client import (  # noqa: PLC0415 - an HTTP client, which the daemon itself need not load
        DaemonRefusedError,
        DaemonUnavailableError,
        LiveClient,
    )

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
