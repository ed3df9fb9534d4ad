"""The home lock: one daemon at a time holds it."""

import contextlib
from collections.abc import Iterator

from recorder.common.file_lock import locked
from recorder.common.home import Home


class AlreadyRunningError(Exception):
    """Another daemon holds this home."""


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
