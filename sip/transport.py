"""What carries SIP messages (RFC 3261 section 18): the UDP socket, and the door to TCP and TLS (`sip.streams`).

Put round sippy's UDP server here: datagrams of strangers are dropped on the receiver thread, before anything reads
them; one receiver worker; whole datagrams, however large; a bounded backlog; each message cleaned by `sip.message`;
the advertised address in Via and Contact. For requests of ours the transport is chosen here. Knows sippy; see
`sip.reactor`.
"""

import collections
import logging
import socket
import time
from collections.abc import Callable

from sippy.Core.EventDispatcher import ED2
from sippy.SipConf import SipConf
from sippy.Time.MonoTime import MonoTime
from sippy.Udp_server import Udp_server, Udp_server_opts

from sip.connection import Connection
from sip.limits import Admission, Backlog, DialogMatch, Intake, Peers
from sip.lookups import Lookups
from sip.message import (
    MalformedMessageError,
    RawMessage,
    encode_for_wire,
    is_ip,
    parse_message,
    refusal,
    reply_port,
    sent_by_port,
    via_parameters,
)
from sip.options import Address, PeerLimits, SipOptions, TransportKind
from sip.reactor import QuietLogger, Sippy, guarded
from sip.readable import check_readable, mended
from sip.stream_server import ReplyServer, RequestServer
from sip.streams import Parcel, Streams
from sip.transactions import Arrival, RequestHook, StrayHook, Transactions
from sip.trust import Trust

_log = logging.getLogger(__name__)

MAX_STRANGERS = 100
"""Sources without a peer that are named in the log."""

_Answer = tuple[int, str, tuple[tuple[str, str], ...]]
_REFUSALS: dict[Admission, _Answer] = {
    Admission.BUSY: (503, "Service Unavailable", (("Retry-After", "5"),)),
    Admission.FORBID: (403, "Forbidden", ()),
}

LARGE_BYTES = 1300
"""A request over this is too large for UDP (RFC 3261 section 18.1.1): 200 bytes below the usual MTU."""

_MAX_DATAGRAM = 65535
MatchHook = Callable[[RawMessage, Address], DialogMatch]
ReportHook = Callable[[str, str], None]


class _OneWorkerOptions(Udp_server_opts):  # type: ignore[misc]  # sippy has no types
    # SO_REUSEADDR would let two daemons share a UDP port and each get some of the datagrams.
    nworkers = 1
    flags = 0
    direct_dispatch = True


class _WholeDatagrams(socket.socket):
    """sippy reads 8192 bytes of a datagram; an INVITE with SIPREC metadata may be larger, in fragments."""

    def recvfrom(self, _size: int, _flags: int = 0) -> tuple[bytes, Sippy]:
        return super().recvfrom(_MAX_DATAGRAM)


def _server_class(transport: "Transport") -> type[Sippy]:
    """Make the server class that belongs to a transport; sippy takes a class, not an object."""

    class Server(Udp_server):  # type: ignore[misc]  # sippy has no types
        @property
        def skt(self) -> socket.socket | None:
            return self._socket

        @skt.setter
        def skt(self, made: socket.socket | None) -> None:
            self._socket = None if made is None else _WholeDatagrams(fileno=made.detach())

        def getSIPaddr(self) -> tuple[tuple[str, int], str]:  # noqa: N802 - sippy's name
            return transport.shown(TransportKind.UDP)

        def handle_read(self, data: bytes, address: tuple[str, int], rtime: Sippy, delayed: bool = False) -> None:
            # On the receiver thread, by direct_dispatch.
            transport.received(self, data, address, rtime)

        def send_to(self, data: bytes | str, address: Sippy, delayed: bool = False) -> None:
            raw = data if isinstance(data, bytes) else encode_for_wire(data)
            host, port = str(address[0]).strip("[]"), int(address[1])
            if not 0 < port < 65536:  # it would end the thread that sends
                transport.counters["unsendable"] += 1
                return
            if len(raw) > LARGE_BYTES and not raw.startswith(b"SIP/"):
                transport.counters["large"] += 1
            if is_ip(host):
                self.send_datagram(raw, host, port)
            elif not transport.lookups.find(host, lambda found: self.send_datagram(raw, found, port)):
                transport.counters["unsendable"] += 1

        def send_datagram(self, raw: bytes, host: str, port: int) -> None:
            if (":" in host) != (self.uopts.family == socket.AF_INET6):  # the thread that sends would ask the DNS
                transport.counters["unsendable"] += 1
                return
            super().send_to(raw, transport.wire_address((host, port)))

        def shutdown(self) -> None:
            # sippy closes the socket first and so loses what is still queued, such as the last BYE.
            self.sendqueue.put(None)
            for worker in self.asenders or ():
                worker.join(2.0)
            super().shutdown()

    return Server


class Transport:
    """One listening UDP socket, TCP and TLS where asked for, and their transactions. Call thread, but for arrivals."""

    def __init__(
        self,
        options: SipOptions,
        on_request: RequestHook,
        on_stray_success: StrayHook,
        *,
        match: MatchHook,
        on_report: ReportHook,
    ) -> None:
        """Bind the sockets.

        Raises:
            OSError: An address cannot be bound.
            ValueError: A network is no CIDR.
            TlsFilesError: Certificate, key or authorities cannot be used.
        """
        self._strangers: set[str] = set()
        self.counters: collections.Counter[str] = collections.Counter()
        self._options = options
        self._trust = Trust(options)
        self.peers = Peers(options.peers or [PeerLimits(networks=(cidr,)) for cidr in options.trusted])
        self._match = match
        self._intake = Intake(self.peers, is_urgent=options.is_urgent, report=on_report)
        self._backlog = Backlog()
        self.lookups = Lookups(socket.AF_INET6 if ":" in options.listen.host else socket.AF_INET)
        self._is_overload_due = False
        """A report of it waits for the call thread: one at a time."""
        self._is_closed = False
        SipConf.my_uaname = options.user_agent
        SipConf.autoconvert_tel_url = True
        config = {
            "_sip_address": options.listen.bracketed,
            "_sip_port": options.listen.port,
            "_sip_logger": QuietLogger(),
        }
        self._streams = self._open_streams()
        try:
            model = (_server_class(self), _OneWorkerOptions)
            self.transactions = Transactions(config, model, self, on_request, on_stray_success)
        except OSError:
            if self._streams is not None:
                self._streams.close()
            raise
        config["_sip_tm"] = self.transactions
        self._udp = self.transactions.l4r.getServer(None)
        self._bound = Address(host=options.listen.host, port=self._udp.skt.getsockname()[1])
        self._udp.skt.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._shown = self._what_is_shown()
        if self._streams is not None:
            self._streams.start()

    def _open_streams(self) -> Streams | None:
        has_any = self._options.listen_tcp is not None or self._options.listen_tls is not None
        return Streams(self._options, self._trust, self) if has_any else None

    def _what_is_shown(self) -> dict[str, tuple[tuple[str, int], str]]:
        shown = {}
        for kind, address in self.addresses.items():
            host = self._options.advertised or address
            port = host.port if kind is TransportKind.UDP else address.port
            shown[kind.value] = ((host.bracketed, port or address.port), kind.value)
        return shown

    @property
    def address(self) -> Address:
        """Return the bound UDP address with its real port."""
        return self._bound

    @property
    def addresses(self) -> dict[TransportKind, Address]:
        """Return every bound address with its real port."""
        return {TransportKind.UDP: self._bound, **(self._streams.addresses if self._streams is not None else {})}

    @property
    def _streams_there(self) -> Streams:
        assert self._streams is not None
        return self._streams

    @property
    def streams(self) -> Streams | None:
        """Return TCP and TLS, or None where neither is asked for."""
        return self._streams

    @property
    def all_counters(self) -> dict[str, int]:
        """Return what went no further, by reason, and what is worth knowing: see `SipEndpoint.counters`."""
        streams = self._streams.counters if self._streams is not None else collections.Counter[str]()
        # Of copies: the threads of arrivals may count something new meanwhile.
        return dict(self.counters.copy() + self._intake.counters.copy() + streams.copy())

    def shown(self, kind: str) -> tuple[tuple[str, int], str]:
        """Return what Via and Contact say over a transport."""
        return self._shown.get(kind) or (self._shown[TransportKind.UDP][0], kind)

    @staticmethod
    def wire_address(address: tuple[str, int]) -> tuple[str, int]:
        """Return an address as sippy's sender wants it: IPv6 literals in brackets."""
        host, port = address
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        return host, int(port)

    def close(self) -> None:
        """Send what is queued and close the sockets."""
        if not self._is_closed:
            self._is_closed = True
            if self._streams is not None:
                self._streams.close()
            self.lookups.close()
            self.transactions.shutdown()

    # -- arrivals, on their threads

    def received(self, server: Sippy, data: bytes, address: tuple[str, int], rtime: Sippy) -> None:
        """Take one datagram on the receiver thread: drop it, or pass it to the call thread."""
        source = address[0].strip("[]")
        trust = self._trust.of(source)
        if not trust.may_ask_over(TransportKind.UDP):
            self.counters["without_tls" if trust.is_trusted else "untrusted"] += 1
            self._tell_once(source, is_trusted=trust.is_trusted)
            return
        if len(data) < 32:
            self.counters["keepalive"] += 1
            return
        if not self._has_room(source, data):
            self.counters["overload"] += 1
            return
        self.on_call_thread(self._handle, server, data, Address(host=source, port=address[1]), rtime)

    def message(self, connection: Connection, data: bytes) -> bool:
        """Take one message of a connection on the I/O thread: drop it, or pass it to the call thread."""
        is_answer = data.lstrip(b"\r\n").startswith(b"SIP/")
        if not is_answer and not self._trust.of(connection.peer.host).may_ask_over(connection.peer.transport):
            self._streams_there.count("untrusted")
            return False
        if not self._has_room(connection.peer.host, data):
            self._streams_there.count("overload")
            return False
        self.on_call_thread(self._handle_from, connection, data)
        return True

    def _has_room(self, source: str, data: bytes) -> bool:
        has_room = self._backlog.enter(source, is_urgent=lambda: self._is_urgent(data))
        if not has_room and not self._is_overload_due:
            self._is_overload_due = True
            self.on_call_thread(self._report_overload, source)
        return has_room

    def _report_overload(self, source: str) -> None:
        self._is_overload_due = False
        self._intake.report("overload", source, time.monotonic())

    def _is_urgent(self, data: bytes) -> bool:
        return self._intake.is_urgent(data[:512].decode("latin-1").lstrip("\r\n").split("\r", 1)[0])

    def lost(self, connection: Connection) -> None:
        """Take note on the I/O thread that a connection is over."""
        self.on_call_thread(self.transactions.lost, connection)

    def on_call_thread(self, fn: Callable[..., None], *args: object) -> None:
        """Run a function soon on the call thread, unless all is closed by then; from any thread."""
        ED2.callFromThread(guarded, self._while_open, fn, *args)

    def _while_open(self, fn: Callable[..., None], *args: object) -> None:
        if not self._is_closed:
            fn(*args)

    def _tell_once(self, source: str, *, is_trusted: bool) -> None:
        """Log a source that gets no reply, once each and a bounded number: a flood must not fill the log."""
        if source in self._strangers or len(self._strangers) >= MAX_STRANGERS:
            return
        self._strangers.add(source)
        why = "its [[peer]] must use TLS" if is_trusted else "it is in the networks of no [[peer]]"
        _log.warning("requests from %s get no reply: %s", source, why)

    # -- arrivals, on the call thread

    def _handle(self, server: Sippy, data: bytes, source: Address, rtime: Sippy) -> None:
        self._backlog.leave(source.host)
        self._take(data, source, None, server, rtime)

    def _handle_from(self, connection: Connection, data: bytes) -> None:
        self._backlog.leave(connection.peer.host)
        connection.handled += 1
        if connection.is_waiting:
            self._streams_there.read_on(connection)
        self._take(data, connection.peer, connection, ReplyServer(self, connection.peer, connection), MonoTime())

    def _take(self, data: bytes, source: Address, flow: Connection | None, server: Sippy, rtime: Sippy) -> None:
        try:
            message = self._readable(parse_message(data), source)
        except MalformedMessageError as error:
            self.counters["malformed"] += 1
            _log.debug("malformed message: %s", error)
            if self._intake.answers_malformed(source.host, time.monotonic()) and error.request is not None:
                self._refuse(server, error.request, source, (error.status, error.phrase, ()))
            return
        match = DialogMatch.KNOWN if self.transactions.has(message) else self._match(message, source)
        admission = self._intake.decide(message, match, source.host, time.monotonic())
        if admission is Admission.ADMIT:
            if flow is not None and message.status is None:
                server = ReplyServer(self, self._reply_to(flow, message), flow)
            self.transactions.take(Arrival(message=message, source=source, flow=flow), server, rtime)
        elif admission in _REFUSALS:
            self._refuse(server, message, source, _REFUSALS[admission])

    def _readable(self, message: RawMessage, source: Address) -> RawMessage:
        try:
            check_readable(message)
        except MalformedMessageError:
            better = mended(message, source)
            if better is None:
                raise
            check_readable(better)
            self.counters["mended"] += 1
            return better
        return message

    @staticmethod
    def _refuse(server: Sippy, message: RawMessage, source: Address, answer: _Answer) -> None:
        """Answer without a transaction: a flood must not make one a packet."""
        status, phrase, headers = answer
        data = refusal(message, status, phrase, headers=headers)
        server.send_to(data, (source.host, reply_port(message, source.port)))

    def _reply_to(self, connection: Connection, message: RawMessage) -> Address:
        """Return where a response goes once the connection of its request is gone (RFC 3261 section 18.2.2)."""
        kind = connection.peer.transport
        port = sent_by_port(message, kind.default_port) or connection.peer.port
        reply_to = Address(host=connection.peer.host, port=port, transport=kind)
        if connection.is_authenticated and not connection.is_ours and "alias" in via_parameters(message):
            self._streams_there.alias(connection, reply_to)
        return reply_to

    # -- requests of ours

    def kind_of(self, url: Sippy, default: TransportKind) -> TransportKind:
        """Return the transport that a URI asks for (RFC 3261 sections 18.1 and 19.1), or the default.

        What began over TLS stays there, whatever a Contact says, and a sips URI fails rather than go in plain text.
        Otherwise one that we do not have is not asked for.
        """
        if url.scheme == "sips" or default is TransportKind.TLS:
            return TransportKind.TLS
        asked = str(url.transport).lower()
        return TransportKind(asked) if asked in self._shown else default

    def server_for(self, request: Sippy, flow: Connection | None = None) -> Sippy:
        """Return sippy's server for a request: the UDP socket, or one for a connection.

        Args:
            request: With its target.
            flow: The connection of its dialog; taken while it is open if it leads to the host where the request goes.
        """
        (host, port), named = request.getTarget()
        kind = TransportKind(named)
        host = str(host).strip("[]")
        if kind is TransportKind.UDP:
            return self._server_for_datagram(request, host, int(port))
        to = Address(host=host, port=int(port), transport=kind)
        if kind is TransportKind.TLS:
            request.getHFBody("via").setParam("alias")  # the connection shows our certificate: RFC 5923
        is_flow = flow is not None and flow.is_open and flow.peer.transport is kind
        if flow is not None and is_flow and (flow.peer.host == host or not is_ip(host)):
            return RequestServer(self, to, flow)
        return RequestServer(self, to, None)

    def _server_for_datagram(self, request: Sippy, host: str, port: int) -> Sippy:
        may_grow = TransportKind.TCP in self._shown and self._trust.of(host).rule.large_over_tcp
        if not may_grow or len(request.localStr(self._udp.getSIPaddr())) <= LARGE_BYTES:
            return self._udp
        self.counters["large_over_tcp"] += 1
        return RequestServer(self, Address(host=host, port=port, transport=TransportKind.TCP), None, may_use_udp=True)

    def post(self, parcel: Parcel) -> None:
        """Have a parcel sent over TCP or TLS."""
        if self._streams is None:
            self.on_call_thread(parcel.failed)
        else:
            self._streams.send(parcel)

    def fall_back(self, transaction: Sippy, request: Sippy) -> None:
        """Send a request over UDP after all."""
        self.transactions.start_over(transaction, request, self._udp)

    def unreachable(self, transaction: Sippy) -> None:
        """End a request that could not be sent."""
        self.transactions.unreachable(transaction)
