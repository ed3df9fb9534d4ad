"""TCP and TLS: one thread with an asyncio loop, which accepts, connects and sends.

The call thread must never wait for a connect, a handshake or a send, so this thread does them; the two threads exchange
messages by callbacks only (ADR 18). `sip.acceptor` accepts connections, `sip.connector` makes them. This module knows
neither the meaning of messages nor sippy.
"""

import asyncio
import collections
import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

from sip.acceptor import Acceptor, listen
from sip.connection import Connection
from sip.connector import Connector, Parcel
from sip.options import Address, SipOptions, TransportKind
from sip.stream_state import StreamState
from sip.tls import TlsContexts, load
from sip.trust import Trust

_log = logging.getLogger(__name__)

DRAIN_S = 2.0
"""How long a stop waits until queued messages are sent."""


class Receiver(Protocol):
    """Receives messages; called on the I/O thread. `sip.arrivals.Arrivals` implements it."""

    def message(self, connection: Connection, data: bytes) -> bool:
        """Take one message; return whether it is queued for the call thread."""

    def lost(self, connection: Connection) -> None:
        """Note that a connection ended over which we had sent something."""


class Streams:
    """All TCP and TLS connections of an endpoint. The call thread makes, uses and closes it; its own thread works."""

    def __init__(self, options: SipOptions, trust: Trust, receiver: Receiver) -> None:
        """Bind the listeners; `start` begins to accept.

        Raises:
            BindError: An address cannot be bound.
            TlsFilesError: Certificate, key or authorities cannot be used.
        """
        self._tls_options = options.tls
        self._receiver = receiver
        tls = load(options.tls) if options.tls is not None else None
        self._listeners = listen(options)
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_log_failure)
        self._state = StreamState(self, self._loop, limits=options.streams, trust=trust, tls=tls)
        self._acceptor = Acceptor(self._state, self._listeners)
        self._connector = Connector(self._state, self._listeners)
        self._thread = threading.Thread(target=self._run, name="sip-streams", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def addresses(self) -> dict[TransportKind, Address]:
        """The addresses bound, with real ports."""
        return {
            kind: Address(host=listener.getsockname()[0], port=listener.getsockname()[1], transport=kind)
            for kind, listener in self._listeners.items()
        }

    @property
    def contexts(self) -> TlsContexts | None:
        """The TLS contexts, or None."""
        return self._state.tls

    @property
    def connections(self) -> int:
        """Number of connections; any thread."""
        return len(self._state.open)

    @property
    def counters(self) -> collections.Counter[str]:
        """Dropped or refused messages and connections, by reason."""
        return self._state.counters

    def renew(self) -> None:
        """Read the TLS files again, for new connections. Any thread.

        Raises:
            TlsFilesError: They cannot be used; nothing has changed.
        """
        if self._tls_options is not None:
            self._state.tls = load(self._tls_options)

    def send(self, parcel: Parcel) -> None:
        """Send a parcel soon. Any thread."""
        self._later(self._connector.send, parcel)

    def alias(self, connection: Connection, address: Address) -> None:
        """Use a connection that a peer opened for messages to an address of that peer (RFC 5923). Any thread."""
        self._later(self._connector.adopt, connection, address)

    def read_on(self, connection: Connection) -> None:
        """Resume reading a connection whose messages were handled. Any thread."""
        self._later(connection.read_on)

    def close(self) -> None:
        """Send queued messages, close all connections, end the thread. Idempotent."""
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):
                asyncio.run_coroutine_threadsafe(self._drain(), self._loop)
            self._thread.join(DRAIN_S + 1.0)
        elif not self._loop.is_running():
            self._acceptor.close()
            self._loop.close()

    # -- events of connections (sip.connection.Owner)

    def arrived(self, connection: Connection, data: bytes) -> bool:
        """Pass a message on to the receiver."""
        if connection.is_ours and not connection.has_spoken:
            self._state.troubles.is_over(str(connection.target))
        connection.has_spoken = True
        return self._receiver.message(connection, data)

    def lost(self, connection: Connection) -> None:
        """Remove a connection that ended."""
        self._connector.forget(connection)
        if connection.has_carried:
            self._receiver.lost(connection)

    def count(self, what: str) -> None:
        """Count a dropped or refused message or connection."""
        self._state.counters[what] += 1

    # -- the thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._acceptor.start()
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def _later(self, fn: Callable[..., object], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(fn, *args)

    async def _drain(self) -> None:
        state = self._state
        state.is_closing = True
        self._acceptor.stop()
        for connection in list(state.open):
            if connection.is_open:  # others close once they are connected and their queue is sent
                connection.close()
        if state.tasks:
            await asyncio.wait(state.tasks, timeout=DRAIN_S)
        for connection in list(state.open):
            connection.cut()
        for task in state.tasks:
            task.cancel()
        self._loop.call_soon(self._loop.stop)


def _log_failure(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # asyncio's text may quote a message, so only the type is logged.
    error = context.get("exception")
    if not isinstance(error, OSError):
        _log.error("a connection failed: %s", type(error).__name__ if error else context.get("message"))
