"""Connections to the daemon of another node, over mutual TLS; requests are signed for that node."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping

from recorder.access.signing import Audience, Greeting, Said, Signer
from recorder.common.system_user import os_user
from recorder.control.connections import (
    BrokenOffError,
    Connections,
    NobodyThereError,
    exchange,
    left_s,
    plain_request,
)
from recorder.control.headers import ACTOR_HEADER, SIGNATURE_HEADER
from recorder.control.peer_tls import NODE, peer_of
from sip.options import Address
from storage.errors import KeyProblemError

GREETING = "/api/node"


class NotSignedError(OSError):
    """The accounts' signing key cannot be read here, so nothing was sent."""


class NodeConnections(Connections):
    """Connections to one node.

    Args:
        node: Its name, which its certificate must have.
        address: Where its control API listens.
        context: Returns the context with our certificate.
        signer: Signs for the node.
        timeout_s: Longest wait for the whole response, connecting included.
    """

    def __init__(
        self, node: str, address: Address, context: Callable[[], ssl.SSLContext], signer: Signer, *, timeout_s: float
    ) -> None:
        super().__init__(timeout_s=timeout_s)
        self._node = node
        self._address = address
        self._context = context
        self._signer = signer
        self._lock_audience = threading.Lock()
        self._audience: Audience | None = None

    def warm(self) -> None:
        """Keep a connection open, and learn the node's clock again; raises as `ask`."""
        deadline = time.monotonic() + self._timeout_s
        connection = self._taken()
        if connection is None:
            connection = self._new(deadline)  # which greets
        else:
            try:
                self._greet(connection, deadline)
            except BaseException:
                connection.close()
                raise
        self._give_back(connection, is_kept=True)

    def audience(self) -> Audience:
        """Return the node as signatures name it now; asks it, and raises as `ask`."""
        self.warm()
        assert self._audience is not None, "a connection begins with a greeting"
        return self._audience

    def _taken(self) -> socket.socket | None:
        """Return an idle connection that the node has not closed.

        OpenSSL keeps errors by thread. With OpenSSL 3.4 or later and a Python of 2025 or later (gh-127257), a write
        that failed on one connection stays among them, and the next read that has to wait fails by it, whatever its
        connection: see python/cpython#148594. A new TLS object empties the list.
        """
        connection = super()._taken()
        if isinstance(connection, ssl.SSLSocket):
            connection.context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())
        return connection

    def _connected(self, deadline: float) -> socket.socket:
        plain = socket.create_connection((self._address.host, self._address.port), left_s(deadline))
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            plain.settimeout(left_s(deadline))
            secure = self._context().wrap_socket(plain, do_handshake_on_connect=False)
        except BaseException:
            plain.close()
            raise
        try:
            secure.do_handshake()
            check_node(secure.getpeercert(), self._node, self._address)
            self._greet(secure, deadline)
        except BaseException:
            secure.close()
            raise
        return secure

    def _greet(self, connection: socket.socket, deadline: float) -> None:
        asked_ms = self._signer.now_ms
        answer, _ = exchange(connection, plain_request("GET", GREETING, {}, b""), deadline)
        try:
            greeting = Greeting(**json.loads(answer.content))
            if not isinstance(greeting.run, str) or type(greeting.now_ms) is not int:
                raise TypeError("a field has another type")
            ahead_ms = greeting.now_ms - (asked_ms + self._signer.now_ms) // 2
        except (ValueError, TypeError) as error:
            raise BrokenOffError("the greeting is not valid") from error
        with self._lock_audience:
            # The name is the one that we mean, not the one that it says: a signature for it is of no use elsewhere.
            self._audience = Audience(node=self._node, run=greeting.run, ahead_ms=ahead_ms)

    def _signed(self, method: str, target: str, headers: Mapping[str, str], content: bytes) -> Mapping[str, str]:
        if target == GREETING:
            return headers
        said = Said(method=method, target=target, actor=actor_of(headers), content=content)
        assert self._audience is not None, "a connection begins with a greeting"
        return signed_for(self._signer, self._audience, said, headers)


def actor_of(headers: Mapping[str, str]) -> str:
    """Return the actor that headers name; without one the user of this process."""
    return headers.get(ACTOR_HEADER) or f"os:{os_user()}"


def signed_for(signer: Signer, audience: Audience, said: Said, headers: Mapping[str, str]) -> dict[str, str]:
    """Return headers with a signature for a node.

    Raises:
        NotSignedError: The signing key cannot be read.
    """
    try:
        signature = signer.sign(said, audience)
    except (OSError, KeyProblemError) as error:
        raise NotSignedError(str(error)) from error
    return {**headers, ACTOR_HEADER: said.actor, SIGNATURE_HEADER: signature}


def check_node(certificate: Mapping[str, object] | None, node: str, address: Address) -> None:
    """Check that a verified certificate is a node's.

    Raises:
        NobodyThereError: It is another machine's.
    """
    peer = peer_of(certificate)
    if peer is None or peer.role != NODE or peer.name != node:
        whose = "no machine of this site" if peer is None else f"{peer.role} {peer.name}"
        raise NobodyThereError(f"the certificate at {address} is of {whose}, not of node {node}")
