"""The locks of a home: one daemon at a time holds it, and consoles share another."""

import contextlib
import socket
import struct
from collections.abc import Iterator

from recorder.common.file_lock import locked
from recorder.common.home import Home

_CONSOLE = "console.lock"


class AlreadyRunningError(Exception):
    """Another daemon holds this home, or a console runs in it."""


def is_daemon_there(home: Home) -> bool:
    """Tell whether a daemon answers in a home. Does not try its lock, which could stop a daemon from starting."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(home.socket)) == 0


def daemon_process(home: Home) -> int | None:
    """Return the process of the daemon that answers in a home, as the kernel names it; None if none does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(str(home.socket)) != 0:
            return None
        process, _, _ = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(process)


@contextlib.contextmanager
def held(home: Home) -> Iterator[None]:
    """Hold a home's lock while the daemon runs.

    Raises:
        AlreadyRunningError: Another process holds it.
    """
    with locked(home.lock, wait=False) as is_ours:
        if not is_ours:
            raise AlreadyRunningError(f"a daemon is running in {home.root} already")
        yield


@contextlib.contextmanager
def console_held(home: Home) -> Iterator[None]:
    """Share the consoles' lock of a home while a console runs.

    Raises:
        AlreadyRunningError: The home is being moved.
    """
    with locked(home.state / _CONSOLE, wait=False, is_shared=True) as is_ours:
        if not is_ours:
            raise AlreadyRunningError(f"the index of {home.root} is being moved: start the console afterwards")
        yield


@contextlib.contextmanager
def all_stopped(home: Home) -> Iterator[None]:
    """Keep daemon and console of a home from starting.

    Raises:
        AlreadyRunningError: One of them runs.
    """
    with held(home), locked(home.state / _CONSOLE, wait=False) as is_ours:
        if not is_ours:
            raise AlreadyRunningError(f"a console is running in {home.root}")
        yield
