"""One TCP or TLS connection: reads messages, sends bytes, and ends on a timeout. I/O thread only unless noted.

A message must be complete within a time. The send queue has a limit. Reading pauses while too many messages of the peer
wait for the call thread. Knows asyncio, not sippy.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Collection
from typing import Protocol

from sip.framing import Broken, Framed, Pinged, StreamFramer
from sip.options import Address, StreamLimits
from sip.tls import identities, is_named

_log = logging.getLogger(__name__)

MAX_QUEUED_BYTES = 1024 * 1024
"""Limit of the send queue; a connection that exceeds it is aborted."""

MAX_UNHANDLED = 64
"""Messages of one connection that may wait for the call thread before reading pauses."""

CLOSING_S = 2.0
"""How long a closed connection may take to send its queue before it is aborted."""

_PONG = b"\r\n"

_KEEP_ALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))
_USER_TIMEOUT_MS = 5000
"""The connection ends when sent data is not acknowledged for so long (TCP_USER_TIMEOUT)."""


class Owner(Protocol):
    """The owner of connections; `sip.streams.Streams` implements it. Called on the I/O thread."""

    def arrived(self, connection: "Connection", data: bytes) -> bool:
        """Take one message; return whether it is queued for the call thread."""

    def lost(self, connection: "Connection") -> None:
        """Note that the connection ended; called once for each that was opened."""

    def count(self, what: str) -> None:
        """Count a dropped or refused message or connection."""


class Connection(asyncio.Protocol):
    """One connection.

    Attributes:
        peer: Address and port at the other end, as the kernel has them.
        target: Target of a connection that we opened, by address or name.
        is_ours: We opened it.
        is_open: Bytes can be sent. Any thread may read it: a stale value leads to a failed send, which is handled.
        is_authenticated: TLS has authenticated the peer, by our target's name or by the names of its rule.
    """

    def __init__(self, owner: Owner, peer: Address, limits: StreamLimits, *, is_ours: bool) -> None:
        self.peer = self.target = peer
        self.is_ours = is_ours
        self.is_open = False
        self.is_authenticated = False
        self.check: Callable[[Connection], str | None] | None = None
        """Checks the peer's certificate; returns why the connection must not be used, or None."""
        self.refused: str | None = None
        self.error: Exception | None = None
        """The error that ended it, or None: it was closed."""
        self.has_carried = False
        """We sent a message over it."""
        self.has_spoken = False
        """The peer sent a message over it."""
        self.over = asyncio.Event()
        """Set when it is closed and its descriptor is free."""
        self.handled = 0
        """Number of messages that the call thread has handled; written there."""
        self._owner = owner
        self._limits = limits
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._message_timer: asyncio.TimerHandle | None = None
        self._idle_timer: asyncio.TimerHandle | None = None
        self._moved_at = 0.0
        self._arrived = 0
        self._is_paused = False
        self._was_opened = False

    # -- asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, after the TLS handshake."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self.check is not None and (why := self.check(self)) is not None:
            self.refused = why
            transport.abort()
            return
        self.is_open = self._was_opened = True
        self._moved_at = self._loop.time()
        self._idle_timer = self._loop.call_later(self._idle_s, self._look_idle)

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        self._moved_at = self._loop.time()
        is_progress = False
        for frame in self._framer.feed(data):
            if not self.is_open:
                return
            if isinstance(frame, Framed):
                is_progress = True
                self._take(frame.data)
            elif isinstance(frame, Pinged):
                self.write(_PONG)
            else:
                self._break(frame)
        self._watch_message(is_progress=is_progress)

    def eof_received(self) -> bool:
        """Close when the peer closes its side: SIP does not use half-closed connections."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self.is_open, self.error = False, exc
        for timer in (self._message_timer, self._idle_timer):
            if timer is not None:
                timer.cancel()
        self._message_timer = self._idle_timer = None
        self.over.set()
        if self._was_opened:
            self._owner.lost(self)

    # -- ours

    def write(self, data: bytes) -> bool:
        """Queue bytes to be sent; return whether the connection took them."""
        if not self.is_open or self._transport is None:
            return False
        if self._transport.get_write_buffer_size() + len(data) > MAX_QUEUED_BYTES:
            self._owner.count("stuck")
            self.cut()
            return False
        self._moved_at = self._loop.time()
        self._transport.write(data)
        return True

    def close(self) -> None:
        """Send the queue, then close; abort after `CLOSING_S`."""
        self.is_open = False
        if self._transport is not None:
            self._transport.close()
            self._loop.call_later(CLOSING_S, self._transport.abort)

    def cut(self) -> None:
        """Close at once."""
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()

    def read_on(self) -> None:
        """Resume reading if enough messages have been handled."""
        if self._is_paused and self.is_open and self._arrived - self.handled < MAX_UNHANDLED // 2:
            self._is_paused = False
            assert self._transport is not None
            self._transport.resume_reading()
            self._watch_message(is_progress=False)

    @property
    def is_waiting(self) -> bool:
        """Tell whether reading is paused; from any thread."""
        return self._is_paused

    @property
    def certificate(self) -> dict[str, object]:
        """The peer's verified certificate as `ssl` has it; empty if there is none."""
        found = self._transport.get_extra_info("peercert") if self._transport is not None else None
        return found or {}

    @property
    def remote_host(self) -> str:
        """The IP literal at the other end, or ""."""
        found = self._transport.get_extra_info("peername") if self._transport is not None else None
        return str(found[0]).split("%", 1)[0] if found else ""

    def authenticate(self, names: Collection[str]) -> str | None:
        """Authenticate the peer if its certificate has one of the names; return why not, or None."""
        if not is_named(self.certificate, names):
            shown = ", ".join(sorted(identities(self.certificate))) or "nobody"
            return f"its certificate is of {shown}, not of {' or '.join(names)}"
        self.is_authenticated = True
        return None

    @property
    def _idle_s(self) -> float:
        return self._limits.idle_out_s if self.is_ours else self._limits.idle_in_s

    def _take(self, data: bytes) -> None:
        self._arrived += self._owner.arrived(self, data)
        if not self._is_paused and self._arrived - self.handled >= MAX_UNHANDLED and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()

    def _break(self, frame: Broken) -> None:
        self._owner.count("malformed")
        _log.debug("a stream is broken: %s", frame.why)
        if frame.response is not None:
            self.write(frame.response)
        self.close()

    def _watch_message(self, *, is_progress: bool) -> None:
        is_between = self._framer.is_between
        if self._message_timer is not None and (is_progress or is_between):
            self._message_timer.cancel()
            self._message_timer = None
        if not is_between and self._message_timer is None and not self._is_paused:
            self._message_timer = self._loop.call_later(self._limits.message_s, self._too_slow)

    def _too_slow(self) -> None:
        self._message_timer = None
        if not self._is_paused:
            self._owner.count("too_slow")
            self.cut()

    def _look_idle(self) -> None:
        left = self._moved_at + self._idle_s - self._loop.time()
        if left > 0:
            self._idle_timer = self._loop.call_later(left, self._look_idle)
        else:
            self._idle_timer = None
            self.close()


def tune(connection: socket.socket) -> None:
    """Set the keep-alive and timeout by which the kernel notices that a peer is gone."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in _KEEP_ALIVE:
        connection.setsockopt(socket.IPPROTO_TCP, option, seconds)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
