"""Tells systemd how this process is: the protocol of sd_notify(3), a datagram to the socket in ``NOTIFY_SOCKET``.

Written here because it is three lines of protocol: the package on PyPI has had no release for years, and python-systemd
needs a compiler and libsystemd's headers. Without a service manager every method does nothing.
"""

import contextlib
import logging
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping, MutableMapping

_log = logging.getLogger(__name__)

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
PATIENCE_S = 2.0
"""How long a message that must not be lost waits for room in the manager's queue, seconds."""


class ServiceManager:
    """Sends messages to the service manager. Any thread.

    Args:
        address: Its socket, a path or an abstract name that begins with ``@``; None if there is no manager.
        watchdog_s: Within how many seconds it must be fed; None if it has no watchdog.
        is_silent: systemd has started this process and wants to hear nothing of it: its unit has no ``Type=notify``.

    Attributes:
        watchdog_s: As given.
        is_silent: As given. Such a manager may kill this process some time after SIGTERM, and cannot be asked for more.
    """

    def __init__(self, address: str | None = None, watchdog_s: float | None = None, *, is_silent: bool = False) -> None:
        is_known = address is not None and address[:1] in ("/", "@")
        if address and not is_known:
            _log.warning("NOTIFY_SOCKET is %s, which is no Unix socket; systemd is told nothing", address)
        self._address = None if address is None or not is_known else re.sub(r"^@", "\0", address)
        self.watchdog_s = watchdog_s if is_known else None
        self.is_silent = is_silent
        self._has_failed = False

    @classmethod
    def taken_from(cls, environment: MutableMapping[str, str]) -> "ServiceManager":
        """Return the manager that an environment names, and remove its variables, so that no child inherits them."""
        address, usec, pid = (environment.pop(name, None) for name in _VARIABLES)
        is_ours = pid in (None, str(os.getpid()))
        is_silent = not address and environment.get("SYSTEMD_EXEC_PID") == str(os.getpid())
        has_watchdog = is_ours and usec is not None and usec.isdigit() and int(usec) > 0
        return cls(address or None, int(usec or 0) / 1e6 if has_watchdog else None, is_silent=is_silent)

    def ready(self, status: str) -> None:
        """Say that the start, or a reload, has ended."""
        self._send(f"READY=1\nSTATUS={status}", wait_s=PATIENCE_S)

    def stopping(self) -> None:
        """Say that this process is about to end."""
        self._send("STOPPING=1", wait_s=PATIENCE_S)

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """Say that the configuration is read again, and at the end of the block that this has ended."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}", PATIENCE_S)
        try:
            yield
        finally:
            self._send("READY=1", wait_s=PATIENCE_S)

    def status(self, text: str) -> None:
        """Say in one line how this process is; `systemctl status` shows it."""
        self._send(f"STATUS={text}")

    def extend(self, seconds: float) -> None:
        """Ask for more time to start or to stop: within ``seconds`` another message follows."""
        self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def feed(self) -> None:
        """Say that this process makes progress."""
        self._send("WATCHDOG=1")

    def _send(self, text: str, wait_s: float = 0.0) -> None:
        """Send a message. One that must not be lost waits; the others are sent again soon in any case."""
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
                out.settimeout(wait_s)
                out.connect(self._address)
                out.sendall(text.encode())
        except OSError as error:
            if not self._has_failed:
                _log.warning("systemd could not be told %s: %s", text.split("\n", 1)[0], error)
            self._has_failed = True
        else:
            self._has_failed = False


def without_manager(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for a child that is no service of its own."""
    return {name: value for name, value in environment.items() if name not in _VARIABLES}
