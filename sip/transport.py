"""The UDP socket and the transactions (RFC 3261 sections 17 and 18): sippy's, with what it lacks put round it.

Put right here: datagrams of strangers are dropped on the receiver thread, before anything reads them; one receiver
worker; a bounded backlog; each message cleaned by `sip.message`; retransmission timers capped at T2; a 2xx of another
fork handed on instead of dropped; the advertised address in Via and Contact. Knows sippy; see `sip.reactor`.
"""

import collections
import ipaddress
import logging
import socket
import time
from collections.abc import Callable
from dataclasses import replace

from sippy.Core.EventDispatcher import ED2
from sippy.Network_server import Remote_address
from sippy.SipConf import SipConf
from sippy.SipResponse import SipResponse
from sippy.SipTransactionManager import SipTransactionManager
from sippy.Time.MonoTime import MonoTime
from sippy.Time.Timeout import Timeout
from sippy.Udp_server import Udp_server, Udp_server_opts

from sip.events import Address, PeerLimits, SipOptions
from sip.limits import Backlog, Intake, Peers, Standing, Verdict
from sip.message import MalformedMessageError, RawMessage, encode_for_wire, parse_message, refusal, reply_port
from sip.reactor import QuietLogger, Sippy, guarded
from sip.readable import check_readable

_log = logging.getLogger(__name__)

T2_S = 4.0
"""Longest interval between retransmissions (RFC 3261 section 17.1.1.1)."""

MAX_STRANGERS = 100
"""Sources without a peer that are named in the log."""

_Answer = tuple[int, str, tuple[tuple[str, str], ...]]
_REFUSALS: dict[Verdict, _Answer] = {
    Verdict.BUSY: (503, "Service Unavailable", (("Retry-After", "5"),)),
    Verdict.FORBID: (403, "Forbidden", ()),
}

MAX_REMEMBERED = 20_000
"""Messages of which sippy remembers what it answered; 32 s of 300 set-ups a second are half of it."""

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
RequestHook = Callable[[Sippy, Sippy, RawMessage, Address], Sippy]
StrayHook = Callable[[Sippy, RawMessage], bool]
StandingHook = Callable[[RawMessage, Address], Standing]
ReportHook = Callable[[str, str], None]


class _OneWorkerOptions(Udp_server_opts):  # type: ignore[misc]  # sippy has no types
    # SO_REUSEADDR would let two daemons share a UDP port and each get some of the datagrams.
    nworkers = 1
    flags = 0
    direct_dispatch = True


def _server_class(transport: "Transport") -> type[Sippy]:
    """Make the server class that belongs to a transport; sippy takes a class, not an object."""

    class Server(Udp_server):  # type: ignore[misc]  # sippy has no types
        def getSIPaddr(self) -> tuple[tuple[str, int], str]:  # noqa: N802 - sippy's name
            return transport.shown_address(super().getSIPaddr())

        def handle_read(self, data: bytes, address: tuple[str, int], rtime: Sippy, delayed: bool = False) -> None:
            # On the receiver thread, by direct_dispatch.
            transport.received(self, data, address, rtime)

        def send_to(self, data: bytes | str, address: Sippy, delayed: bool = False) -> None:
            raw = data if isinstance(data, bytes) else encode_for_wire(data)
            super().send_to(raw, transport.wire_address(address), delayed)

        def shutdown(self) -> None:
            # sippy closes the socket first and so loses what is still queued, such as the last BYE.
            self.sendqueue.put(None)
            for worker in self.asenders or ():
                worker.join(2.0)
            super().shutdown()

    return Server


class Transport:
    """One listening UDP socket and its transactions. Call thread, but for `received`."""

    def __init__(
        self,
        options: SipOptions,
        on_request: RequestHook,
        on_stray_success: StrayHook,
        *,
        standing: StandingHook,
        on_report: ReportHook,
    ) -> None:
        """Bind the socket.

        Raises:
            OSError: The address cannot be bound.
            ValueError: A network is no CIDR.
        """
        self._strangers: set[str] = set()
        self.counters: collections.Counter[str] = collections.Counter()
        self._options = options
        self._networks: tuple[_Network, ...] = tuple(ipaddress.ip_network(cidr) for cidr in options.trusted)
        self._verdicts: dict[str, bool] = {}
        self.peers = Peers(options.peers or [PeerLimits(networks=(cidr,)) for cidr in options.trusted])
        self._standing = standing
        self._intake = Intake(self.peers, is_urgent=options.is_urgent, report=on_report)
        self._backlog = Backlog()
        self._is_closed = False
        SipConf.my_uaname = options.user_agent
        SipConf.autoconvert_tel_url = True
        host = f"[{options.listen.host}]" if ":" in options.listen.host else options.listen.host
        config = {
            "_sip_address": host,
            "_sip_port": options.listen.port,
            "_sip_logger": QuietLogger(),
        }
        self.transactions = _Transactions(config, self, on_request, on_stray_success)
        config["_sip_tm"] = self.transactions
        server = self.transactions.l4r.getServer(None)
        self._bound = Address(host=options.listen.host, port=server.skt.getsockname()[1])
        server.skt.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    @property
    def all_counters(self) -> dict[str, int]:
        """Return what went no further, by reason."""
        return {**self.counters, **self._intake.counters}

    @property
    def address(self) -> Address:
        """Return the bound address with its real port."""
        return self._bound

    @property
    def contact(self) -> Address:
        """Return the address that peers are told."""
        advertised = self._options.advertised
        if advertised is None:
            return self._bound
        return Address(host=advertised.host, port=advertised.port or self._bound.port)

    def shown_address(self, bound: tuple[Sippy, str]) -> tuple[tuple[str, int], str]:
        """Return what sippy puts into Via and Contact."""
        advertised = self._options.advertised
        if advertised is None:
            return (str(bound[0][0]), int(bound[0][1])), bound[1]
        host = f"[{advertised.host}]" if ":" in advertised.host else advertised.host
        return (host, advertised.port or int(bound[0][1])), bound[1]

    @staticmethod
    def wire_address(address: tuple[str, int]) -> tuple[str, int]:
        """Return an address as sippy's sender wants it: IPv6 literals in brackets."""
        host, port = address
        if ":" in host and not host.startswith("["):
            host = f"[{host}]"
        return host, int(port)

    def received(self, server: Sippy, data: bytes, address: tuple[str, int], rtime: Sippy) -> None:
        """Take one datagram on the receiver thread: drop it, or pass it to the call thread."""
        source = address[0].strip("[]")
        if not self._is_trusted(source):
            self.counters["untrusted"] += 1
            self._tell_once(source)
            return
        if len(data) < 32:
            self.counters["keepalive"] += 1
            return
        if not self._backlog.enter(source, is_urgent=lambda: self._is_urgent(data)):
            if self.counters["overload"] == 0:
                ED2.callFromThread(guarded, self._intake.report, "overload", source, time.monotonic())
            self.counters["overload"] += 1
            return
        ED2.callFromThread(guarded, self._handle, server, data, address, rtime)

    def close(self) -> None:
        """Send what is queued and close the socket."""
        if not self._is_closed:
            self._is_closed = True
            self.transactions.shutdown()

    def _tell_once(self, source: str) -> None:
        """Log a source that gets no reply, once each and a bounded number: a flood must not fill the log."""
        if source in self._strangers or len(self._strangers) >= MAX_STRANGERS:
            return
        self._strangers.add(source)
        _log.warning("requests from %s get no reply: it is in the networks of no [[peer]]", source)

    def _is_trusted(self, host: str) -> bool:
        verdict = self._verdicts.get(host)
        if verdict is None:
            try:
                ip = ipaddress.ip_address(host)
            except ValueError:
                return False
            verdict = any(ip in network for network in self._networks)
            if len(self._verdicts) < 4096:  # a spoofer must not fill the memory
                self._verdicts[host] = verdict
        return verdict

    def _handle(self, server: Sippy, data: bytes, address: tuple[str, int], rtime: Sippy) -> None:
        source = Address(host=address[0].strip("[]"), port=address[1])
        self._backlog.leave(source.host)
        if self._is_closed:
            return
        try:
            message = parse_message(data)
            check_readable(message)
        except MalformedMessageError as error:
            self.counters["malformed"] += 1
            _log.debug("malformed message: %s", error)
            if self._intake.answers_malformed(source.host, time.monotonic()) and error.request is not None:
                self._refuse(server, error.request, source, (error.status, error.phrase, ()))
            return
        standing = Standing.KNOWN if self.transactions.has(message) else self._standing(message, source)
        verdict = self._intake.decide(message, standing, source.host, time.monotonic())
        if verdict is Verdict.ADMIT:
            self.transactions.take(message, address, server, rtime)
        elif verdict in _REFUSALS:
            self._refuse(server, message, source, _REFUSALS[verdict])

    @staticmethod
    def _refuse(server: Sippy, message: RawMessage, source: Address, answer: _Answer) -> None:
        """Answer without a transaction: a flood must not make one a packet."""
        status, phrase, headers = answer
        data = refusal(message, status, phrase, headers=headers)
        server.send_to(data, (source.host, reply_port(message, source.port)))

    def _is_urgent(self, data: bytes) -> bool:
        return self._intake.is_urgent(data[:512].decode("latin-1").lstrip("\r\n").split("\r", 1)[0])


class _Transactions(SipTransactionManager):  # type: ignore[misc]  # sippy has no types
    """sippy's transactions, fed with cleaned messages."""

    def __init__(
        self, config: dict[str, Sippy], transport: Transport, on_request: RequestHook, on_stray_success: StrayHook
    ) -> None:
        self.model_udp_server = (_server_class(transport), _OneWorkerOptions)
        self._transport = transport
        self._on_request = on_request
        self._on_stray_success = on_stray_success
        self._current: tuple[RawMessage, Address] | None = None
        super().__init__(config, self._request)

    @property
    def current(self) -> RawMessage:
        """Return the message in whose processing we are."""
        assert self._current is not None
        return self._current[0]

    @property
    def source(self) -> Address:
        """Return where that message came from."""
        assert self._current is not None
        return self._current[1]

    @property
    def current_or_none(self) -> RawMessage | None:
        """Return the message in whose processing we are, or None in a timer."""
        return self._current[0] if self._current is not None else None

    def has(self, message: RawMessage) -> bool:
        """Tell whether a response belongs to a transaction of ours, or an ACK to a refusal of ours."""
        tag = message.tag("from")
        if message.status is not None:
            return (message.call_id, tag, message.cseq, message.method, message.branch) in self.tclient
        return message.method == "ACK" and (message.call_id, tag, message.cseq, message.tag("to")) in self.tserver

    def take(self, message: RawMessage, address: tuple[str, int], server: Sippy, rtime: Sippy) -> None:
        """Process one cleaned message; what sippy cannot digest is counted and dropped."""
        if len(self.l1rcache) >= MAX_REMEMBERED:  # sippy forgets by time alone
            self.rCachePurge()
        source = Address(host=address[0].strip("[]"), port=address[1])
        self._current = (message, source)
        try:
            if not self._is_stray_success(message):
                self.handleIncoming(_for_sippy(message), Remote_address(address, "udp"), server, rtime)
        finally:
            self._current = None

    def _is_stray_success(self, message: RawMessage) -> bool:
        if message.status is None or not 200 <= message.status < 300 or message.method != "INVITE":
            return False
        transaction = (message.call_id, message.tag("from"), message.cseq, "INVITE", message.branch)
        if transaction in self.tclient:
            return False
        response = SipResponse(message.text_for_stack())
        response.rtime = MonoTime()
        return self._on_stray_success(response, message)

    def _request(self, request: Sippy, transaction: Sippy) -> Sippy:
        assert self._current is not None
        message, source = self._current
        return self._on_request(request, transaction, message, source)

    def timerB(self, transaction: Sippy) -> None:  # noqa: N802 - sippy's name
        """Give up on a request of ours: what it said, digits perhaps, is dropped now and not when sippy forgets it."""
        transaction.data = None
        super().timerB(transaction)

    def timerA(self, transaction: Sippy) -> None:  # noqa: N802 - sippy's name
        """Retransmit; twice the interval each time, at most T2 except for our INVITEs (RFC 3261 section 17.1.1.2)."""
        self.transmitData(transaction.userv, transaction.data, transaction.address)
        is_our_invite = getattr(transaction, "ack", None) is not None and transaction.method == "INVITE"
        doubled = transaction.tout * 2
        transaction.tout = doubled if is_our_invite else min(doubled, T2_S)
        transaction.teA = Timeout(self.timerA, transaction.tout, 1, transaction)


def _for_sippy(message: RawMessage) -> str:
    """Return a message as sippy gets it: an INFO without its body, which may be a digit and which sippy does not need.

    Who answers an INFO reads the body from `_Transactions.current`; a retransmission is known by the rest of it.
    """
    if message.method == "INFO" and message.status is None:
        message = replace(message, body=b"")
    return message.text_for_stack()
