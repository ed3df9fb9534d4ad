"""TCP and TLS in sippy's terms: what its transactions call a server. Call thread only. Knows sippy; see `sip.reactor`.

A response goes back over the connection of its request (RFC 3261 section 18.2.2); each request of ours has a server of
its own, which knows the connection that took it, so that its CANCEL takes the same and a lost connection is noticed.
"""

from collections.abc import Callable
from typing import Protocol, Self

from sip.connection import Connection
from sip.connector import Parcel
from sip.message import encode_for_wire
from sip.options import Address
from sip.reactor import Sippy


class Outlet(Protocol):
    """What servers need of the transport; `sip.transport.Transport` is the real one."""

    def shown(self, kind: str) -> tuple[tuple[str, int], str]:
        """Return what Via and Contact say over a transport."""

    def post(self, parcel: Parcel) -> None:
        """Have a parcel sent."""

    def on_call_thread(self, fn: Callable[..., None], *args: object) -> None:
        """Run a function soon on the call thread, unless all is closed by then; from any thread."""

    def fall_back(self, transaction: Sippy, request: Sippy) -> None:
        """Send a request over UDP after all."""

    def unreachable(self, transaction: Sippy) -> None:
        """End a request that could not be sent."""


class _Bound:
    """sippy asks a server whether it listens on every address; one of ours is always a certain one's."""

    @staticmethod
    def isWildCard() -> bool:  # noqa: N802 - sippy's name
        return False


class _StreamServer:
    """What sippy needs of a server."""

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
        """Take note, on the I/O thread, that a connection took it."""

    def _failed(self) -> None:
        """Take note, on the I/O thread, that nothing took it."""


class ReplyServer(_StreamServer):
    """Sends responses: over the connection of the request, or to its Via if that is gone."""


class RequestServer(_StreamServer):
    """Sends one request of ours, and its CANCEL and ACK by `beside`."""

    def __init__(
        self, outlet: Outlet, to: Address, connection: Connection | None, *, may_use_udp: bool = False
    ) -> None:
        super().__init__(outlet, to, connection)
        self._may_use_udp = may_use_udp
        self._request: Sippy = None
        self._transaction: Sippy = None
        self._had_been_there = False
        self._is_retried = False

    @property
    def is_taken(self) -> bool:
        """Tell whether it answers for a transaction."""
        return self._transaction is not None

    def follow(self, request: Sippy, transaction: Sippy) -> None:
        """Answer for a transaction from now on."""
        self._request, self._transaction = request, transaction

    def beside(self) -> Self:
        """Return a server for another request that goes the same way."""
        return type(self)(self._outlet, self._to, self.connection)

    def lost(self) -> None:
        """Send again over a new connection, once, if the old one may have been closed before it took the request.

        The far side knows a request by its branch, so that one which arrived twice is one (RFC 3261 section 17.2.3).
        """
        self.connection = None
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
        self.connection, self._had_been_there = connection, was_there

    def _give_up(self) -> None:
        if self._transaction is None:
            return
        if self._may_use_udp:
            self._outlet.fall_back(self._transaction, self._request)
        else:
            self._outlet.unreachable(self._transaction)
