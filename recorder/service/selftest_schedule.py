"""Runs the self-test as often as `[selftest] every_minutes` says, in a process of its own.

One thread of the daemon, which only waits. The result comes over the daemon's socket, as of any self-test.
"""

import logging
import subprocess
import threading
import time
from collections.abc import Callable

from recorder.common.child_process import Child, end, start_module
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.service.selftests import LIMIT_S, NOT_RUN, SelfTests
from storage.audit_entry import RECORDER

_log = logging.getLogger(__name__)

LOOK_S = 5.0
FIRST_S = 60.0
"""From the daemon's start to the first self-test, seconds."""
CANNOT_RUN = 3
"""Exit code of `recorder.selftest.process`: not now, as in a drain; the next one is tried when it is due."""
_END_S = 5.0


def start_selftest(home: Home) -> Child:
    """Start a self-test as a process of its own."""
    return start_module("recorder.selftest.process", str(home.root))


class SelfTestSchedule:
    """Starts self-tests when they are due.

    Args:
        home: The recorder's home.
        config: Returns the configuration in force.
        selftests: Takes their results.
        clock: Monotonic clock, seconds.
        look_s: How often to look, seconds.
        start: Starts a self-test.
    """

    def __init__(
        self,
        home: Home,
        config: Callable[[], Config],
        selftests: SelfTests,
        *,
        clock: Callable[[], float] = time.monotonic,
        look_s: float = LOOK_S,
        start: Callable[[Home], Child] = start_selftest,
    ) -> None:
        self._home, self._config, self._selftests = home, config, selftests
        self._clock, self._look_s, self._start = clock, look_s, start
        self._due_s = clock() + FIRST_S
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="selftest", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; a self-test in progress is ended."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(2 * _END_S)

    def _go_on(self) -> None:
        while not self._stopping.wait(self._look_s):
            self.look()

    def look(self) -> None:
        """Run a self-test if one is due."""
        minutes = self._config().selftest.every_minutes
        if minutes is None or self._clock() < self._due_s:
            return
        self._due_s = self._clock() + 60 * minutes
        began_s, results = self._clock(), self._selftests.results
        code = self._run()
        if code not in (0, CANNOT_RUN, None) and self._selftests.results == results:
            self._selftests.note(RECORDER, [NOT_RUN], self._clock() - began_s)

    def _run(self) -> int | None:
        """Run one to its end; return its exit code, or None if the daemon stops."""
        try:
            child = self._start(self._home)
        except OSError as error:
            _log.error("the self-test cannot be started: %s", error)
            return 1
        until = self._clock() + LIMIT_S
        while not self._stopping.is_set() and self._clock() < until:
            try:
                return child.wait(0.5)
            except subprocess.TimeoutExpired:
                continue
        end(child, _END_S)
        return None if self._stopping.is_set() else 1
