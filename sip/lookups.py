"""Names that peers write into their routes, asked for on a thread of their own: what goes to an address never waits.

Names of our targets are known ahead of calls (`sip.resolver`). What comes here was not known before, such as a proxy
that names itself in Record-Route; whatever the DNS does then, only messages to names wait for it.
"""

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable

from sip.resolver import SYSTEM_TTL_S

MAX_WAITING = 256
"""Messages that may wait for a name; a request that finds no room is sent again by its transaction."""

MAX_KNOWN = 256
"""Names whose address, or lack of one, is remembered for `SYSTEM_TTL_S`."""


class Lookups:
    """Finds the addresses of names for the one thread that asks.

    Args:
        family: Of the addresses wanted: ``AF_INET`` or ``AF_INET6``.
    """

    def __init__(self, family: socket.AddressFamily) -> None:
        self._family = family
        self._waiting: queue.Queue[tuple[str, Callable[[str], None]] | None] = queue.Queue(MAX_WAITING)
        self._known: dict[str, tuple[str | None, float]] = {}
        self._thread = threading.Thread(target=self._run, name="lookups", daemon=True)

    def find(self, name: str, then: Callable[[str], None]) -> bool:
        """Call ``then`` with an address of a name, if it has one, on the thread; tells whether there was room."""
        if self._thread.ident is None:
            self._thread.start()
        try:
            self._waiting.put_nowait((name, then))
        except queue.Full:
            return False
        return True

    def close(self) -> None:
        """End the thread once it is through with what waits; it is not waited for."""
        with contextlib.suppress(queue.Full):
            self._waiting.put_nowait(None)

    def _run(self) -> None:
        while (asked := self._waiting.get()) is not None:
            name, then = asked
            address = self._address(name)
            if address is not None:
                then(address)

    def _address(self, name: str) -> str | None:
        address, until_s = self._known.pop(name, (None, 0.0))
        if until_s < time.monotonic():
            try:
                address = str(socket.getaddrinfo(name, None, self._family)[0][4][0])
            except (OSError, ValueError):
                address = None
            until_s = time.monotonic() + SYSTEM_TTL_S
        if len(self._known) >= MAX_KNOWN:
            del self._known[next(iter(self._known))]
        self._known[name] = (address, until_s)
        return address
