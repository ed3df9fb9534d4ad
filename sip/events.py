"""The vocabulary of the SIP side: what happened on a leg, and what can be asked of one.

Pure: no socket, no sippy. A *leg* is one dialog between us and one peer; the application joins legs into
calls. Every value here is made on, and stays on, the call thread.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType, Protocol

from sip.digest import Credentials

LegId = NewType("LegId", int)
"""Names one dialog for as long as the process lives; never used twice."""

Header = tuple[str, str]
"""Name as spelled in the RFC that defines it, and the raw value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A message body as it crosses the wire; never decoded here, nor shown: keys and digits stand in it."""

    content: bytes = field(repr=False)
    content_type: str = "application/sdp"

    def is_sdp(self) -> bool:
        """Tell whether the body is a session description, whatever the case and parameters of its type."""
        return self.content_type.split(";", 1)[0].strip().lower() == "application/sdp"


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
class CallOffered:
    """A new INVITE from a trusted peer (RFC 3261 section 13.3). 100 Trying has been sent already.

    Attributes:
        leg: The new leg; everything that follows on this dialog names it.
        source: Address the request came from, not what its headers claim.
        request_user: User part of the request URI: the number that was dialled.
        to_user: User part of To; differs from request_user after a diversion.
        from_user: User part of From, as claimed.
        from_display: Display name of From, as claimed, or "".
        asserted_user: User part of P-Asserted-Identity (RFC 3325), or None.
        sip_call_id: The Call-ID: an opaque string of the peer's; never a file name.
        headers: Identity and history headers to be passed on, in order, each occurrence on its own
            (P-Asserted-Identity, Privacy, Diversion, History-Info, Alert-Info, Reason, X-*).
        max_forwards: Hops left as received.
        loop_marks: Values of our marker header, oldest first.
        body: The offer, or None for a delayed offer.
        required: Option tags of Require, in lower case.
        supported: Option tags of Supported, in lower case.
        is_recording_client: Its Contact has the feature tag ``+sip.src``: a SIPREC client (RFC 7866 section 6.1.1).
        origin: The From header as it came, with its parameters.
        session_id: Value of Session-ID without the remote half (RFC 7989), or "".
        replaced_leg: A dialog of ours that this one asks to take the place of (RFC 3891), or None.
    """

    leg: LegId
    source: Address
    request_user: str
    to_user: str
    from_user: str
    from_display: str
    asserted_user: str | None
    sip_call_id: str
    headers: tuple[Header, ...]
    max_forwards: int
    loop_marks: tuple[str, ...]
    body: Body | None
    required: tuple[str, ...] = ()
    supported: tuple[str, ...] = ()
    is_recording_client: bool = False
    origin: str = field(default="", repr=False)
    session_id: str = ""
    replaced_leg: LegId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRang:
    """A 18x arrived on a leg we dialled; body carries early media's SDP when there is any, headers what crosses."""

    leg: LegId
    status: int
    body: Body | None
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LegAnswered:
    """A 2xx arrived on a leg we dialled; it has been acknowledged. asserted_user is the answering identity.

    When we dialled without an offer, ``body`` is the far side's offer and its ACK waits for `Endpoint.answer_offer`
    (RFC 3261 section 13.2.1).
    """

    leg: LegId
    body: Body | None
    asserted_user: str | None = None
    headers: tuple[Header, ...] = ()
    """What crosses to the other leg, the answering identity's headers included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegRefused:
    """A leg that we dialled came to nothing: final status in [300, 699], 408 when nobody replied in time."""

    leg: LegId
    status: int
    phrase: str
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LegEnded:
    """The far side ended an offered, ringing or connected leg: CANCEL, BYE, or a dialog that timed out.

    ``reason`` is the raw value of the Reason header (RFC 3326), or None.
    """

    leg: LegId
    cause: str
    """One of ``cancel``, ``bye``, ``timeout``."""
    reason: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferReceived:
    """A re-INVITE or an UPDATE with SDP (RFC 3311) on a connected leg; must be answered or refused.

    ``body`` is None when the peer asks us to make the offer (empty re-INVITE). An UPDATE without SDP (session
    timer, RFC 4028) is answered below and never seen here.
    """

    leg: LegId
    body: Body | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferAnswered:
    """An answer to our offer arrived: the 2xx to our re-INVITE (acknowledged already), or the ACK of a delayed offer.

    The ACK brings it when the peer's INVITE or re-INVITE had no SDP, so that our 200 made the offer; ``body`` is None
    when that ACK has none. After a re-INVITE of ours without SDP, ``body`` is the peer's offer instead, and the ACK
    waits for `Endpoint.answer_offer`.
    """

    leg: LegId
    body: Body | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferRefused:
    """Our re-INVITE was refused; the session goes on as it was (RFC 3261 section 14.1). 491 was retried below."""

    leg: LegId
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoReceived:
    """An INFO arrived and was answered 200 (RFC 6086). Its body may hold digits: never log it."""

    leg: LegId
    body: Body = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferReceived:
    """The peer asks for a transfer (RFC 3515); must be accepted or refused. One is open on a leg at a time.

    Attributes:
        leg: The leg of the one who asks.
        source: Address the request came from.
        user: Whom to call: the user part of Refer-To, never empty.
        replaces: Value of the Replaces in it, for an INVITE of ours, or None.
        replaced_leg: The leg that it names, where that is a dialog of ours.
    """

    leg: LegId
    source: Address
    user: str
    replaces: str | None
    replaced_leg: LegId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityChanged:
    """A re-INVITE or UPDATE of the peer names another party at its end (P-Asserted-Identity; From by RFC 4916)."""

    leg: LegId
    source: Address
    user: str
    headers: tuple[Header, ...] = ()
    """Those that say so, to be passed on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetChanged:
    """A watched target stopped answering OPTIONS, or answers again (RFC 3261 section 11)."""

    target: Address
    is_alive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceMisbehaved:
    """A trusted source sent what was refused or dropped; said once for a kind and source in an hour.

    ``kind`` is one of ``rate_limited`` (more new calls or requests than its peer may send), ``foreign`` (an act in a
    dialog that is another peer's), ``stray`` (a flood of responses to nothing), ``malformed``, ``overload`` (more than
    the call thread can take).
    """

    kind: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationChanged:
    """A registration of ours began, failed or was renewed after a failure.

    ``is_registered`` is True for as long as an earlier one lasts, whatever ``status`` says of the last attempt: a final
    SIP status, 408 when the registrar does not answer.
    """

    name: str
    is_registered: bool
    status: int


SipEvent = (
    CallOffered
    | LegRang
    | LegAnswered
    | IdentityChanged
    | LegRefused
    | LegEnded
    | OfferReceived
    | OfferAnswered
    | OfferRefused
    | InfoReceived
    | ReferReceived
    | TargetChanged
    | RegistrationChanged
    | SourceMisbehaved
)

Listener = Callable[[SipEvent], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingCall:
    """What an INVITE of ours says.

    Attributes:
        target: Where it is sent.
        request_user: User part of the request URI and of To.
        from_user: User part of From.
        from_display: Display name of From, or "".
        headers: Passed on as they are, in order.
        max_forwards: Hops left, already decremented by the application.
        loop_mark: Value of our marker header, added after those in ``loop_marks``.
        loop_marks: Marks that arrived.
        body: The offer, or None to have the far side make it.
        no_reply_s: Seconds without any response until the leg is refused with 408; fail-over relies on it.
        ring_s: Seconds from the first 18x until the leg is cancelled and refused with 480, or None.
        is_reliable: The far side may send provisional responses that are acknowledged (RFC 3262). One of them may make
            the offer when ``body`` is None: LegRang brings it, and `Endpoint.answer_offer` answers it.
    """

    target: Address
    request_user: str
    from_user: str
    from_display: str = ""
    headers: tuple[Header, ...] = ()
    max_forwards: int = 70
    loop_mark: str | None = None
    loop_marks: tuple[str, ...] = ()
    body: Body | None
    no_reply_s: float = 2.0
    ring_s: float | None = None
    is_reliable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLimits:
    """Networks that belong together, and how much each address in them may send beside dialogs that stand.

    Attributes:
        networks: CIDR strings.
        calls_per_s: New calls a second; five seconds' worth may come at once.
        requests_per_s: Other requests outside dialogs a second (OPTIONS, REGISTER, BYE for nobody), likewise.
    """

    networks: tuple[str, ...]
    calls_per_s: float = 100.0
    requests_per_s: float = 100.0


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


class Endpoint(Protocol):
    """The commands of the SIP side; `sip.b2bua.SipEndpoint` is the real one. Call thread only.

    A command on a leg that has ended is ignored: its end is on the way as an event, or was sent by us. None of
    them raises for what a peer did.
    """

    @property
    def address(self) -> Address:
        """The address bound, with its real port."""

    @property
    def counters(self) -> dict[str, int]:
        """What went no further, by reason; any thread."""

    def ring(self, leg: LegId, *, status: int = 180, body: Body | None = None, headers: Sequence[Header] = ()) -> None:
        """Send a provisional response to an offered leg: 180, or 183 with early media's SDP."""

    def answer(
        self, leg: LegId, body: Body | None, *, is_recorder: bool = False, headers: Sequence[Header] = ()
    ) -> None:
        """Send 200 to an offered leg.

        After an INVITE without an offer ``body`` is ours, and the peer's answer follows as OfferAnswered.

        Args:
            leg: The leg.
            body: The answer, or our offer.
            is_recorder: From now on our Contact on this leg has ``+sip.srs`` (RFC 7866 section 6.2).
            headers: Headers of the other side that cross.
        """

    def refuse(self, leg: LegId, status: int, phrase: str, *, headers: Sequence[Header] = ()) -> None:
        """Send a final non-2xx response to an offered leg; no further event names it."""

    def dial(self, call: OutgoingCall) -> LegId:
        """Send an INVITE; LegRang, LegAnswered or LegRefused follow."""

    def hang_up(self, leg: LegId, *, reason: str | None = None) -> None:
        """End a leg with what fits its state: BYE, CANCEL, or 480 when offered; no further event names it.

        A CANCEL that crosses a 200 is followed by ACK and BYE.
        """

    def offer(self, leg: LegId, body: Body | None) -> None:
        """Send a re-INVITE; OfferAnswered or OfferRefused follows. 491 is retried after RFC 3261 14.1's delay.

        While another offer is open on the leg, or its ACK is awaited, it waits its turn; offers go out in order.
        """

    def answer_offer(self, leg: LegId, body: Body | None) -> None:
        """Answer the offer that is open on the leg: OfferReceived with 200, one that a 2xx brought in its ACK."""

    def refuse_offer(self, leg: LegId, status: int = 488) -> None:
        """Refuse the OfferReceived that is open on the leg."""

    def send_info(self, leg: LegId, body: Body) -> None:
        """Send an INFO; its answer is not reported."""

    def probe(self, leg: LegId) -> None:
        """Ask whether the peer still knows the leg, by OPTIONS; LegEnded follows if it does not, or says nothing."""

    def accept_refer(self, leg: LegId) -> None:
        """Answer the ReferReceived that is open on the leg with 202; NOTIFY tells that the attempt has begun."""

    def refuse_refer(self, leg: LegId, status: int) -> None:
        """Refuse the ReferReceived that is open on the leg."""

    def notify(self, leg: LegId, status: int, phrase: str = "") -> None:
        """Tell how the accepted transfer stands; a final status, in [200, 699], is the last word.

        The peer may have hung up by then. A `hang_up` that follows waits until the peer has heard it, or 1 s.
        """

    def identify(self, leg: LegId, headers: Sequence[Header]) -> None:
        """Tell a connected peer who it talks to now, by UPDATE; one that does not take UPDATE is not told."""

    def watch(self, target: Address) -> None:
        """Begin to send OPTIONS to a target; TargetChanged follows each change. Presumed alive at first."""

    def register(self, registrar: Registrar) -> None:
        """Begin to keep an address of record bound to us; RegistrationChanged follows. `close` takes it back."""

    @property
    def registrations(self) -> list[dict[str, str | int | None]]:
        """How each registration stands: name, is_registered, left_s, last_status."""

    def close(self, *, keep: Collection[LegId] = ()) -> None:
        """Close the sockets. Legs that still exist are ended first, with BYE, CANCEL or 503.

        Args:
            keep: Legs to be left as they are: their media does not come here, so that they outlive us.
        """
