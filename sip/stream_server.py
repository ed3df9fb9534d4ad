"""Adapts TCP and TLS to the "server" interface of sippy's transactions. Call thread only. Knows sippy.

A response goes over the connection of its request (RFC 3261 section 18.2.2). Each request that we send has its own
server, which stores the connection that took it: its CANCEL uses that connection, and a lost connection is noticed. See
`sip.reactor`.
"""

from collections.abc import Callable
from typing import Protocol, Self

from sip.connection import Connection
from sip.connector import Parcel
from sip.message import encode_for_wire
from sip.options import Address
from sip.reactor import Sippy


class Outlet(Protocol):
    """The transport as servers use it; `sip.transport.Transport` implements it."""

    def shown(self, kind: str) -> tuple[tuple[str, int], str]:
        """Return address and transport for Via and Contact."""

    def post(self, parcel: Parcel) -> None:
        """Send a parcel."""

    def on_call_thread(self, fn: Callable[..., None], *args: object) -> None:
        """Run a function soon on the call thread, unless the transport is closed by then. Any thread."""

    def fall_back(self, transaction: Sippy, request: Sippy) -> None:
        """Send a request over UDP instead."""

    def unreachable(self, transaction: Sippy) -> None:
        """End a request that could not be sent."""


class _Bound:
    """The options that sippy reads of a server: it is never bound to all addresses."""

    @staticmethod
    def isWildCard() -> bool:  # noqa: N802 - sippy's name
        return False


class _StreamServer:
    uopts = _Bound

    def __init__(self, outlet: Outlet, to: Address, connection: Connection | None) -> None:
        self.connection = connection
        self.transport = to.transport.value
        self._outlet = outlet
        self._to = to

    def getSIPaddr(self) -> tuple[tuple[str, int], str]:  # noqa: N802 - sippy's name
        return self._outlet.shown(self.transport)

    def addr2str(self, address: Sippy) -> str:
        return f"{self.transport}:{address[0]}:{address[1]}"

    def send_to(self, data: bytes | str, _address: Sippy, delayed: bool = False) -> None:
        raw = data if isinstance(data, bytes) else encode_for_wire(data)
        self._outlet.post(Parcel(raw, over=self.connection, to=self._to, sent=self._sent, failed=self._failed))

    def _sent(self, connection: Connection, was_there: bool) -> None:
        """Note that a connection took the message. I/O thread."""

    def _failed(self) -> None:
        """Note that no connection took the message. I/O thread."""


class ReplyServer(_StreamServer):
    """Sends responses over the connection of the request, or to its Via if that connection has ended."""


class RequestServer(_StreamServer):
    """Sends one request; `beside` makes the server of its CANCEL or ACK."""

    def __init__(
        self, outlet: Outlet, to: Address, connection: Connection | None, *, may_use_udp: bool = False
    ) -> None:
        super().__init__(outlet, to, connection)
        self._may_use_udp = may_use_udp
        self._request: Sippy = None
        self._transaction: Sippy = None
        self._carrier: Connection | None = None
        """The connection that took the request; None until the I/O thread has said so."""
        self._had_been_there = False
        self._is_retried = False

    @property
    def is_taken(self) -> bool:
        """Tell whether it belongs to a transaction."""
        return self._transaction is not None

    def follow(self, request: Sippy, transaction: Sippy) -> None:
        """Assign the server to a transaction."""
        self._request, self._transaction = request, transaction

    def beside(self) -> Self:
        """Return a server for another request over the same connection."""
        return type(self)(self._outlet, self._to, self.connection)

    def lost(self, connection: Connection) -> None:
        """Handle the loss of a connection: send the request again, once, if it had gone over that existing one.

        That may have been closed before the request arrived. A request that arrives twice counts once, because of its
        branch (RFC 3261 section 17.2.3).

        A connection that was preferred and ended before it took the request is no loss: the request goes over another
        one then, or `_failed` is called.
        """
        if self._carrier is not connection:
            return
        self.connection = self._carrier = None
        if self._had_been_there and not self._is_retried:
            self._is_retried = True
            self.send_to(self._transaction.data, None)
        else:
            self._give_up()

    def _sent(self, connection: Connection, was_there: bool) -> None:
        self._outlet.on_call_thread(self._note, connection, was_there)

    def _failed(self) -> None:
        self._outlet.on_call_thread(self._give_up)

    def _note(self, connection: Connection, was_there: bool) -> None:
        self.connection = self._carrier = connection
        self._had_been_there = was_there

    def _give_up(self) -> None:
        if self._transaction is None:
            return
        if self._may_use_udp:
            self._outlet.fall_back(self._transaction, self._request)
        else:
            self._outlet.unreachable(self._transaction)
