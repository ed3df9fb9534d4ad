"""Sends messages over TCP and TLS, by a pooled connection or a new one. I/O thread only.

The pool holds connections by their target. See `sip.streams`.
"""

import asyncio
import ssl
from collections.abc import Callable

from sip.acceptor import Listeners
from sip.connection import MAX_QUEUED_BYTES, Connection, tune
from sip.options import Address, TransportKind
from sip.stream_state import StreamState
from sip.tls import why_refused


class Parcel:
    """One message to send, over a given connection if it is open, else to an address.

    Attributes:
        data: The message.
        over: The preferred connection, or None.
        to: Where to connect otherwise.
        sent: Called on the I/O thread with the connection that took it, and whether that existed before.
        failed: Called on the I/O thread if no connection took it.
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


class Connector:
    """Connects to peers, and keeps the pool of connections to them."""

    def __init__(self, state: StreamState, listeners: Listeners) -> None:
        self._state = state
        self._listeners = listeners
        self._pool: dict[Address, Connection] = {}
        self._coming: dict[Address, list[Parcel]] = {}

    def send(self, parcel: Parcel) -> None:
        """Send a parcel, or queue it until the connection to its address is made."""
        state = self._state
        for connection in (parcel.over, self._pool.get(parcel.to)):
            if connection is not None and connection.write(parcel.data):
                connection.has_carried = True
                parcel.sent(connection, True)
                return
        waiting = self._coming.get(parcel.to)
        if waiting is not None:
            if sum(len(other.data) for other in waiting) + len(parcel.data) > MAX_QUEUED_BYTES:
                state.counters["stuck"] += 1
                parcel.failed()
            else:
                waiting.append(parcel)
            return
        if len(state.open) >= state.limits.connections or parcel.to.transport not in self._listeners:
            state.counters["too_many" if parcel.to.transport in self._listeners else "no_transport"] += 1
            parcel.failed()
            return
        self._coming[parcel.to] = [parcel]
        state.start(self._connect(parcel.to))

    def adopt(self, connection: Connection, address: Address) -> None:
        """Use a connection that a peer opened for messages to an address of that peer (RFC 5923)."""
        if connection.is_open and address not in self._pool:
            self._pool[address] = connection

    def forget(self, connection: Connection) -> None:
        """Remove a connection that ended from the pool."""
        for address in [address for address, pooled in self._pool.items() if pooled is connection]:
            del self._pool[address]

    async def _connect(self, target: Address) -> None:
        state = self._state
        connection = Connection(state.owner, target, state.limits, is_ours=True)
        state.open.add(connection)
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
                if state.is_closing:
                    connection.close()
                await connection.over.wait()
                if isinstance(connection.error, ssl.SSLError):  # such as a request for our certificate
                    state.troubles.tell(str(target), f"ends TLS: {why_refused(connection.error)}")
                return
            state.counters["unreachable"] += 1
            state.troubles.tell(str(target), f"cannot be reached: {why}")
            for parcel in parcels:
                parcel.failed()
        finally:
            state.open.discard(connection)

    async def _try(self, connection: Connection, target: Address) -> str | None:
        """Connect; return why it failed, or None."""
        state, context = self._state, None
        if target.transport is TransportKind.TLS:
            assert state.tls is not None
            context = state.tls.connecting
            connection.check = lambda made: made.authenticate(
                (target.host, *state.trust.of(made.remote_host).rule.tls_names)
            )
        listening = self._listeners[target.transport].getsockname()[0]
        is_wildcard = listening in ("0.0.0.0", "::")  # noqa: S104 - compared with, never bound
        try:
            async with asyncio.timeout(state.limits.connect_s):
                transport, _ = await state.loop.create_connection(
                    lambda: connection,
                    target.host,
                    target.port,
                    family=self._listeners[target.transport].family,
                    ssl=context,
                    server_hostname=target.host if context else None,
                    local_addr=None if is_wildcard else (listening, 0),
                    ssl_shutdown_timeout=1.0 if context else None,
                )
        except (OSError, ValueError) as error:  # ValueError: a peer's route names an invalid host
            return why_refused(error)
        peer = transport.get_extra_info("peername")
        if connection.refused is not None or peer is None:
            return connection.refused or "closed at once"
        tune(transport.get_extra_info("socket"))
        connection.peer = Address(host=peer[0].split("%", 1)[0], port=peer[1], transport=target.transport)
        return None if connection.is_open else "closed at once"
