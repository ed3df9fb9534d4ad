"""The transport layer (RFC 3261 section 18): the UDP socket, and access to TCP and TLS (`sip.streams`).

Extends sippy's UDP server: one receiver thread, datagrams of any size, the advertised address in Via and Contact; a
datagram is sent by whoever has it, and by sippy's sending thread only if the socket is full.
Chooses the transport of our requests. `sip.arrivals` handles incoming messages. Knows sippy; see `sip.reactor`.
"""

import collections
import errno
import socket
from collections.abc import Callable, Collection
from functools import partial

from sippy.Core.EventDispatcher import ED2
from sippy.SipConf import SipConf
from sippy.Udp_server import Udp_server, Udp_server_opts

from sip.arrivals import Arrivals, MatchHook
from sip.connection import Connection
from sip.connector import Parcel
from sip.datagram_socket import DatagramSocket
from sip.limits import Intake, Peers
from sip.lookups import Lookups
from sip.loop_pace import set_left
from sip.message import encode_for_wire, is_ip
from sip.options import Address, PeerLimits, SipOptions, TransportKind
from sip.reactor import QuietLogger, Sippy
from sip.stream_server import RequestServer
from sip.streams import Streams
from sip.transactions import RequestHook, StrayHook, Transactions
from sip.trust import Trust
from sip.work_queue import WorkQueue

LARGE_BYTES = 1300
"""A larger request is too large for UDP (RFC 3261 section 18.1.1): 200 bytes below the usual MTU."""

_FULL = (errno.EAGAIN, errno.EWOULDBLOCK, errno.ENOBUFS)
"""The socket takes no more for now; any other error would be the same a moment later."""
ReportHook = Callable[[str, str], None]


class _OneWorkerOptions(Udp_server_opts):  # type: ignore[misc]  # sippy has no types
    # SO_REUSEADDR would let two daemons share a UDP port and each get some of the datagrams.
    nworkers = 1
    flags = 0
    direct_dispatch = True


def _server_class(transport: "Transport") -> type[Sippy]:
    """Return the server class of a transport; sippy wants a class, not an object."""

    class Server(Udp_server):  # type: ignore[misc]  # sippy has no types
        @property
        def skt(self) -> DatagramSocket | None:
            return self._socket

        @skt.setter
        def skt(self, made: socket.socket | None) -> None:
            self._socket = None if made is None else DatagramSocket(fileno=made.detach())

        def getSIPaddr(self) -> tuple[tuple[str, int], str]:  # noqa: N802 - sippy's name
            return transport.shown(TransportKind.UDP)

        def handle_read(self, data: bytes, address: tuple[str, int], rtime: Sippy, delayed: bool = False) -> None:
            # On the receiver thread, by direct_dispatch.
            transport.arrivals.received(self, data, address, rtime)

        def send_to(self, data: bytes | str, address: Sippy, delayed: bool = False) -> None:
            raw = data if isinstance(data, bytes) else encode_for_wire(data)
            host, port = str(address[0]).strip("[]"), int(address[1])
            if not 0 < port < 65536:  # it would end the sending thread
                transport.counters["unsendable"] += 1
                return
            if len(raw) > LARGE_BYTES and not raw.startswith(b"SIP/"):
                transport.counters["large"] += 1
            if is_ip(host):
                self.send_datagram(raw, host, port)
            elif not transport.lookups.find(host, lambda found: self.send_datagram(raw, found, port)):
                transport.counters["unsendable"] += 1

        def send_datagram(self, raw: bytes, host: str, port: int) -> None:
            if (":" in host) != (self.uopts.family == socket.AF_INET6):  # the sending thread would query DNS
                transport.counters["unsendable"] += 1
                return
            if not self._is_sent(raw, host, port):
                super().send_to(raw, _wire_address(host, port))

        def _is_sent(self, raw: bytes, host: str, port: int) -> bool:
            """Send a datagram at once; return False if the sending thread has to: the socket is full or others wait."""
            if self.skt is None or not self.sendqueue.empty():
                return False
            try:
                self.skt.send_now(raw, host, port)
            except OSError as error:
                return error.errno not in _FULL
            return True

        def shutdown(self) -> None:
            # sippy would close the socket first, and lose queued messages such as the last BYE.
            self.sendqueue.put(None)
            for worker in self.asenders or ():
                worker.join(2.0)
            super().shutdown()

    return Server


def _wire_address(host: str, port: int) -> tuple[str, int]:
    """Return an address for sippy's sender: IPv6 literals in brackets."""
    return (f"[{host}]" if ":" in host and not host.startswith("[") else host), port


class Transport:
    """One listening UDP socket, TCP and TLS if configured, and their transactions. Call thread, except `arrivals`.

    Attributes:
        arrivals: Takes incoming messages.
        counters: Dropped or refused messages, by reason, without those that limits and connections count.
        lookups: Resolves names in routes.
        peers: The networks of peers.
        streams: TCP and TLS, or None if neither is configured.
        transactions: sippy's transactions.
    """

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
        self.counters: collections.Counter[str] = collections.Counter()
        self._options = options
        self._trust = Trust(options)
        self.peers = Peers(options.peers or [PeerLimits(networks=(cidr,)) for cidr in options.trusted])
        self._intake = Intake(self.peers, is_urgent=options.is_urgent, report=on_report)
        self.arrivals = Arrivals(self._trust, self._intake, self, self.counters, match)
        self.lookups = Lookups(socket.AF_INET6 if ":" in options.listen.host else socket.AF_INET)
        self._is_closed = False
        self._work = WorkQueue(ED2.callFromThread, set_left=partial(set_left, "sip"))
        SipConf.my_uaname = options.user_agent
        SipConf.autoconvert_tel_url = True
        config = {
            "_sip_address": options.listen.bracketed,
            "_sip_port": options.listen.port,
            "_sip_logger": QuietLogger(),
        }
        self.streams = self._open_streams()
        try:
            model = (_server_class(self), _OneWorkerOptions)
            self.transactions = Transactions(config, model, self, on_request, on_stray_success)
        except OSError:
            if self.streams is not None:
                self.streams.close()
            raise
        self.arrivals.transactions = self.transactions
        config["_sip_tm"] = self.transactions
        self._udp = self.transactions.l4r.getServer(None)
        self._bound = Address(host=options.listen.host, port=self._udp.skt.getsockname()[1])
        self._udp.skt.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._shown = self._what_is_shown()
        if self.streams is not None:
            self.arrivals.streams = self.streams
            self.streams.start()

    def admit_guests(self, guests: Collection[Address]) -> None:
        """Read datagrams of these addresses too, and of no former guests."""
        self._trust.guests = frozenset((guest.host, guest.port) for guest in guests)

    def _open_streams(self) -> Streams | None:
        has_any = self._options.listen_tcp is not None or self._options.listen_tls is not None
        return Streams(self._options, self._trust, self.arrivals) if has_any else None

    def _what_is_shown(self) -> dict[str, tuple[tuple[str, int], str]]:
        shown = {}
        for kind, address in self.addresses.items():
            host = self._options.advertised or address
            port = host.port if kind is TransportKind.UDP else address.port
            shown[kind.value] = ((host.bracketed, port or address.port), kind.value)
        return shown

    @property
    def address(self) -> Address:
        """The bound UDP address with its real port."""
        return self._bound

    @property
    def addresses(self) -> dict[TransportKind, Address]:
        """Every bound address with its real port."""
        return {TransportKind.UDP: self._bound, **(self.streams.addresses if self.streams is not None else {})}

    @property
    def all_counters(self) -> dict[str, int]:
        """All counters; see `SipEndpoint.counters`."""
        streams = self.streams.counters if self.streams is not None else collections.Counter[str]()
        # Copies, because other threads may add a key meanwhile.
        return dict(self.counters.copy() + self._intake.counters.copy() + streams.copy())

    def shown(self, kind: str) -> tuple[tuple[str, int], str]:
        """Return address and transport for Via and Contact."""
        return self._shown.get(kind) or (self._shown[TransportKind.UDP][0], kind)

    def close(self) -> None:
        """Send queued messages and close the sockets."""
        if not self._is_closed:
            self._is_closed = True
            if self.streams is not None:
                self.streams.close()
            self.lookups.close()
            self.transactions.shutdown()

    def on_call_thread(self, fn: Callable[..., None], *args: object) -> None:
        """Run a function soon on the call thread, in order, unless the transport is closed by then. Any thread."""
        self._work.put(self._while_open, fn, *args)

    def _while_open(self, fn: Callable[..., None], *args: object) -> None:
        if not self._is_closed:
            fn(*args)

    # -- our requests

    def kind_of(self, url: Sippy, default: TransportKind) -> TransportKind:
        """Return the transport that a URI asks for (RFC 3261 sections 18.1 and 19.1), or the default.

        A dialog that began over TLS stays there, whatever a Contact says, and a sips URI always means TLS. A transport
        that is not configured gives the default.
        """
        if url.scheme == "sips" or default is TransportKind.TLS:
            return TransportKind.TLS
        asked = str(url.transport).lower()
        return TransportKind(asked) if asked in self._shown else default

    def server_for(self, request: Sippy, flow: Connection | None = None) -> Sippy:
        """Return sippy's server for a request: the UDP socket, or one for a connection.

        Args:
            request: A request with its target.
            flow: The connection of its dialog; used if it is open and leads to the host of the target.
        """
        (host, port), named = request.getTarget()
        kind = TransportKind(named)
        host = str(host).strip("[]")
        if kind is TransportKind.UDP:
            return self._server_for_datagram(request, host, int(port))
        to = Address(host=host, port=int(port), transport=kind)
        if kind is TransportKind.TLS:
            request.getHFBody("via").setParam("alias")  # the peer may send requests over it too (RFC 5923)
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
        """Send a parcel over TCP or TLS."""
        if self.streams is None:
            self.on_call_thread(parcel.failed)
        else:
            self.streams.send(parcel)

    def fall_back(self, transaction: Sippy, request: Sippy) -> None:
        """Send a request over UDP instead."""
        self.transactions.start_over(transaction, request, self._udp)

    def unreachable(self, transaction: Sippy) -> None:
        """End a request that could not be sent."""
        self.transactions.unreachable(transaction)
