"""Serves the daemon's application to other machines of the site over mutual TLS, on a thread with its own loop.

Only a console's certificate is let in (`recorder.control.peer_tls`), and every request must be signed by the accounts'
key for this node (`recorder.access.signing`). What belongs to the machine's own users is not there: a reload, and a
stop. Slow and idle connections have deadlines, before the TLS handshake too.
"""

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from recorder.common.problem_answers import response
from recorder.common.problems import ProblemError
from recorder.control.http_connections import ConsoleConnections, ConsoleProtocol, TlsEntrance
from recorder.control.network_peer import client_of
from recorder.control.peer_tls import CONSOLE, SiteTls, peer_of
from recorder.control.socket_access import LOCAL_ONLY
from recorder.control.socket_server import KEEP_S, StoppableServer
from recorder.rules.limits import ConnectionLimits
from sip.options import Address

_log = logging.getLogger(__name__)

LIMITS = ConnectionLimits(most=200, most_per_address=100, header_s=KEEP_S, body_s=5.0)
"""Consoles keep connections open between requests; a header may take as long as a kept connection may be idle."""
HANDSHAKE_S = 3.0
ENDS_S = 2.0
"""How long a request in progress may take when connections are closed, seconds: acts are answered within less."""
RETRY_S = 5.0
"""Delay after an address that could not be bound, seconds."""
ALARM = "node_control_unavailable"


class _PeerProtocol(ConsoleProtocol):
    """Puts the owner of the verified certificate into ``scope["client"]``."""

    @property
    def is_protected(self) -> bool:
        """Whether a console is at the other end: no stranger's connection has it closed."""
        return self.client is not None and self.client[0].startswith(f"{CONSOLE}:")

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Read the peer's certificate."""
        super().connection_made(transport)
        connection = transport.get_extra_info("ssl_object")
        self.client = client_of(peer_of(connection.getpeercert() if connection is not None else None))


class _Gate:
    """Refuses other machines than consoles, and acts for this machine's own users."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        role = scope["client"][0].split(":")[0] if scope.get("client") else ""
        if role != CONSOLE:
            problem = ProblemError(403, "Only a console of this site may ask here: its certificate must say so.")
        elif f"{scope['method']} {scope['path']}" in LOCAL_ONLY:
            problem = ProblemError(403, "This is for users of the node itself: run it there.")
        else:
            await self._app(scope, receive, send)
            return
        await response(problem)(scope, receive, send)


class NodeServer:
    """The control API of one node.

    Args:
        app: The application of the daemon's socket.
        listen: Where to listen.
        tls: The node's certificate.
        set_alarm: Sets or clears an alarm; any thread.

    Attributes:
        bound_port: The port; 0 while it is not bound.
    """

    def __init__(self, app: FastAPI, listen: Address, tls: SiteTls, *, set_alarm: Callable[[str, bool], None]) -> None:
        self._listen = listen
        self._tls = tls
        self._set_alarm = set_alarm
        self._connections = ConsoleConnections(LIMITS)
        self._server = StoppableServer(_Gate(app), self._protocol, server_header=False)
        self._thread = threading.Thread(target=self._run, name="node-control", daemon=True)
        self._closing = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.bound_port = 0

    def start(self) -> None:
        """Begin to serve; an address that cannot be bound is an alarm, and is tried again."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._closing.set()
        self._server.end()
        if self._thread.ident is not None:
            self._thread.join(5)

    def close_connections(self) -> None:
        """Close all connections, so that each console shows its certificate again; any thread.

        An act in progress is answered first: who asked would take it for not done. A stream of events goes on for
        `ENDS_S`.
        """
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._connections.end_all, ENDS_S)

    def _run(self) -> None:
        is_said = False
        while not self._closing.is_set():
            try:
                listening = _bound(self._listen)
            except OSError as error:
                if not is_said:
                    _log.error("The control API cannot listen on %s: %s; retrying", self._listen, error.strerror)
                is_said = True
                self._set_alarm(ALARM, True)
                self._closing.wait(RETRY_S)
                continue
            self._set_alarm(ALARM, False)
            self.bound_port = listening.getsockname()[1]
            _log.info("The control API listens on %s", self._listen)
            asyncio.run(self._server.serve(sockets=[listening]))
            return

    def _protocol(self, **more: Any) -> asyncio.Protocol:  # noqa: ANN401 - uvicorn's own
        inner = partial(_PeerProtocol, connections=self._connections, **more)
        loop = self._loop = asyncio.get_running_loop()
        return TlsEntrance(self._tls.server, self._connections, inner, loop, handshake_s=HANDSHAKE_S)


def _bound(listen: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((listen.host, listen.port))
        listening.listen(64)
    except OSError:
        listening.close()
        raise
    return listening
