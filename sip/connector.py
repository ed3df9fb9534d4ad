"""What is sent over TCP and TLS: by a connection that is there, or by one that is made. I/O thread only.

Connections that lead somewhere are kept in a pool by their target. See `sip.streams`.
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


class Connector:
    """Connects to peers, and knows the connections that lead to them."""

    def __init__(self, state: StreamState, listeners: Listeners) -> None:
        self._state = state
        self._listeners = listeners
        self._pool: dict[Address, Connection] = {}
        self._coming: dict[Address, list[Parcel]] = {}

    def send(self, parcel: Parcel) -> None:
        """Send a parcel, or have it wait for the connection that is being made."""
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
        """Use a peer's connection for what goes to an address of its (RFC 5923)."""
        if connection.is_open and address not in self._pool:
            self._pool[address] = connection

    def forget(self, connection: Connection) -> None:
        """Send nothing more over a connection: it is over."""
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
                if isinstance(connection.error, ssl.SSLError):  # such as: it wants a certificate of ours
                    state.troubles.tell(str(target), f"ends TLS: {why_refused(connection.error)}")
                return
            state.counters["unreachable"] += 1
            state.troubles.tell(str(target), f"cannot be reached: {why}")
            for parcel in parcels:
                parcel.failed()
        finally:
            state.open.discard(connection)

    async def _try(self, connection: Connection, target: Address) -> str | None:
        """Connect; returns why not, or None."""
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
        except (OSError, ValueError) as error:  # the latter of a name that is none: a peer may have written it
            return why_refused(error)
        peer = transport.get_extra_info("peername")
        if connection.refused is not None or peer is None:
            return connection.refused or "closed at once"
        tune(transport.get_extra_info("socket"))
        connection.peer = Address(host=peer[0].split("%", 1)[0], port=peer[1], transport=target.transport)
        return None if connection.is_open else "closed at once"
