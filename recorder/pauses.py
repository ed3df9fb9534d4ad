"""Which calls are paused, on disk: a pause is acknowledged only when it would survive the process.

One small file holds the state of every live call. Writing is the clerk's; requests that wait together share one write.
"""

import json
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from recorder.clerk import Clerk
from storage.durable import save_atomically

States = dict[str, dict[str, Any]]
"""By call: ``state``, ``reasons``, and ``position_s``, from where the state holds."""


def read_states(path: Path) -> States:
    """Return what a daemon wrote into the file, by call; nothing if there is no such file, or it cannot be read."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_states(path: Path, states: States) -> None:
    """Save what is left of the states after a recovery. OSError if the disk refuses."""
    save_atomically(path, json.dumps(states).encode())


class PauseRegister:
    """The file of pauses. ``put`` and ``drop`` may come from any thread; the write happens on the clerk's.

    What a daemon before us left in it, and recovery did not settle, stays in it.
    """

    def __init__(self, path: Path, clerk: Clerk) -> None:
        self._path = path
        self._clerk = clerk
        self._lock = threading.Lock()
        self._states = read_states(path)
        self._version = 0
        self._written = 0

    def put(self, call: str, *, state: str, reasons: list[str], position_s: float) -> "Future[None]":
        """Record the state of a call and where it took effect; the future is done when it is on disk."""
        with self._lock:
            self._states[call] = {"state": state, "reasons": reasons, "position_s": round(position_s, 4)}
            self._version += 1
            version = self._version
        return self._clerk.submit(self._write, version)

    def drop(self, call: str) -> None:
        """Forget a call that is filed: until then recovery may need to know."""
        with self._lock:
            if self._states.pop(call, None) is None:
                return
            self._version += 1
            version = self._version
        self._clerk.submit(self._write, version)

    def _write(self, version: int) -> None:
        with self._lock:
            if self._written >= version:  # a write that began later has covered this one
                return
            covered, content = self._version, json.dumps(self._states).encode()
        save_atomically(self._path, content)
        self._written = covered
