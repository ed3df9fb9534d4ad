"""Keeps a process of its own running while the configuration wants it, and starts it again when that changes.

One thread of the daemon for each, which only waits.
"""

import logging
import threading
from collections.abc import Callable

from recorder.common.child_process import Child, end
from storage.errors import StorageError

_log = logging.getLogger(__name__)

LOOK_S = 1.0
END_S = 8.0
"""How long the process may take to end when it is told to."""
_WELL_AFTER = 60
"""After so many looks a run counts as good: its end is the first failure again."""


class KeptProcess:
    """Keeps one process running.

    Args:
        what: The process, for the log: "The process that ...".
        name: Of the thread.
        wanted: Returns the settings that the process must run with, or None: it must not run.
        start: Starts the process.
        pause_s: Returns the wait after a number of failures in a row, seconds.
        end_s: How long the process may take to end when it is told to, seconds; then it is killed.
    """

    def __init__(
        self, what: str, *, name: str, wanted: Callable[[], object | None], start: Callable[[], Child],
        pause_s: Callable[[int], float], end_s: float = END_S,
    ) -> None:  # fmt: skip
        self._what = what
        self._wanted = wanted
        self._start = start
        self._pause_s = pause_s
        self._end_s = end_s
        self._child: Child | None = None
        self._runs_with: object | None = None
        self._deaths = 0
        self._looks = 0
        self._wait_s = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def start_if_wanted(self) -> None:
        """Begin if the process must run; call it again after a change of the configuration, which may want it."""
        if self._thread.ident is None and self._wanted() is not None:
            self.start()

    def close(self) -> None:
        """End the process, and wait for it."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(2 * self._end_s)

    def _keep(self) -> None:
        is_over = False
        while not is_over:
            try:
                self.look()
            except (OSError, StorageError) as error:
                _log.error("%s: starting or ending it failed; retrying: %s", self._what, error)
            except Exception:  # noqa: BLE001 - its work must be done in the end
                _log.exception("%s: internal error while starting or ending it; retrying", self._what)
            is_over = self._stopping.wait(LOOK_S)
        self._end()

    def look(self) -> None:
        """Start or end the process as the configuration wants it. Raises OSError if it cannot be started."""
        wanted = self._wanted()
        if self._child is not None and (code := self._child.poll()) is not None:
            self._deaths = 1 if self._looks >= _WELL_AFTER else self._deaths + 1
            self._wait_s = self._pause_s(self._deaths)
            self._child = None
            _log.error("%s ended (%d); starting it in %g s", self._what, code, self._wait_s)
        if self._child is not None and wanted != self._runs_with:
            self._end()
        self._wait_s -= LOOK_S
        self._looks += 1
        if self._child is None and wanted is not None and self._wait_s <= 0:
            self._child, self._runs_with, self._looks = self._start(), wanted, 0

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            end(child, self._end_s)
