"""The process that sends to other systems: `python -m recorder.service.forwarder HOME`.

The daemon starts it (`recorder.service.forwarding`). It is a process of its own so that names that do not resolve,
servers that hang and faults of TLS or HTTP reach neither the memory nor the time of calls. It opens no recording and no
key of one. Only one runs in a home.
"""

import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from recorder.common.clock import utc_now
from recorder.common.file_lock import locked
from recorder.common.home import Home
from recorder.common.logs import log_to_stderr, use_format
from recorder.common.process_hardening import forbid_dumps
from recorder.config.reading import read_config
from recorder.config.settings import Config
from recorder.config.toml_tables import ConfigError
from recorder.forwarding.audit_follower import PositionFile
from recorder.forwarding.status import WRITTEN_EVERY_S, Status, note_status
from recorder.forwarding.syslog_forwarding import SyslogForwarding
from storage.audit import AuditLog

_log = logging.getLogger(__name__)

DONE, FAILED = 0, 1
LOCK, SYSLOG_POSITION = "forwarding.lock", "syslog.json"
_NICE = 5
"""As that of the sweep: calls come first."""
_LOOK_S = 1.0
_END_S = 6.0
"""How long the threads may take for their last try."""


class Forwarder:
    """The threads that send.

    Args:
        home: The recorder's home.
        config: Its configuration.
    """

    def __init__(self, home: Home, config: Config) -> None:
        self._home = home
        self._stopping = threading.Event()
        self._syslog: SyslogForwarding | None = None
        self._threads: list[threading.Thread] = []
        if config.syslog.server is not None:
            self._syslog = SyslogForwarding(
                AuditLog(home.audit), config.syslog, PositionFile(home.state / SYSLOG_POSITION),
                host=socket.gethostname(), now=utc_now,
            )  # fmt: skip
            self._add("syslog", self._syslog.keep)

    def _add(self, name: str, keep: Callable[[threading.Event], None]) -> None:
        self._threads.append(threading.Thread(target=keep, args=(self._stopping,), name=name, daemon=True))

    def run(self) -> None:
        """Send until SIGTERM, or until the daemon has gone."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        parent, left_s = os.getppid(), 0.0
        for thread in self._threads:
            thread.start()
        while os.getppid() == parent:
            if left_s <= 0:
                self._note()
                left_s = WRITTEN_EVERY_S
            if self._stopping.wait(_LOOK_S):
                break
            left_s -= _LOOK_S
        self._stopping.set()
        for thread in self._threads:
            thread.join(_END_S)
        self._note()

    def _note(self) -> None:
        status = Status(at=utc_now(), syslog=None if self._syslog is None else self._syslog.state)
        try:
            note_status(self._home.state, status)
        except OSError as error:
            _log.error("The state of sending to other systems cannot be written for health: %s", error)


def main(root: Path) -> int:
    """Send for a home; return the exit code."""
    log_to_stderr()
    forbid_dumps()
    os.nice(_NICE)
    home = Home(root)
    try:
        config = read_config(home.config)
        use_format(config.log.format)
        with locked(home.state / LOCK, wait=True):
            Forwarder(home, config).run()
    except (ConfigError, OSError) as error:
        _log.error("Sending to other systems failed; retrying: %s", error)
        return FAILED
    return DONE


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
