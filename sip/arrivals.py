"""Drops, refuses or admits the messages that arrive (RFC 3261 section 18.2.1).

The threads of the sockets drop the messages of strangers unread, and those that exceed the backlog. The call thread
parses, cleans and judges the rest. Knows sippy; see `sip.reactor`.
"""

import collections
import logging
import time
from collections.abc import Callable

from sippy.Time.MonoTime import MonoTime

from sip.commands import RETRY_AFTER
from sip.connection import Connection
from sip.limits import Backlog, DialogMatch, Intake, MessageVerdict
from sip.message import (
    MalformedMessageError,
    RawMessage,
    refusal,
    reply_port,
    sent_by_port,
    via_parameters,
)
from sip.message_parser import parse_message
from sip.options import Address, TransportKind
from sip.reactor import Sippy
from sip.sanity import check_readable, repaired
from sip.stream_server import Outlet, ReplyServer
from sip.streams import Streams
from sip.transactions import Arrival, Transactions
from sip.trust import Trust

_log = logging.getLogger(__name__)

MAX_STRANGERS = 100
"""Most sources named in the log because they get no reply."""

_Answer = tuple[int, str, tuple[tuple[str, str], ...]]
_REFUSALS: dict[MessageVerdict, _Answer] = {
    MessageVerdict.BUSY: (503, "Service Unavailable", (RETRY_AFTER, ("Warning", '399 recorder "too many requests"'))),
    MessageVerdict.FORBID: (403, "Forbidden", ()),
}

MatchHook = Callable[[RawMessage, Address], DialogMatch]


class Arrivals:
    """Takes each message that arrives and passes it on to the transactions.

    Attributes:
        transactions: Receive admitted messages; set before the first is handled.
        streams: TCP and TLS, if configured.
    """

    transactions: Transactions
    streams: Streams

    def __init__(
        self, trust: Trust, intake: Intake, outlet: Outlet, counters: collections.Counter[str], match: MatchHook
    ) -> None:
        self._trust = trust
        self._intake = intake
        self._outlet = outlet
        self._counters = counters
        self._match = match
        self._backlog = Backlog()
        self._strangers: set[str] = set()
        self._is_overload_due = False
        """A report of overload is queued for the call thread; there is at most one."""

    # -- on the threads of the sockets

    def received(self, server: Sippy, data: bytes, address: tuple[str, int], rtime: Sippy) -> None:
        """Take one datagram on the receiver thread: drop it, or pass it to the call thread."""
        source = address[0].strip("[]")
        trust = self._trust.of(source)
        if not trust.may_ask_over(TransportKind.UDP) and (source, address[1]) not in self._trust.guests:
            self._counters["without_tls" if trust.is_trusted else "untrusted"] += 1
            self._tell_once(source, is_trusted=trust.is_trusted)
            return
        if len(data) < 32:
            self._counters["keepalive"] += 1
            return
        if not self._has_room(source, data):
            self._counters["overload"] += 1
            return
        self._outlet.on_call_thread(self._handle, server, data, Address(host=source, port=address[1]), rtime)

    def message(self, connection: Connection, data: bytes) -> bool:
        """Take one message of a connection on the I/O thread: drop it, or pass it to the call thread."""
        is_answer = data.lstrip(b"\r\n").startswith(b"SIP/")
        if not is_answer and not self._trust.of(connection.peer.host).may_ask_over(connection.peer.transport):
            self.streams.count("untrusted")
            return False
        if not self._has_room(connection.peer.host, data):
            self.streams.count("overload")
            return False
        self._outlet.on_call_thread(self._handle_from, connection, data)
        return True

    def _has_room(self, source: str, data: bytes) -> bool:
        has_room = self._backlog.enter(source, is_urgent=lambda: self._is_urgent(data))
        if not has_room and not self._is_overload_due:
            self._is_overload_due = True
            self._outlet.on_call_thread(self._report_overload, source)
        return has_room

    def _report_overload(self, source: str) -> None:
        self._is_overload_due = False
        self._intake.report("overload", source, time.monotonic())

    def _is_urgent(self, data: bytes) -> bool:
        return self._intake.is_urgent(data[:512].decode("latin-1").lstrip("\r\n").split("\r", 1)[0])

    def lost(self, connection: Connection) -> None:
        """Tell the transactions that a connection ended. I/O thread."""
        self._outlet.on_call_thread(self.transactions.lost, connection)

    def _tell_once(self, source: str, *, is_trusted: bool) -> None:
        """Log a source that gets no reply, once; the number is bounded, so that a flood does not fill the log."""
        if source in self._strangers or len(self._strangers) >= MAX_STRANGERS:
            return
        self._strangers.add(source)
        why = "its [[peer]] must use TLS" if is_trusted else "it is in the networks of no [[peer]]"
        _log.warning("requests from %s get no reply: %s", source, why)

    # -- on the call thread

    def _handle(self, server: Sippy, data: bytes, source: Address, rtime: Sippy) -> None:
        self._backlog.leave(source.host)
        self._take(data, source, None, server, rtime)

    def _handle_from(self, connection: Connection, data: bytes) -> None:
        self._backlog.leave(connection.peer.host)
        connection.handled += 1
        if connection.is_waiting:
            self.streams.read_on(connection)
        server = ReplyServer(self._outlet, connection.peer, connection)
        self._take(data, connection.peer, connection, server, MonoTime())

    def _take(self, data: bytes, source: Address, flow: Connection | None, server: Sippy, rtime: Sippy) -> None:
        try:
            message, parsed = self._readable(parse_message(data), source)
        except MalformedMessageError as error:
            self._counters["malformed"] += 1
            _log.debug("malformed message: %s", error)
            if self._intake.answers_malformed(source.host, time.monotonic()) and error.request is not None:
                self._refuse(server, error.request, source, (error.status, error.phrase, ()))
            return
        match = DialogMatch.KNOWN if self.transactions.has(message) else self._match(message, source)
        admission = self._intake.decide(message, match, source.host, time.monotonic())
        if admission is MessageVerdict.ADMIT:
            if flow is not None and message.status is None:
                server = ReplyServer(self._outlet, self._reply_to(flow, message), flow)
            self.transactions.take(Arrival(message=message, parsed=parsed, source=source, flow=flow), server, rtime)
        elif admission in _REFUSALS:
            self._refuse(server, message, source, _REFUSALS[admission])

    def _readable(self, message: RawMessage, source: Address) -> tuple[RawMessage, Sippy]:
        try:
            return message, check_readable(message)
        except MalformedMessageError:
            better = repaired(message, source)
            if better is None:
                raise
            parsed = check_readable(better)
            self._counters["mended"] += 1
            return better, parsed

    @staticmethod
    def _refuse(server: Sippy, message: RawMessage, source: Address, answer: _Answer) -> None:
        """Answer without a transaction, so that a flood does not create one for each packet."""
        status, phrase, headers = answer
        data = refusal(message, status, phrase, headers=headers)
        server.send_to(data, (source.host, reply_port(message, source.port)))

    def _reply_to(self, connection: Connection, message: RawMessage) -> Address:
        """Return where a response goes if the connection of its request has ended (RFC 3261 section 18.2.2)."""
        kind = connection.peer.transport
        port = sent_by_port(message, kind.default_port) or connection.peer.port
        reply_to = Address(host=connection.peer.host, port=port, transport=kind)
        if connection.is_authenticated and not connection.is_ours and "alias" in via_parameters(message):
            self.streams.alias(connection, reply_to)
        return reply_to
