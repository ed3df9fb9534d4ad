"""Timeouts and limits for HTTP connections of the console, and of the control API between machines.

uvicorn waits forever for the rest of a request, so half-open requests would use up all descriptors. Here each step of a
connection has a deadline. Over the limit, the oldest waiting connection of an unknown client is closed for the newest
one, so that people who are signed in always get in. Event loop only.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from recorder.common.network_sources import source_of
from recorder.rules.limits import ConnectionLimits, RateLimit

_log = logging.getLogger(__name__)

IS_KNOWN = "is_known"
"""Key in a request's state: True if the request comes with a valid session or token."""
_SAY_EVERY_S = 60.0
_HEADER, _BODY, _ANSWER = range(3)
"""What a connection waits for: the rest of a header, the rest of a body, or the end of the response."""


class Entered(Protocol):
    """A connection, as `ConsoleConnections` uses it."""

    @property
    def is_protected(self) -> bool:
        """Whether it carries a request with a valid session or token."""

    @property
    def is_answered(self) -> bool:
        """Whether its request is complete and being answered."""

    def abort(self) -> None:
        """Close it at once."""

    def end(self, within_s: float) -> None:
        """Close it at once, or, if it has a request, when that is answered, after ``within_s`` at the latest."""


class ConsoleConnections:
    """All connections of the console, in the order in which they began to wait.

    Args:
        limits: Limits of their number.
    """

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._all: dict[Entered, str] = {}
        self._of: dict[str, dict[Entered, None]] = {}
        self._saying = RateLimit(1, _SAY_EVERY_S)

    @property
    def count(self) -> int:
        """Return how many connections are open. Any thread may call this."""
        return len(self._all)

    def enter(self, new: Entered, host: str) -> bool:
        """Add a connection, closing another one if there are too many. Returns False if there is no room."""
        source = source_of(host)
        most_of_source = self.limits.most_per_address
        of_source = self._of.get(source, {})
        if most_of_source is not None and len(of_source) >= most_of_source:
            strangers = [one for one in of_source if not one.is_protected]
            if len(strangers) >= most_of_source:
                self._close(strangers, f"from {source}")
        if len(self._all) >= self.limits.most and not self._close(self._all, "in all"):
            return False
        self._all[new] = source
        self._of.setdefault(source, {})[new] = None
        return True

    def leave(self, one: Entered) -> None:
        """Remove a connection, if it is there."""
        source = self._all.pop(one, None)
        if source is None:
            return
        of_source = self._of[source]
        of_source.pop(one, None)
        if not of_source:
            del self._of[source]

    def end_all(self, within_s: float) -> None:
        """Close every connection; see `Entered.end`."""
        for one in list(self._all):
            self.leave(one)
            one.end(within_s)

    def waits_anew(self, one: Entered) -> None:
        """Move a connection to the end of the order, because it begins to wait for something else."""
        source = self._all.pop(one, None)
        if source is not None:
            self._all[one] = source
            self._of[source].pop(one, None)
            self._of[source][one] = None

    def _close(self, ones: Iterable[Entered], where: str) -> bool:
        """Close the unknown client's connection that has waited longest, preferring one without a complete request."""
        waiting = (one for one in ones if not one.is_protected and not one.is_answered)
        victim = next(waiting, None) or next((one for one in ones if not one.is_protected), None)
        if self._saying.allows(time.monotonic_ns()):
            _log.warning("too many connections %s: closing those of unknown clients that have waited longest", where)
        if victim is None:
            return False
        self.leave(victim)
        victim.abort()
        return True


class ConsoleProtocol(H11Protocol):
    """uvicorn's h11 protocol with deadlines, registered in `ConsoleConnections`.

    Args:
        connections: The console's connections.
        more: Arguments that uvicorn gives its protocol.
    """

    def __init__(self, *, connections: ConsoleConnections, **more: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(**more)
        # Addresses of searches have numbers. uvicorn goes by its logger, which whoever sets up logging can open again.
        self.access_log = False
        self._connections = connections
        self._phase = _HEADER
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_protected(self) -> bool:
        """Whether it carries a complete request with a valid session or token."""
        return self._phase == _ANSWER and bool(self.scope and self.scope["state"].get(IS_KNOWN))

    @property
    def is_answered(self) -> bool:
        """Whether its request is complete and being answered."""
        return self._phase == _ANSWER

    def abort(self) -> None:
        """Close it at once."""
        self.transport.abort()

    def end(self, within_s: float) -> None:
        """Close it when its request is answered; see `Entered.end`."""
        if self.is_answered and self.cycle is not None:
            self.cycle.keep_alive = False
            self.cycle.default_headers = [*self.cycle.default_headers, (b"connection", b"close")]
            self.loop.call_later(within_s, self.abort)
        else:
            self.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Register, and wait for a header."""
        super().connection_made(transport)
        self._wait()
        if not self._connections.enter(self, self.client[0] if self.client else ""):
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Unregister."""
        self._connections.leave(self)
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Handle data, and update what the connection waits for."""
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._look()

    def _look(self) -> None:
        theirs = self.conn.their_state
        phase = {h11.IDLE: _HEADER, h11.SEND_BODY: _BODY}.get(theirs, _ANSWER)
        if phase == _ANSWER and self.cycle is not None and self.cycle.response_complete:
            phase = _HEADER  # the response is complete
        if phase != self._phase:
            self._phase = phase
            self._connections.waits_anew(self)
            self._wait()

    def _wait(self) -> None:
        """Start the deadline; bytes that arrive slowly do not extend it."""
        if self._timer is not None:
            self._timer.cancel()
        limits = self._connections.limits
        wait_s = (limits.header_s, limits.body_s, limits.answer_s)[self._phase]
        self._timer = self.loop.call_later(wait_s, self._is_late)

    def _is_late(self) -> None:
        if self._phase == _ANSWER and self.is_protected:
            self._wait()  # event streams and recordings that are played last for hours
        else:
            self.abort()


class TlsEntrance(asyncio.Protocol):
    """A connection before its TLS handshake, which asyncio's own listener would neither count nor time out.

    Args:
        context: Certificate and key of the console.
        connections: The console's connections.
        make: Makes the HTTP protocol inside.
        loop: The event loop.
        handshake_s: How long the handshake may take, seconds; None for as long as a header.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        connections: ConsoleConnections,
        make: Callable[[], ConsoleProtocol],
        loop: asyncio.AbstractEventLoop,
        *,
        handshake_s: float | None = None,
    ) -> None:
        self._context = context
        self._connections = connections
        self._make = make
        self._loop = loop
        self._handshake_s = handshake_s or connections.limits.header_s
        self._transport: asyncio.Transport
        self._task: asyncio.Task[None] | None = None
        self._early: list[bytes] = []

    @property
    def is_protected(self) -> bool:
        """Nobody is identified yet."""
        return False

    @property
    def is_answered(self) -> bool:
        """Nothing has been requested yet."""
        return False

    def abort(self) -> None:
        """Close it at once."""
        self._transport.abort()

    def end(self, within_s: float) -> None:
        """Close it at once: nothing has been requested yet."""
        del within_s
        self.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Register, and begin the handshake."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        address = transport.get_extra_info("peername")
        if self._connections.enter(self, str(address[0]) if address else ""):
            transport.pause_reading()  # until TLS reads
            self._task = self._loop.create_task(self._enter())
        else:
            self.abort()

    def data_received(self, data: bytes) -> None:
        """Keep data that arrives at the end of the handshake, before the HTTP protocol is in place."""
        self._early.append(data)

    async def _enter(self) -> None:
        try:
            secure = await self._loop.start_tls(
                self._transport, self, self._context, server_side=True, ssl_handshake_timeout=self._handshake_s
            )
        except OSError:  # ssl.SSLError and TimeoutError too: not our TLS, or not in time
            secure = None
        finally:
            self._connections.leave(self)
        if secure is None or secure.is_closing():
            self.abort()
            return
        inner = self._make()
        secure.set_protocol(inner)
        inner.connection_made(secure)
        for data in self._early:
            inner.data_received(data)
        self._early.clear()
