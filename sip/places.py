"""Where the peer of a dialog speaks from: what its messages show of it, and what they name. Pure.

A dialog's tags are known to whoever reads a trace, so a request inside it has to come from where its peer is as well,
to the port. A proxy that records its route names itself, and so does a telephone that speaks to us past its proxy.
"""

from dataclasses import dataclass

from sip.message import RawMessage, sent_by_port
from sip.options import Address, TransportKind

LARGE = frozenset({"INVITE", "ACK", "PRACK", "UPDATE"})
"""Methods whose requests may be too large for UDP, and then come over TCP (RFC 3261 section 18.1.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where messages of a peer come from.

    Attributes:
        host: An IP literal.
        port: The UDP port; None is any: of a peer that sends from ports which it does not listen at, or behind a NAT.
        is_stream: They come over TCP or TLS, from a port that each connection has anew.
    """

    host: str
    port: int | None = None
    is_stream: bool = False

    @classmethod
    def named(cls, address: Address) -> "Place":
        """Return the place that an address is, as a URI names it."""
        if address.transport is not TransportKind.UDP:
            return cls(host=address.host, is_stream=True)
        return cls(host=address.host, port=address.port)

    @classmethod
    def seen(cls, message: RawMessage, source: Address, known: "set[Place]") -> "Place":
        """Return the place that a message came from.

        Args:
            message: A request, whose Via says where its sender listens, or a response to one of ours.
            source: Where it came from.
            known: Places of this peer; a response comes from where our request went, or from any port.
        """
        place = cls.named(source)
        if place.is_stream:
            return place
        listens = place in known if message.status is not None else sent_by_port(message, 5060) == source.port
        return place if listens else cls(host=source.host)

    def fits(self, source: Address, method: str, *, any_port: bool = False) -> bool:
        """Tell whether a request may come from a source's port and transport, its host aside.

        Args:
            source: Where it came from.
            method: What it is.
            any_port: The peer is declared to send from any port.
        """
        if source.transport is not TransportKind.UDP:
            return self.is_stream or method in LARGE or any_port
        return any_port or (not self.is_stream and self.port in (None, source.port))
