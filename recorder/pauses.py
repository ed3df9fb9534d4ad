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


class PauseRegister:
    """The file of pauses. ``put`` and ``drop`` are for the call thread; the write happens on the clerk's."""

    def __init__(self, path: Path, clerk: Clerk) -> None:
        self._path = path
        self._clerk = clerk
        self._lock = threading.Lock()
        self._states: dict[str, dict[str, Any]] = {}
        self._version = 0
        self._written = 0

    def left_behind(self) -> dict[str, dict[str, Any]]:
        """Return what the daemon before us left in the file: calls that were paused when it died."""
        try:
            found: dict[str, dict[str, Any]] = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return found

    def put(self, call: str, *, state: str, reasons: list[str]) -> "Future[None]":
        """Record the state of a call; the future is done when it is on disk."""
        with self._lock:
            self._states[call] = {"state": state, "reasons": reasons}
            self._version += 1
            version = self._version
        return self._clerk.submit(self._write, version)

    def drop(self, call: str) -> None:
        """Forget a call that has ended."""
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
