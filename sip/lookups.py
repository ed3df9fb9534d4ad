"""Looks up the host names that peers write into their routes, on a thread of its own.

Names of configured targets are resolved in advance (`sip.resolver`). Others, such as a proxy's own name in
Record-Route, are looked up here; only messages to such names wait for the DNS.
"""

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable

from sip.resolver import SYSTEM_TTL_S

MAX_WAITING = 256
"""Messages that may wait for a lookup; further requests are retransmitted by their transactions."""

MAX_KNOWN = 256
"""Names whose address, or the lack of an address, is cached for `SYSTEM_TTL_S`."""


class Lookups:
    """Finds the addresses of names; one thread may call it.

    Args:
        family: Of the addresses wanted: ``AF_INET`` or ``AF_INET6``.
    """

    def __init__(self, family: socket.AddressFamily) -> None:
        self._family = family
        self._waiting: queue.Queue[tuple[str, Callable[[str], None]] | None] = queue.Queue(MAX_WAITING)
        self._known: dict[str, tuple[str | None, float]] = {}
        self._thread = threading.Thread(target=self._run, name="lookups", daemon=True)

    def find(self, name: str, then: Callable[[str], None]) -> bool:
        """Look a name up; return whether the queue took it.

        ``then`` is called with an address on the lookup thread; not at all if the name has none.
        """
        if self._thread.ident is None:
            self._thread.start()
        try:
            self._waiting.put_nowait((name, then))
        except queue.Full:
            return False
        return True

    def close(self) -> None:
        """End the thread after the queued lookups; does not wait for it."""
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
