"""Starts the process that sends to other systems, watches over it, and starts it again when the configuration changes.

One thread of the daemon, which only waits.
"""

import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from recorder.common.child_process import Child, end, start_module
from recorder.common.home import Home
from recorder.config.settings import Config
from recorder.forwarding.retries import pause_s
from recorder.forwarding.status import is_any
from recorder.forwarding.webhook_queue import QueueError, WebhookQueue

_log = logging.getLogger(__name__)

LOOK_S = 1.0
_WELL_AFTER = 60
"""After so many looks a run counts as good: its end is the first failure again."""
END_S = 8.0
"""How long the process may take for its last try, when it is told to end."""


def start_forwarder(home: Home) -> Child:
    """Start the process that sends."""
    return start_module("recorder.service.forwarder", str(home.root), str(os.getpid()))


class Forwarding:
    """Keeps the process running while something is configured to be sent.

    Args:
        home: The recorder's home.
        config: Returns the configuration in force.
        start: Starts the process.
    """

    def __init__(
        self, home: Home, config: Callable[[], Config], *, start: Callable[[Home], Child] = start_forwarder
    ) -> None:
        self._home = home
        self._config = config
        self._start = start
        self._child: Child | None = None
        self._runs_with: Any = None
        self._deaths = 0
        self._looks = 0
        self._wait_s = 0.0
        self._has_marks = True
        """Whether the queue may have marks of a time when webhooks were configured."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="forwarding", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End the process, after it has sent what is new."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(2 * END_S)

    def _keep(self) -> None:
        is_over = False
        while not is_over:
            try:
                self.look()
            except (OSError, QueueError) as error:
                _log.error("Starting or ending the process that sends to other systems failed; retrying: %s", error)
            except Exception:  # noqa: BLE001 - what is to be sent must be sent in the end
                _log.exception("Internal error while starting the process that sends to other systems; retrying")
            is_over = self._stopping.wait(LOOK_S)
        self._end()

    def look(self) -> None:
        """Start or end the process as the configuration wants it.

        Raises:
            OSError: It cannot be started.
            QueueError: The queue of webhooks cannot be used.
        """
        config = self._config()
        wanted = wanted_of(config)
        if self._child is not None and (code := self._child.poll()) is not None:
            self._deaths = 1 if self._looks >= _WELL_AFTER else self._deaths + 1
            self._wait_s = pause_s(self._deaths)
            self._child = None
            _log.error("The process that sends to other systems ended (%d); starting it in %g s", code, self._wait_s)
        if self._child is not None and wanted != self._runs_with:
            self._end()
        self._wait_s -= LOOK_S
        self._looks += 1
        if self._child is None and wanted is not None and self._wait_s <= 0:
            self._child, self._runs_with, self._looks = self._start(self._home), wanted, 0
        if config.webhook:
            self._has_marks = True
        elif self._has_marks:  # or webhooks that are configured again would be told of what was in between
            WebhookQueue(self._home.webhooks).forget_marks()
            self._has_marks = False

    def _end(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            end(child, END_S)


def wanted_of(config: Config) -> object | None:
    """Return the settings that the process runs with, or None: nothing is to be sent."""
    return (config.syslog, config.webhook, config.storage.index_url, config.log) if is_any(config) else None
