"""The options of the endpoint: addresses, transports, trusted networks, limits. Pure values."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sip.digest import Credentials


class BindError(OSError):
    """An address cannot be bound; ``filename`` is the address."""


class TransportKind(StrEnum):
    """Transports of SIP messages (RFC 3261 section 18); the values are those of URI parameters."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"

    @property
    def default_port(self) -> int:
        """The port if none is given (RFC 3261 section 19.1.2)."""
        return 5061 if self is TransportKind.TLS else 5060


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a peer listens: host name or IP literal without brackets, port in [1, 65535], transport.

    ``is_srv``: the port was not given, so SRV records of the name are used if there are any (RFC 3263).
    """

    host: str
    port: int = 5060
    transport: TransportKind = TransportKind.UDP
    is_srv: bool = False

    @property
    def bracketed(self) -> str:
        """The host for URIs and Via: an IPv6 literal in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host

    def __str__(self) -> str:
        scheme = "" if self.transport is TransportKind.UDP else f"{self.transport}:"
        return f"{scheme}{self.bracketed}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLimits:
    """The networks of one peer, and the rate limits of each address in them. Messages of dialogs are not limited.

    Attributes:
        networks: CIDR strings.
        calls_per_s: New calls a second; bursts of five seconds' worth are allowed.
        requests_per_s: Other requests outside dialogs a second (OPTIONS, REGISTER, stray BYE), with the same bursts.
        any_port: Requests inside dialogs may come from any port.
    """

    networks: tuple[str, ...]
    calls_per_s: float = 100.0
    requests_per_s: float = 100.0
    any_port: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRule:
    """Further rules for the peers of some networks. The first rule that has an address counts.

    Attributes:
        networks: CIDR strings.
        tls_names: SIP domains or host names that the peer's certificate may have (RFC 5922), besides the host that
            a target is configured with.
        tls_only: Requests over UDP and TCP get no reply.
        requires_certificate: A peer that connects must show a certificate of our authorities with one of
            ``tls_names``; implies ``tls_only``.
        large_over_tcp: Requests over 1,300 bytes to a UDP target go over TCP (RFC 3261 section 18.1.1).
    """

    networks: tuple[str, ...]
    tls_names: tuple[str, ...] = ()
    tls_only: bool = False
    requires_certificate: bool = False
    large_over_tcp: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """Our TLS files; paths of PEM files.

    Attributes:
        certificate: Our certificate, with the intermediate certificates.
        private_key: Its key, without a passphrase.
        ca: Authorities for the certificates of peers; None is the system's.
    """

    certificate: str
    private_key: str
    ca: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """Limits of connections.

    Attributes:
        connections: Total number, in both directions.
        per_source: Number that one address may open.
        connect_s: Seconds to connect, TLS included; short, so that the next target is tried within 2 s.
        handshake_s: Seconds that a peer has for the TLS handshake.
        message_s: Seconds from the first byte of a message to its last.
        idle_out_s: Seconds without a byte after which a connection that we opened is closed.
        idle_in_s: The same for one that a peer opened; longer than session timers, since a phone may be reachable by
            it alone.
    """

    connections: int = 500
    per_source: int = 200
    connect_s: float = 1.5
    handshake_s: float = 5.0
    message_s: float = 10.0
    idle_out_s: float = 300.0
    idle_in_s: float = 7200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Registrar:
    """A registrar at which we register an address of record (RFC 3261 section 10).

    Attributes:
        name: For logs and events; unique.
        address: Where REGISTER is sent.
        user: User of the address of record, and of our Contact.
        domain: Its domain, and the URI of the REGISTER.
        account: For challenges, or None.
        expires_s: Lifetime that we request, whole seconds.
    """

    name: str
    address: Address
    user: str
    domain: str
    account: Credentials | None = None
    expires_s: int = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class SipOptions:
    """The options of an endpoint.

    Attributes:
        listen: Local address; port 0 binds a free one.
        listen_tcp: Local address for TCP, or None. Without it nothing is sent over TCP either, since peers could not
            connect to us.
        listen_tls: The same for TLS; needs ``tls``.
        tls: Certificate and authorities.
        advertised: Address for Via and Contact if it differs from ``listen`` (NAT, virtual IP). TCP and TLS use its
            host and their own ports.
        trusted: Networks as CIDR strings whose requests are read; requests of others get no reply.
        peers: Which networks belong to one peer, and their rate limits; by default each network is a peer.
        is_urgent: Tells whether calls to a dialled number are exempt from the limits.
        rules: Further rules for peers.
        streams: Limits of connections.
        user_agent: Value of User-Agent and Server.
        watch_every_s: Seconds between OPTIONS to a watched target.
        is_recording_server: SIPREC clients may call: ``Require: siprec`` is supported (RFC 7866).
        session_expires_s: Session interval that we propose (RFC 4028), whole seconds, or None to propose none.
        min_session_s: Shortest session interval that we accept, whole seconds.
        account_of: Returns our account at the peer with an IP literal, for its challenges, or None.
    """

    listen: Address
    listen_tcp: Address | None = None
    listen_tls: Address | None = None
    tls: TlsOptions | None = None
    advertised: Address | None = None
    trusted: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    peers: tuple[PeerLimits, ...] = ()
    is_urgent: Callable[[str], bool] = lambda _number: False
    rules: tuple[PeerRule, ...] = ()
    streams: StreamLimits = StreamLimits()
    user_agent: str = "council-call-recorder"
    watch_every_s: float = 10.0
    is_recording_server: bool = False
    session_expires_s: int | None = 1800
    min_session_s: int = 90
    account_of: Callable[[str], Credentials | None] = lambda _host: None
