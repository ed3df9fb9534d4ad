"""Keeps the process that sends to other systems running, and starts it again when the configuration changes."""

import os
from collections.abc import Callable

from recorder.common.child_process import Child, start_module
from recorder.common.home import Home
from recorder.common.kept_process import KeptProcess
from recorder.config.settings import Config
from recorder.forwarding.retries import pause_s
from recorder.forwarding.status import is_any
from recorder.forwarding.webhook_queue import WebhookQueue


def start_forwarder(home: Home) -> Child:
    """Start the process that sends."""
    return start_module("recorder.service.forwarder", str(home.root), str(os.getpid()))


class Forwarding(KeptProcess):
    """Keeps the process running while something is configured to be sent.

    Args:
        home: The recorder's home.
        config: Returns the configuration in force.
        start: Starts the process.
    """

    def __init__(
        self, home: Home, config: Callable[[], Config], *, start: Callable[[Home], Child] = start_forwarder
    ) -> None:
        super().__init__(
            "The process that sends to other systems", name="forwarding", wanted=lambda: wanted_of(config()),
            start=lambda: start(home), pause_s=pause_s,
        )  # fmt: skip
        self._home = home
        self._config = config
        self._has_marks = True
        """Whether the queue may have marks of a time when webhooks were configured."""

    def look(self) -> None:
        """Start or end the process as the configuration wants it.

        Raises:
            OSError: It cannot be started.
            QueueError: The queue of webhooks cannot be used.
        """
        super().look()
        if self._config().webhook:
            self._has_marks = True
        elif self._has_marks:  # or webhooks that are configured again would be told of what was in between
            WebhookQueue(self._home.webhooks).forget_marks()
            self._has_marks = False


def wanted_of(config: Config) -> object | None:
    """Return the settings that the process runs with, or None: nothing is to be sent."""
    used = (config.syslog, config.webhook, config.storage.index_url, config.node.name, config.log)
    return used if is_any(config) else None
