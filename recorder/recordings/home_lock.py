"""The home lock: one daemon at a time holds it."""

import contextlib
import socket
from collections.abc import Iterator

from recorder.common.file_lock import locked
from recorder.common.home import Home


class AlreadyRunningError(Exception):
    """Another daemon holds this home."""


def is_daemon_there(home: Home) -> bool:
    """Tell whether a daemon answers in a home. Does not try its lock, which could stop a daemon from starting."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(home.socket)) == 0


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
