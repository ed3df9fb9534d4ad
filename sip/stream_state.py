"""What the parts of TCP and TLS share: limits, contexts, open connections, tasks, and the log of troubles.

I/O thread only, but for what says otherwise. See `sip.streams`.
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
"""Sources and targets whose trouble is named in the log."""


class TroubleLog:
    """Logs what is wrong with whom, once until it changes."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], str] = {}

    def tell(self, who: str, what: str) -> None:
        """Log what is wrong with somebody, once until it changes."""
        key = (who, what.split(":", 1)[0])
        if self._told.get(key) != what and (key in self._told or len(self._told) < MAX_TOLD):
            self._told[key] = what
            _log.warning("%s %s", who, what)

    def is_over(self, who: str) -> None:
        """Log the same again when it comes back after all was well."""
        for key in [key for key in self._told if key[0] == who]:
            del self._told[key]


class StreamState:
    """The state of all TCP and TLS of an endpoint.

    Attributes:
        owner: Who has the connections.
        loop: The I/O thread's.
        limits: How many connections there may be, and how long everything may take.
        trust: Which addresses are heard.
        tls: What TLS is made with, or None. Replaced from any thread.
        open: All connections; their number may be read from any thread.
        counters: What went no further.
        troubles: The log.
        tasks: What is being done.
        is_closing: All of it ends.
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
        """Have something done."""
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
