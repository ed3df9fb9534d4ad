"""sippy's transactions (RFC 3261 section 17), extended and corrected.

The transport is chosen for each request. Retransmission timers are capped at T2, and there are none over TCP and TLS,
except for a 2xx, which only its ACK ends. A 2xx of another fork is passed on instead of dropped. A request that cannot
be sent ends with 503 at once (section 8.1.3.1). Call thread only. Knows sippy; see `sip.reactor`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from sippy.Network_server import Remote_address
from sippy.SipResponse import SipResponse
from sippy.SipTransactionManager import SipTMRetransmitO
from sippy.Time.Timeout import Timeout

from sip.connection import Connection
from sip.lean_transactions import T1_S, LeanTransactions
from sip.message import RawMessage
from sip.options import Address, TransportKind
from sip.reactor import Sippy, guarded
from sip.stream_server import RequestServer

T2_S = 4.0
"""Longest interval between retransmissions (RFC 3261 section 17.1.2.2)."""

MAX_REMEMBERED = 20_000
"""Messages whose responses sippy caches; 300 calls a second fill half of it in 32 s."""

RequestHook = Callable[[Sippy, Sippy, RawMessage, Address], Sippy]
StrayHook = Callable[[Sippy, RawMessage], bool]


class Servers(Protocol):
    """Chooses the transport of a request; `sip.transport.Transport` implements it."""

    def server_for(self, request: Sippy, flow: Connection | None = None) -> Sippy:
        """Return sippy's server for the target of a request."""

    def kind_of(self, url: Sippy, default: TransportKind) -> TransportKind:
        """Return the transport that a URI asks for, among those in use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A message in processing, as sippy has it too, its source, and its connection if it came over one."""

    message: RawMessage
    parsed: Sippy
    source: Address
    flow: Connection | None


class Transactions(LeanTransactions):
    """sippy's transactions; they take cleaned messages."""

    def __init__(
        self,
        config: dict[str, Sippy],
        model: tuple[type, type],
        servers: Servers,
        on_request: RequestHook,
        on_stray_success: StrayHook,
    ) -> None:
        self.model_udp_server = model
        self._servers = servers
        self._on_request = on_request
        self._on_stray_success = on_stray_success
        self._arrival: Arrival | None = None
        self._afterwards: list[Callable[[], object]] = []
        super().__init__(config, self._request)

    # -- the message in processing

    @property
    def current(self) -> RawMessage:
        """The message in processing."""
        assert self._arrival is not None
        return self._arrival.message

    @property
    def source(self) -> Address:
        """The source of that message."""
        assert self._arrival is not None
        return self._arrival.source

    @property
    def flow(self) -> Connection | None:
        """The connection of that message, or None over UDP."""
        assert self._arrival is not None
        return self._arrival.flow

    @property
    def current_or_none(self) -> RawMessage | None:
        """The message in processing, or None in a timer."""
        return self._arrival.message if self._arrival is not None else None

    def has(self, message: RawMessage) -> bool:
        """Tell whether a response belongs to one of our transactions, or an ACK to one of our refusals."""
        tag = message.tag("from")
        if message.status is not None:
            return (message.call_id, tag, message.cseq, message.method, message.branch) in self.tclient
        return message.method == "ACK" and (message.call_id, tag, message.cseq, message.tag("to")) in self.tserver

    def take(self, arrival: Arrival, server: Sippy, rtime: Sippy) -> None:
        """Process one cleaned message."""
        if len(self.l1rcache) >= MAX_REMEMBERED:  # sippy purges by time only
            self.rCachePurge()
        self._arrival = arrival
        arrival.parsed.rtime = rtime
        try:
            if not self._is_stray_success(arrival):
                self._process(arrival, server)
        finally:
            while self._afterwards:
                guarded(self._afterwards.pop(0))
            self._arrival = None

    def afterwards(self, act: Callable[[], object]) -> None:
        """Call a function after sippy has processed the message, which is still `current` then.

        sippy sends the ACK of a 2xx when its callback returns. The application's reaction to the 2xx must come after
        the ACK: a re-INVITE or BYE that overtakes it is an error (RFC 3261 section 14.1).
        """
        assert self._arrival is not None
        self._afterwards.append(act)

    def _process(self, arrival: Arrival, server: Sippy) -> None:
        """Do what sippy's ``handleIncoming`` does, with a message that is parsed, and without its NAT heuristics."""
        text, parsed = _text_of(arrival.message), arrival.parsed
        self.global_config["_sip_logger"].write("RECEIVED", text)
        checksum = hash(text)
        known = self.l1rcache.get(checksum) or self.l2rcache.get(checksum)
        if known is not None:
            if known.data is not None:
                self.transmitData(known.userv, known.data, known.address, lossemul=known.lossemul)
            return
        host, port = arrival.source.bracketed, arrival.source.port
        parsed.setSource(Remote_address((host, port), arrival.source.transport.value))
        if arrival.message.status is not None:
            transaction = self.tclient.get(parsed.getTId(True, True))
            if transaction is None:
                self.l1rcache[checksum] = SipTMRetransmitO()
            else:
                self.incomingResponse(parsed, transaction, checksum)
            return
        via = parsed.getHFBody("via")
        if via.getAddr()[0] != host:
            via.params["received"] = host
        if "rport" in via.params:
            via.params["rport"] = str(port)
        self.incomingRequest(parsed, checksum, parsed.getTIds(), server)

    def _is_stray_success(self, arrival: Arrival) -> bool:
        message = arrival.message
        if message.status is None or not 200 <= message.status < 300 or message.method != "INVITE":
            return False
        transaction = (message.call_id, message.tag("from"), message.cseq, "INVITE", message.branch)
        if transaction in self.tclient:
            return False
        return self._on_stray_success(arrival.parsed, message)

    def _request(self, request: Sippy, transaction: Sippy) -> Sippy:
        assert self._arrival is not None
        return self._on_request(request, transaction, self._arrival.message, self._arrival.source)

    # -- our requests

    def newTransaction(  # noqa: N802 - sippy's name
        self, msg: Sippy, resp_cb: Sippy = None, *, userv: Sippy = None, cb_ifver: int = 1
    ) -> Sippy:
        """Send a request over the transport of its target and follow it until it is answered."""
        if userv is None:
            userv = self._servers.server_for(msg)
        elif isinstance(userv, RequestServer) and userv.is_taken:
            userv = userv.beside()
        transaction = self.begin_client(msg, userv, resp_cb, cb_ifver)
        if isinstance(userv, RequestServer):
            _stop_retransmitting(transaction)
            userv.follow(msg, transaction)
        return transaction

    def start_over(self, transaction: Sippy, request: Sippy, userv: Sippy) -> None:
        """Send a request over UDP, since sending it over TCP failed (RFC 3261 section 18.1.1)."""
        if self._is_unanswered(transaction):
            transaction.userv = userv
            transaction.data = request.localStr(userv.getSIPaddr(), compact=transaction.compact)
            transaction.tout = T1_S
            transaction.teA = Timeout(self.timerA, T1_S, 1, transaction)
            self.transmitData(userv, transaction.data, transaction.address)

    def unreachable(self, transaction: Sippy) -> None:
        """End a request that could not be sent, as if it had been answered 503."""
        if not self._is_unanswered(transaction):
            return
        transaction.teB.cancel()
        self._end(transaction, 503, "Service Unavailable")

    def lost(self, connection: Connection) -> None:
        """Handle the unanswered requests of a connection that ended."""
        for transaction in list(self.tclient.values()):
            if isinstance(transaction.userv, RequestServer) and self._is_unanswered(transaction):
                transaction.userv.lost(connection)

    def _is_unanswered(self, transaction: Sippy) -> bool:
        return transaction.tid in self.tclient and transaction.teB is not None and _state(transaction) == "TRYING"

    def transmitReq(self, t: Sippy, msg: Sippy, address: Sippy, cachesum: Sippy = None, **_: Sippy) -> None:  # noqa: N802 - sippy's name
        """Send an ACK: of a refusal to where the INVITE went, of a 2xx by the dialog's route set."""
        server = t.userv
        if address != t.address:
            routes = msg.getHFBodys("route")
            url = routes[0].getUrl() if routes else msg.getRURI()
            kind = self._servers.kind_of(url, TransportKind(t.userv.transport))
            msg.setTarget((address, kind))
            server = self._servers.server_for(msg, getattr(t.userv, "connection", None))
        self.transmitMsg(server, msg, address, cachesum, compact=t.compact)

    # -- our responses

    def sendResponse(self, resp: Sippy, t: Sippy = None, *args: Sippy, **more: Sippy) -> None:  # noqa: N802 - sippy's name
        """Send a response; over TCP and TLS only a 2xx to INVITE is retransmitted (RFC 3261 section 13.3.1.4)."""
        if t is None:
            t = self.tserver[resp.getTId(wBRN=True)]
        is_reliable = getattr(t.userv, "transport", TransportKind.UDP) != TransportKind.UDP
        super().sendResponse(resp, t, *args, **more)
        status = resp.getSCode()[0]
        if status >= 200:
            t.request = None
        if is_reliable and status >= 300:
            _stop_retransmitting(t)

    # -- timers

    def timerD(self, transaction: Sippy) -> None:  # noqa: N802 - sippy's name
        """Remove an INVITE that we answered, and no other: sippy has the same key for two with the same tags."""
        other = self.tserver.get(transaction.tid)
        self.tserver[transaction.tid] = transaction
        super().timerD(transaction)
        if other is not None and other is not transaction:
            self.tserver[other.tid] = other

    def timerB(self, transaction: Sippy) -> None:  # noqa: N802 - sippy's name
        """End our request after its timeout."""
        self._end(transaction, 408, "Request Timeout")

    def _end(self, transaction: Sippy, status: int, reason: str) -> None:
        """End our request as if it had been answered; its text, which may hold digits, is dropped at once."""
        transaction.data = None
        transaction.r408 = SipResponse(scode=status, reason=reason, sipver="SIP/2.0")
        super().timerB(transaction)
        transaction.request = transaction.resp_cb = None  # sippy keeps the transaction for 32 s more
        if isinstance(transaction.userv, RequestServer):
            transaction.userv.follow(None, transaction)

    def timerA(self, transaction: Sippy) -> None:  # noqa: N802 - sippy's name
        """Retransmit, at intervals that double up to T2, without that limit for INVITE (RFC 3261 section 17.1.1.2)."""
        self.transmitData(transaction.userv, transaction.data, transaction.address)
        is_our_invite = getattr(transaction, "ack", None) is not None and transaction.method == "INVITE"
        doubled = transaction.tout * 2
        transaction.tout = doubled if is_our_invite else min(doubled, T2_S)
        transaction.teA = Timeout(self.timerA, transaction.tout, 1, transaction)


def _stop_retransmitting(transaction: Sippy) -> None:
    if getattr(transaction, "teA", None) is not None:
        transaction.teA.cancel()
        transaction.teA = None


def _state(transaction: Sippy) -> str:
    return str(getattr(transaction.state, "__name__", ""))


def _text_of(message: RawMessage) -> str:
    """Return the text by which a retransmission is recognised: of an INFO without its body, which may be a digit."""
    if message.method == "INFO" and message.status is None:
        message = replace(message, body=b"")
    return message.text_for_stack()
