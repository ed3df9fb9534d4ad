"""The process that sends to other systems: `python -m recorder.service.forwarder HOME DAEMON_PID`.

The daemon starts it (`recorder.service.forwarding`). It is a process of its own so that names that do not resolve,
servers that hang and faults of TLS or HTTP reach neither the memory nor the time of calls. It opens no recording and no
key of one. Only one runs in a home, and none without its daemon.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from recorder.common import child_process
from recorder.common.clock import utc_now
from recorder.common.file_lock import locked
from recorder.common.home import Home
from recorder.common.logs import use_format
from recorder.config.reading import read_config
from recorder.config.settings import Config
from recorder.config.toml_tables import ConfigError
from recorder.forwarding.audit_follower import PositionFile
from recorder.forwarding.sending_progress import SendingState
from recorder.forwarding.status import WRITTEN_EVERY_S, ForwardingStatus, note_status
from recorder.forwarding.syslog_forwarding import SyslogForwarding
from recorder.forwarding.webhook_delivery import TargetDelivery
from recorder.forwarding.webhook_intake import WebhookIntake
from recorder.forwarding.webhook_queue import QueueError, WebhookQueue
from storage.audit import AuditLog
from storage.types import RecordingRow, Search

_log = logging.getLogger(__name__)

DONE, FAILED = 0, 1
LOCK, SYSLOG_POSITION = "forwarding.lock", "syslog.json"
_LOOK_S = 1.0
_END_S = 6.0
"""How long the last try may take."""


class Forwarder:
    """The threads that send.

    Args:
        home: The recorder's home.
        config: Its configuration.
        daemon: Process id of the daemon that started this process.
    """

    def __init__(self, home: Home, config: Config, *, daemon: int) -> None:
        self._home = home
        self._daemon = daemon
        self._stopping = threading.Event()
        self._syslog: SyslogForwarding | None = None
        self._threads: list[threading.Thread] = []
        self._waited_for: list[threading.Thread] = []
        """At the end, unlike deliveries: one that is cut off is made again at the next start."""
        if config.syslog.server is not None:
            self._syslog = SyslogForwarding(
                AuditLog(home.audit), config.syslog, PositionFile(home.state / SYSLOG_POSITION),
                host=socket.gethostname(), now=utc_now,
            )  # fmt: skip
            self._waited_for.append(self._add("syslog", self._syslog.keep))
        self._deliveries: list[TargetDelivery] = []
        self._intake: WebhookIntake | None = None
        if config.webhook:
            self._open_webhooks(config)
        self._copies: Callable[[], SendingState | None] = lambda: None
        if config.is_shared_index:
            self._open_shipping(config)

    def _open_shipping(self, config: Config) -> None:
        # A database library that syslog alone need not load.
        from recorder.service.audit_copying import open_shipping  # noqa: PLC0415

        shipping = open_shipping(self._home, config)
        self._copies = lambda: shipping.state
        self._waited_for.append(self._add("audit-copies", shipping.keep))

    def _open_webhooks(self, config: Config) -> None:
        # A database library that syslog alone need not load.
        from recorder.recordings.home_stores import open_index  # noqa: PLC0415

        index, queue = open_index(self._home, config, is_deferred=True), WebhookQueue(self._home.webhooks)

        def rows_since(moment: datetime) -> Iterator[RecordingRow]:
            return index.each(Search(started_from=moment), on_damaged=lambda _id: None)

        self._intake = WebhookIntake(AuditLog(self._home.audit), rows_since, queue, config.webhook, now=utc_now)
        self._waited_for.append(self._add("webhook-intake", self._intake.keep))
        for target in config.webhook:
            delivery = TargetDelivery(target, queue, now=utc_now)
            self._deliveries.append(delivery)
            self._add(f"webhook-{target.name}", delivery.keep)

    def _add(self, name: str, keep: Callable[[threading.Event], None]) -> threading.Thread:
        thread = threading.Thread(target=keep, args=(self._stopping,), name=name, daemon=True)
        self._threads.append(thread)
        return thread

    def run(self) -> None:
        """Send until SIGTERM, or until the daemon has gone; it may have gone before this begins."""
        if not self._has_daemon():
            return
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        left_s = 0.0
        for thread in self._threads:
            thread.start()
        while self._has_daemon():
            if left_s <= 0:
                self._note()
                left_s = WRITTEN_EVERY_S
            if self._stopping.wait(_LOOK_S):
                break
            left_s -= _LOOK_S
        self._stopping.set()
        deadline = time.monotonic() + _END_S
        for thread in self._waited_for:
            thread.join(max(deadline - time.monotonic(), 0.0))
        self._note()

    def _has_daemon(self) -> bool:
        return os.getppid() == self._daemon

    def _note(self) -> None:
        problem = "" if self._intake is None else self._intake.problem
        try:
            webhooks = tuple(one.state for one in self._deliveries)
        except QueueError as error:
            webhooks, problem = (), str(error)
        status = ForwardingStatus(
            at=utc_now(), syslog=None if self._syslog is None else self._syslog.state,
            copies=self._copies(), webhooks=webhooks, queue_problem=problem,
        )  # fmt: skip
        try:
            note_status(self._home.state, status)
        except OSError as error:
            _log.error("The state of sending to other systems cannot be written for health: %s", error)


def main(root: Path, daemon: int) -> int:
    """Send for a home; return the exit code."""
    child_process.begin()
    home = Home(root)
    try:
        config = read_config(home.config)
        use_format(config.log.format)
        with locked(home.state / LOCK, wait=True):
            Forwarder(home, config, daemon=daemon).run()
    except (ConfigError, OSError) as error:
        _log.error("Sending to other systems failed; retrying: %s", error)
        return FAILED
    return DONE


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
