"""The shared state of TCP and TLS: limits, TLS contexts, open connections, tasks, and the log of troubles.

I/O thread only unless noted. See `sip.streams`.
"""

import asyncio
import collections
import logging
from collections.abc import Coroutine
from typing import Any

from sip.connection import Connection, Owner
from sip.options import StreamLimits
from sip.tls import TlsContexts
from sip.trust import Trust

_log = logging.getLogger(__name__)

MAX_TOLD = 100
"""Most troubles of sources and targets that are logged."""


class TroubleLog:
    """Logs the trouble with a source or target once, until it changes."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], str] = {}

    def tell(self, who: str, what: str) -> None:
        """Log a trouble, unless it was logged before and has not changed."""
        key = (who, what.split(":", 1)[0])
        if self._told.get(key) != what and (key in self._told or len(self._told) < MAX_TOLD):
            self._told[key] = what
            _log.warning("%s %s", who, what)

    def is_over(self, who: str) -> None:
        """Note that a source or target works again, so that its next trouble is logged again."""
        for key in [key for key in self._told if key[0] == who]:
            del self._told[key]


class StreamState:
    """The state of all TCP and TLS connections of an endpoint.

    Attributes:
        owner: Of the connections.
        loop: The I/O thread's.
        limits: Limits of number and time.
        trust: Which addresses are trusted.
        tls: The TLS contexts, or None. Replaced from any thread.
        open: All connections; their number may be read from any thread.
        counters: Dropped or refused messages and connections, by reason.
        troubles: The log.
        tasks: The running tasks.
        is_closing: The endpoint is closing.
    """

    def __init__(
        self,
        owner: Owner,
        loop: asyncio.AbstractEventLoop,
        *,
        limits: StreamLimits,
        trust: Trust,
        tls: TlsContexts | None,
    ) -> None:
        self.owner = owner
        self.loop = loop
        self.limits = limits
        self.trust = trust
        self.tls = tls
        self.open: set[Connection] = set()
        self.counters: collections.Counter[str] = collections.Counter()
        self.troubles = TroubleLog()
        self.tasks: set[asyncio.Task[None]] = set()
        self.is_closing = False

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a task."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
