"""TCP and TLS: listeners, connections, and the pool of those that lead somewhere. One thread with an asyncio loop.

The call thread must never wait for a connect, a handshake or a send, so all of them happen here; both threads only
leave notes for one another (ADR-0018). What a message means is not known here, nor is sippy.
"""

import asyncio
import collections
import contextlib
import functools
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Protocol

from sip.connection import MAX_QUEUED_BYTES, Connection
from sip.options import Address, BindError, SipOptions, TransportKind
from sip.tls import TlsContexts, identities, is_named, load, why_refused
from sip.trust import Trust

_log = logging.getLogger(__name__)

MAX_ACCEPTS = 64
"""Connections taken in a row before others get their turn."""

BACKLOG = 128
"""Connections that the kernel holds ready."""

ACCEPT_PAUSE_S = 0.5
"""Without a free descriptor nothing is accepted for so long."""

DRAIN_S = 2.0
"""How long a stop waits for what is queued to leave."""

MAX_TOLD = 100
"""Sources and targets whose trouble is named in the log."""

_KEEP_ALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))
_USER_TIMEOUT_MS = 5000
"""What the peer's kernel does not acknowledge for so long ends the connection: the peer is gone."""


class Receiver(Protocol):
    """Who is told what happens; called on the I/O thread."""

    def message(self, connection: Connection, data: bytes) -> bool:
        """Take one message; tells whether it waits for the call thread."""

    def lost(self, connection: Connection) -> None:
        """Take note that a connection is over that had carried something of ours."""


class Parcel:
    """Bytes on their way: over one connection while it is there, else to an address.

    Attributes:
        data: One message.
        over: The connection to prefer, or None.
        to: Where to connect otherwise.
        sent: Called on the I/O thread with the connection that took it, and whether it had been there before.
        failed: Called on the I/O thread if nothing took it.
    """

    __slots__ = ("data", "failed", "over", "sent", "to")

    def __init__(
        self,
        data: bytes,
        *,
        over: Connection | None,
        to: Address,
        sent: Callable[[Connection, bool], None],
        failed: Callable[[], None],
    ) -> None:
        self.data, self.over, self.to, self.sent, self.failed = data, over, to, sent, failed


class Streams:
    """All TCP and TLS of an endpoint. Made, used and closed by the call thread; its own thread does the work."""

    def __init__(self, options: SipOptions, trust: Trust, receiver: Receiver) -> None:
        """Bind the listeners; nothing is taken before `start`.

        Raises:
            BindError: An address cannot be bound.
            TlsFilesError: Certificate, key or authorities cannot be used.
        """
        self.counters: collections.Counter[str] = collections.Counter()
        self._options = options
        self._limits = options.streams
        self._trust = trust
        self._receiver = receiver
        self._contexts: TlsContexts | None = load(options.tls) if options.tls is not None else None
        self._open: set[Connection] = set()
        self._pool: dict[Address, Connection] = {}
        self._coming: dict[Address, list[Parcel]] = {}
        self._per_source: collections.Counter[str] = collections.Counter()
        self._told: dict[tuple[str, str], str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._listeners: dict[TransportKind, socket.socket] = {}
        wanted = ((TransportKind.TCP, options.listen_tcp), (TransportKind.TLS, options.listen_tls))
        try:
            for kind, address in wanted:
                if address is not None:
                    self._listeners[kind] = _listener(replace(address, transport=kind))
        except OSError:
            self._close_listeners()
            raise
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(_log_failure)
        self._thread = threading.Thread(target=self._run, name="sip-streams", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def addresses(self) -> dict[TransportKind, Address]:
        """Return where is listened, with real ports."""
        return {
            kind: Address(host=listener.getsockname()[0], port=listener.getsockname()[1], transport=kind)
            for kind, listener in self._listeners.items()
        }

    @property
    def contexts(self) -> TlsContexts | None:
        """Return what TLS is made with, or None."""
        return self._contexts

    @property
    def connections(self) -> int:
        """Return how many connections there are, from any thread."""
        return len(self._open)

    def renew(self) -> None:
        """Read the files of TLS again; connections that stand keep what they were made with. From any thread.

        Raises:
            TlsFilesError: They cannot be used; everything stays as it was.
        """
        if self._options.tls is not None:
            self._contexts = load(self._options.tls)

    def send(self, parcel: Parcel) -> None:
        """Send soon; from any thread."""
        self._later(self._send, parcel)

    def alias(self, connection: Connection, address: Address) -> None:
        """Use a peer's connection for what goes to an address of its (RFC 5923); from any thread."""
        self._later(self._adopt, connection, address)

    def read_on(self, connection: Connection) -> None:
        """Read a connection on whose messages were handled; from any thread."""
        self._later(connection.read_on)

    def close(self) -> None:
        """Send what is queued, close everything, end the thread. Idempotent."""
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):
                asyncio.run_coroutine_threadsafe(self._drain(), self._loop)
            self._thread.join(DRAIN_S + 1.0)
        elif not self._loop.is_running():
            self._close_listeners()
            self._loop.close()

    # -- connections tell (sip.connection.Owner)

    def arrived(self, connection: Connection, data: bytes) -> bool:
        """Hand a message on."""
        if connection.is_ours and not connection.has_spoken:
            self._told_no_more(str(connection.target))
        connection.has_spoken = True
        return self._receiver.message(connection, data)

    def lost(self, connection: Connection) -> None:
        """Forget a connection."""
        for address in [address for address, pooled in self._pool.items() if pooled is connection]:
            del self._pool[address]
        if connection.has_carried:
            self._receiver.lost(connection)

    def count(self, what: str) -> None:
        """Count something that went no further."""
        self.counters[what] += 1

    # -- the thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        for kind, listener in self._listeners.items():
            self._loop.add_reader(listener, self._accept, kind, listener)
        try:
            self._loop.run_forever()
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    def _later(self, fn: Callable[..., object], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: so is everything else
            self._loop.call_soon_threadsafe(fn, *args)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _close_listeners(self) -> None:
        for listener in self._listeners.values():
            listener.close()

    async def _drain(self) -> None:
        self._is_closing = True
        for listener in self._listeners.values():
            self._loop.remove_reader(listener)
        self._close_listeners()
        for connection in list(self._open):
            if connection.is_open:  # the others close when they are connected and what waits for them is sent
                connection.close()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=DRAIN_S)
        for connection in list(self._open):
            connection.cut()
        for task in self._tasks:
            task.cancel()
        self._loop.call_soon(self._loop.stop)

    # -- from peers

    def _accept(self, kind: TransportKind, listener: socket.socket) -> None:
        for _ in range(MAX_ACCEPTS):
            try:
                accepted, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                # No descriptor is free: looking again at once would use up the processor.
                _log.error("no connection can be accepted: %s", error.strerror)
                self._loop.remove_reader(listener)
                self._loop.call_later(ACCEPT_PAUSE_S, self._accept_again, kind, listener)
                return
            peer = Address(host=address[0].split("%", 1)[0], port=address[1], transport=kind)
            why = self._refusal(peer)
            if why is None:
                self._start(self._welcome(accepted, peer))
            else:
                self.count(why)
                accepted.close()

    def _accept_again(self, kind: TransportKind, listener: socket.socket) -> None:
        if not self._is_closing:
            self._loop.add_reader(listener, self._accept, kind, listener)

    def _refusal(self, peer: Address) -> str | None:
        trust = self._trust.of(peer.host)
        if not trust.is_trusted:
            self._tell(peer.host, "connects and is turned away: it is in the networks of no [[peer]]")
            return "untrusted"
        if not trust.may_ask_over(peer.transport):
            self._tell(peer.host, "connects without TLS and is turned away: its [[peer]] must use TLS")
            return "without_tls"
        if len(self._open) >= self._limits.connections or self._per_source[peer.host] >= self._limits.per_source:
            self._tell(peer.host, "connects and is turned away: there are as many connections as may be")
            return "too_many"
        return None

    async def _welcome(self, accepted: socket.socket, peer: Address) -> None:
        trust = self._trust.of(peer.host)
        connection = Connection(self, peer, self._limits, is_ours=False, trust=trust)
        context = None
        if peer.transport is TransportKind.TLS:
            assert self._contexts is not None
            is_known = trust.rule.requires_certificate
            context = self._contexts.accepting_known if is_known else self._contexts.accepting
            connection.check = self._check_client if is_known else None
        self._open.add(connection)
        self._per_source[peer.host] += 1
        try:
            accepted.setblocking(False)
            _tune(accepted)
            await self._loop.connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=context,
                ssl_handshake_timeout=self._limits.handshake_s if context else None,
                ssl_shutdown_timeout=1.0 if context else None,
            )
        except (OSError, TimeoutError) as error:
            accepted.close()
            self._refused_in(connection, why_refused(error))
        else:
            await connection.over.wait()
            if connection.refused is not None:
                self._refused_in(connection, connection.refused)
        finally:
            self._open.discard(connection)
            self._per_source[peer.host] -= 1
            if not self._per_source[peer.host]:
                del self._per_source[peer.host]

    def _refused_in(self, connection: Connection, why: str) -> None:
        self.count("tls_failed")
        self._tell(connection.peer.host, f"connects by TLS in vain: {why}")

    @staticmethod
    def _check_client(connection: Connection) -> str | None:
        assert connection.trust is not None
        names = connection.trust.rule.tls_names
        if not is_named(connection.certificate, names):
            return f"its certificate is of {_shown(connection)}, not of {' or '.join(names)}"
        connection.is_authenticated = True
        return None

    # -- to peers

    def _send(self, parcel: Parcel) -> None:
        for connection in (parcel.over, self._pool.get(parcel.to)):
            if connection is not None and connection.write(parcel.data):
                connection.has_carried = True
                parcel.sent(connection, True)
                return
        waiting = self._coming.get(parcel.to)
        if waiting is not None:
            if sum(len(other.data) for other in waiting) + len(parcel.data) > MAX_QUEUED_BYTES:
                self.count("stuck")
                parcel.failed()
            else:
                waiting.append(parcel)
            return
        if len(self._open) >= self._limits.connections or parcel.to.transport not in self._listeners:
            self.count("too_many" if parcel.to.transport in self._listeners else "no_transport")
            parcel.failed()
            return
        self._coming[parcel.to] = [parcel]
        self._start(self._connect(parcel.to))

    async def _connect(self, target: Address) -> None:
        connection = Connection(self, target, self._limits, is_ours=True)
        self._open.add(connection)
        try:
            why = await self._try(connection, target)
            parcels = self._coming.pop(target)
            if why is None:
                self._pool[target] = connection
                for parcel in parcels:
                    if connection.write(parcel.data):
                        connection.has_carried = True
                        parcel.sent(connection, False)
                    else:
                        parcel.failed()
                if self._is_closing:
                    connection.close()
                await connection.over.wait()
                if isinstance(connection.error, ssl.SSLError):  # such as: it wants a certificate of ours
                    self._tell(str(target), f"ends TLS: {why_refused(connection.error)}")
                return
            self.count("unreachable")
            self._tell(str(target), f"cannot be reached: {why}")
            for parcel in parcels:
                parcel.failed()
        finally:
            self._open.discard(connection)

    async def _try(self, connection: Connection, target: Address) -> str | None:
        """Connect; returns why not, or None."""
        context = None
        if target.transport is TransportKind.TLS:
            assert self._contexts is not None
            context = self._contexts.connecting
            connection.check = functools.partial(self._check_server, target=target)
        listening = self._listeners[target.transport].getsockname()[0]
        is_wildcard = listening in ("0.0.0.0", "::")  # noqa: S104 - compared with, never bound
        try:
            async with asyncio.timeout(self._limits.connect_s):
                transport, _ = await self._loop.create_connection(
                    lambda: connection,
                    target.host,
                    target.port,
                    family=self._listeners[target.transport].family,
                    ssl=context,
                    server_hostname=target.host if context else None,
                    local_addr=None if is_wildcard else (listening, 0),
                    ssl_shutdown_timeout=1.0 if context else None,
                )
        except (OSError, ValueError) as error:  # the latter of a name that is none: a peer may have written it
            return why_refused(error)
        peer = transport.get_extra_info("peername")
        if connection.refused is not None or peer is None:
            return connection.refused or "closed at once"
        _tune(transport.get_extra_info("socket"))
        connection.peer = Address(host=peer[0].split("%", 1)[0], port=peer[1], transport=target.transport)
        return None if connection.is_open else "closed at once"

    def _check_server(self, connection: Connection, *, target: Address) -> str | None:
        names = (target.host, *self._trust.of(connection.remote_host).rule.tls_names)
        if not is_named(connection.certificate, names):
            return f"its certificate is of {_shown(connection)}, not of {' or '.join(names)}"
        connection.is_authenticated = True
        return None

    def _adopt(self, connection: Connection, address: Address) -> None:
        if connection.is_open and address not in self._pool:
            self._pool[address] = connection

    # -- the log

    def _tell(self, who: str, what: str) -> None:
        """Log what is wrong with somebody, once until it changes."""
        key = (who, what.split(":", 1)[0])
        if self._told.get(key) != what and (key in self._told or len(self._told) < MAX_TOLD):
            self._told[key] = what
            _log.warning("%s %s", who, what)

    def _told_no_more(self, who: str) -> None:
        """Log the same again when it comes back after all was well."""
        for key in [key for key in self._told if key[0] == who]:
            del self._told[key]


def _listener(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A restart must not wait for connections of the last run to be forgotten; two daemons still cannot share it.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address.host, address.port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise BindError(error.errno, error.strerror, str(address)) from error
    return listener


def _tune(connection: socket.socket) -> None:
    """Have the kernel find out that a peer is gone."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in _KEEP_ALIVE:
        connection.setsockopt(socket.IPPROTO_TCP, option, seconds)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)


def _shown(connection: Connection) -> str:
    return ", ".join(sorted(identities(connection.certificate))) or "nobody"


def _log_failure(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    # What asyncio says may quote what it was doing; the type of the failure is enough.
    error = context.get("exception")
    if not isinstance(error, OSError):
        _log.error("a connection failed: %s", type(error).__name__ if error else context.get("message"))
