"""How the endpoint is made: where it listens, whom it hears, over what, and within which bounds. Pure values."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sip.digest import Credentials


class BindError(OSError):
    """An address cannot be listened on; ``filename`` is the address."""


class TransportKind(StrEnum):
    """What carries SIP messages (RFC 3261 section 18), by the names of URI parameters."""

    UDP = "udp"
    TCP = "tcp"
    TLS = "tls"

    @property
    def default_port(self) -> int:
        """The port where none is given (RFC 3261 section 19.1.2)."""
        return 5061 if self is TransportKind.TLS else 5060


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a peer listens: host name or IP literal without brackets, port in [1, 65535], and over what.

    ``is_srv`` says that the port was not given: SRV records of the name say where, if there are any (RFC 3263).
    """

    host: str
    port: int = 5060
    transport: TransportKind = TransportKind.UDP
    is_srv: bool = False

    @property
    def bracketed(self) -> str:
        """The host as URIs and Via have it: an IPv6 literal in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host

    def __str__(self) -> str:
        scheme = "" if self.transport is TransportKind.UDP else f"{self.transport}:"
        return f"{scheme}{self.bracketed}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLimits:
    """Networks that belong together, and how much each address in them may send beside dialogs that stand.

    Attributes:
        networks: CIDR strings.
        calls_per_s: New calls a second; five seconds' worth may come at once.
        requests_per_s: Other requests outside dialogs a second (OPTIONS, REGISTER, BYE for nobody), likewise.
        any_port: Requests inside dialogs may come from any port of theirs.
    """

    networks: tuple[str, ...]
    calls_per_s: float = 100.0
    requests_per_s: float = 100.0
    any_port: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerRule:
    """What holds for peers of some networks beyond being trusted. The first rule that has an address counts.

    Attributes:
        networks: As CIDR strings.
        tls_names: SIP domains or host names that the peer's certificate may carry (RFC 5922), besides the host that
            a target is configured with.
        tls_only: Requests over UDP and TCP get no reply.
        requires_certificate: The peer must show a certificate of our authorities with one of ``tls_names`` when it
            connects to us; implies ``tls_only``.
        large_over_tcp: Requests over 1,300 bytes to a UDP target go over TCP (RFC 3261 section 18.1.1).
    """

    networks: tuple[str, ...]
    tls_names: tuple[str, ...] = ()
    tls_only: bool = False
    requires_certificate: bool = False
    large_over_tcp: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """Our side of TLS; paths of PEM files.

    Attributes:
        certificate: Our certificate and what leads from it to an authority.
        private_key: Its key, without a passphrase.
        ca: Authorities that certificates of peers must come from; None is the system's.
    """

    certificate: str
    private_key: str
    ca: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """What bounds connections.

    Attributes:
        connections: In all, both ways.
        per_source: That one address may open.
        connect_s: Seconds to connect, TLS included; short, so that the next target is tried within 2 s.
        handshake_s: Seconds that a peer has for TLS.
        message_s: Seconds from the first byte of a message to its last.
        idle_out_s: Seconds without a byte after which a connection of ours is closed.
        idle_in_s: The same for a peer's: longer than session timers, since its phone may be reached by it alone.
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
    """Where an address of record of ours is to be bound to us (RFC 3261 section 10).

    Attributes:
        name: For logs and events; once.
        address: Where REGISTER is sent.
        user: User of the address of record, and of our Contact.
        domain: Its domain, and the URI of the REGISTER.
        account: For challenges, or None.
        expires_s: Life that we ask for, whole seconds.
    """

    name: str
    address: Address
    user: str
    domain: str
    account: Credentials | None = None
    expires_s: int = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class SipOptions:
    """How the endpoint listens and whom it hears.

    Attributes:
        listen: Local address; port 0 binds a free one.
        listen_tcp: Local address for TCP, or None. Without it nothing is sent over TCP either: peers could not
            reach us.
        listen_tls: The same for TLS; needs ``tls``.
        tls: Certificate and authorities.
        advertised: Address put in Via and Contact when it differs from ``listen`` (NAT, virtual IP). TCP and TLS take
            its host and their own ports.
        trusted: Networks as CIDR strings whose requests are looked at; all others get no reply at all.
        peers: Which of them belong together, and what they may send; by default each network by itself.
        is_urgent: Tells of a dialled number that its calls are taken whatever the limits say.
        rules: What else holds for peers.
        streams: Bounds of connections.
        user_agent: Value of User-Agent and Server.
        watch_every_s: Seconds between OPTIONS to a watched target.
        is_recording_server: SIPREC clients may call: ``Require: siprec`` is understood (RFC 7866).
        session_expires_s: Life of a session that we propose (RFC 4028), whole seconds, or None to propose none.
        min_session_s: Shortest life of a session that we take, whole seconds.
        account_of: Our account at the peer that has an IP literal, or None: for challenges from there.
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
