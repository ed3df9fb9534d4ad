"""Accepts the TCP and TLS connections that peers make, and refuses those of others. I/O thread only."""

import collections
import logging
import socket
from dataclasses import replace

from sip.connection import Connection, tune
from sip.options import Address, BindError, SipOptions, TransportKind
from sip.stream_state import StreamState
from sip.tls import why_refused

_log = logging.getLogger(__name__)

MAX_ACCEPTS = 64
"""Connections accepted in a row before the loop runs other callbacks."""

BACKLOG = 128
"""Listen backlog of the kernel, connections."""

ACCEPT_PAUSE_S = 0.5
"""Pause in accepting when no file descriptor is free."""

Listeners = dict[TransportKind, socket.socket]


def listen(options: SipOptions) -> Listeners:
    """Return listening sockets for TCP and TLS, as far as they are configured.

    Raises:
        BindError: An address cannot be bound; all sockets are closed again.
    """
    listeners: Listeners = {}
    wanted = ((TransportKind.TCP, options.listen_tcp), (TransportKind.TLS, options.listen_tls))
    try:
        for kind, address in wanted:
            if address is not None:
                listeners[kind] = _listener(replace(address, transport=kind))
    except OSError:
        for listener in listeners.values():
            listener.close()
        raise
    return listeners


class Acceptor:
    """Accepts connections from peers."""

    def __init__(self, state: StreamState, listeners: Listeners) -> None:
        self._state = state
        self._listeners = listeners
        self._per_source: collections.Counter[str] = collections.Counter()

    def start(self) -> None:
        """Start accepting."""
        for kind, listener in self._listeners.items():
            self._state.loop.add_reader(listener, self._accept, kind, listener)

    def stop(self) -> None:
        """Stop accepting and close the listening sockets."""
        for listener in self._listeners.values():
            self._state.loop.remove_reader(listener)
        self.close()

    def close(self) -> None:
        """Close the listening sockets."""
        for listener in self._listeners.values():
            listener.close()

    def _accept(self, kind: TransportKind, listener: socket.socket) -> None:
        state = self._state
        for _ in range(MAX_ACCEPTS):
            try:
                accepted, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                # No descriptor is free: an immediate retry would use up the processor.
                _log.error("accepting connections failed: %s; retrying in %.1f s", error.strerror, ACCEPT_PAUSE_S)
                state.loop.remove_reader(listener)
                state.loop.call_later(ACCEPT_PAUSE_S, self._accept_again, kind, listener)
                return
            peer = Address(host=address[0].split("%", 1)[0], port=address[1], transport=kind)
            why = self._refusal(peer)
            if why is None:
                state.start(self._welcome(accepted, peer))
            else:
                state.counters[why] += 1
                accepted.close()

    def _accept_again(self, kind: TransportKind, listener: socket.socket) -> None:
        if not self._state.is_closing:
            self._state.loop.add_reader(listener, self._accept, kind, listener)

    def _refusal(self, peer: Address) -> str | None:
        state, tell = self._state, self._state.troubles.tell
        trust = state.trust.of(peer.host)
        if not trust.is_trusted:
            tell(peer.host, "connects and is turned away: it is in the networks of no [[peer]]")
            return "untrusted"
        if not trust.may_ask_over(peer.transport):
            tell(peer.host, "connects without TLS and is turned away: its [[peer]] must use TLS")
            return "without_tls"
        if len(state.open) >= state.limits.connections or self._per_source[peer.host] >= state.limits.per_source:
            tell(peer.host, "connects and is turned away: there are as many connections as may be")
            return "too_many"
        return None

    async def _welcome(self, accepted: socket.socket, peer: Address) -> None:
        state = self._state
        rule = state.trust.of(peer.host).rule
        connection = Connection(state.owner, peer, state.limits, is_ours=False)
        context = None
        if peer.transport is TransportKind.TLS:
            assert state.tls is not None
            context = state.tls.accepting
            if rule.requires_certificate:
                context = state.tls.accepting_known
                connection.check = lambda made: made.authenticate(rule.tls_names)
        state.open.add(connection)
        self._per_source[peer.host] += 1
        try:
            accepted.setblocking(False)
            tune(accepted)
            await state.loop.connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=context,
                ssl_handshake_timeout=state.limits.handshake_s if context else None,
                ssl_shutdown_timeout=1.0 if context else None,
            )
        except (OSError, TimeoutError) as error:
            accepted.close()
            self._refused(connection, why_refused(error))
        else:
            await connection.over.wait()
            if connection.refused is not None:
                self._refused(connection, connection.refused)
        finally:
            state.open.discard(connection)
            self._per_source[peer.host] -= 1
            if not self._per_source[peer.host]:
                del self._per_source[peer.host]

    def _refused(self, connection: Connection, why: str) -> None:
        self._state.counters["tls_failed"] += 1
        self._state.troubles.tell(connection.peer.host, f"connects by TLS in vain: {why}")


def _listener(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        # A restart must not wait for TIME_WAIT to end; two daemons still cannot share an address.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((address.host, address.port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise BindError(error.errno, error.strerror, str(address)) from error
    return listener
