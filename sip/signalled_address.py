"""Signalled addresses, from which the peer of a dialog may send: those its messages came from or name. Pure.

Everybody who reads a trace knows a dialog's tags. So a request inside a dialog must also come from an address and port
of its peer: one that its messages came from, or that its Record-Route or Contact names.
"""

from dataclasses import dataclass

from sip.message import RawMessage, sent_by_port
from sip.options import Address, TransportKind

LARGE = frozenset({"INVITE", "ACK", "PRACK", "UPDATE"})
"""Methods whose requests may be too large for UDP and come over TCP instead (RFC 3261 section 18.1.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalledAddress:
    """An address from which a peer may send.

    Attributes:
        host: An IP literal.
        port: The UDP port; None is any, for a peer that sends from other ports than it listens on, or behind a NAT.
        is_stream: TCP or TLS, where each connection has another port.
    """

    host: str
    port: int | None = None
    is_stream: bool = False

    @classmethod
    def named(cls, address: Address) -> "SignalledAddress":
        """Return the signalled address of an address that a URI names."""
        return cls.at(address.host, address.port, address.transport)

    @classmethod
    def at(cls, host: str, port: int, transport: TransportKind) -> "SignalledAddress":
        """Return the signalled address of an IP literal, a port and a transport."""
        return cls(host=host, port=port) if transport is TransportKind.UDP else cls(host=host, is_stream=True)

    @classmethod
    def seen(cls, message: RawMessage, source: Address, known: "set[SignalledAddress]") -> "SignalledAddress":
        """Return the signalled address that a message came from.

        Args:
            message: A request, whose Via says where its sender listens, or a response to our request.
            source: The address it came from.
            known: Addresses of this peer; a response from another port than our request went to allows any port.
        """
        found = cls.named(source)
        if found.is_stream:
            return found
        listens = found in known if message.status is not None else sent_by_port(message, 5060) == source.port
        return found if listens else cls(host=source.host)

    def fits(self, source: Address, method: str, *, any_port: bool = False) -> bool:
        """Tell whether a request may come from a source's port and transport; its host is not compared.

        Args:
            source: The address it came from.
            method: Of the request.
            any_port: The configuration allows the peer any port.
        """
        if source.transport is not TransportKind.UDP:
            return self.is_stream or method in LARGE or any_port
        return any_port or (not self.is_stream and self.port in (None, source.port))
