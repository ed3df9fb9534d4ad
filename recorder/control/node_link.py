"""The link to the daemon of another node, over mutual TLS."""

import ssl
from collections.abc import Callable, Mapping

import httpx2

from recorder.access.signing import Said, Signer
from recorder.control.connections import DaemonAnswer, NobodyThereError
from recorder.control.errors import DaemonUnavailableError
from recorder.control.links import NOT_SIGNED
from recorder.control.node_connections import NodeConnections, NotSignedError, actor_of, check_node, signed_for
from sip.options import Address


class NodeLink:
    """The daemon of another node.

    Args:
        node: The node's name.
        address: Where its control API listens.
        context: Returns the TLS context with our certificate.
        signer: Signs requests for the node.
        timeout_s: Longest wait for the answer.
    """

    def __init__(
        self, node: str, address: Address, context: Callable[[], ssl.SSLContext], signer: Signer, *, timeout_s: float
    ) -> None:
        self._node = node
        self._address = address
        self._context = context
        self._signer = signer
        self._connections = NodeConnections(node, address, context, signer, timeout_s=timeout_s)

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes, *, is_idempotent: bool = False
    ) -> DaemonAnswer:
        """Return the answer to a request; see `Link`."""
        try:
            return self._connections.ask(method, target, headers, content, is_idempotent=is_idempotent)
        except OSError as error:
            raise self.unavailable(error) from error

    def warm(self) -> None:
        """Keep a connection open; raises DaemonUnavailableError."""
        try:
            self._connections.warm()
        except OSError as error:
            raise self.unavailable(error) from error

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def transport(self) -> httpx2.AsyncHTTPTransport:
        """Return a new transport; see `StreamLink`."""
        return httpx2.AsyncHTTPTransport(verify=self._context())

    def base_url(self) -> str:
        """Return the URL without a path."""
        return f"https://{self._address}"

    def signed(self, target: str, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the signed headers of a GET; see `StreamLink`."""
        try:
            said = Said(method="GET", target=target, actor=actor_of(headers), content=b"")
            return signed_for(self._signer, self._connections.audience(), said, headers)
        except OSError as error:
            raise self.unavailable(error) from error

    def check(self, response: httpx2.Response) -> None:
        """Check that the node itself answers."""
        connection = response.extensions["network_stream"].get_extra_info("ssl_object")
        try:
            check_node(connection.getpeercert(), self._node, self._address)
        except NobodyThereError as error:
            raise self.unavailable(error) from error

    def unavailable(self, error: Exception) -> DaemonUnavailableError:
        """Return an error as people are told of it."""
        where = f"Node {self._node} at {self._address}"
        if isinstance(error, NotSignedError):
            return DaemonUnavailableError(NOT_SIGNED.format(error))
        if isinstance(error, TimeoutError | httpx2.TimeoutException):
            return DaemonUnavailableError(f"{where} did not answer in time: look at the network and at its log.")
        if isinstance(error, NobodyThereError | httpx2.ConnectError):
            is_refused = isinstance(error.__cause__, ConnectionRefusedError)
            return DaemonUnavailableError(f"{where} cannot be reached: {error}.", nobody_listens=is_refused)
        return DaemonUnavailableError(f"{where} broke off its answer: see its log.")
