"""Links to one daemon: its unix socket on this machine, or mutual TLS (`recorder.control.node_link`). They sign."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import httpx2

from recorder.access.signing import Said, Signer
from recorder.control.connections import DaemonAnswer, DaemonConnections, NobodyThereError
from recorder.control.errors import DaemonUnavailableError
from recorder.control.headers import ACTOR_HEADER, SIGNATURE_HEADER
from storage.errors import KeyProblemError

NOT_SIGNED = "Cannot sign your name for the daemon ({}): run this as the user that the console runs as."


class Link(Protocol):
    """A way to one daemon. Safe from any thread."""

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes, *, is_idempotent: bool = False
    ) -> DaemonAnswer:
        """Return the answer to a request, whatever its status.

        Args:
            method: The HTTP method.
            target: The path.
            headers: The fields; one of them may name the actor.
            content: The body.
            is_idempotent: Whether the request may be done twice; see `recorder.control.connections`.

        Raises:
            DaemonUnavailableError: There is none, or the request could not be signed.
        """

    def close(self) -> None:
        """Close the connections. Idempotent."""


class StreamLink(Protocol):
    """A way to one daemon for its stream of events."""

    def transport(self) -> httpx2.AsyncHTTPTransport:
        """Return a new transport."""

    def base_url(self) -> str:
        """Return the URL without a path."""

    def signed(self, target: str, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the signed headers of a GET. May block; raises DaemonUnavailableError."""

    def check(self, response: httpx2.Response) -> None:
        """Check who answers; raises DaemonUnavailableError."""

    def unavailable(self, error: Exception) -> DaemonUnavailableError:
        """Return an error as people are told of it."""


class SocketLink:
    """The daemon of this machine.

    Args:
        path: Its socket.
        signer: Signs the actor's name; None to name nobody.
        timeout_s: Longest wait for the answer.
    """

    def __init__(self, path: Path, signer: Signer | None, *, timeout_s: float) -> None:
        self._path = path
        self._signer = signer
        self._connections = DaemonConnections(path, timeout_s=timeout_s)

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes, *, is_idempotent: bool = False
    ) -> DaemonAnswer:
        """Return the answer to a request; see `Link`. No request is sent twice: its signature is valid once."""
        del is_idempotent
        signed = signed_headers(self._signer, method, target, headers, content)
        try:
            return self._connections.ask(method, target, signed, content)
        except OSError as error:
            raise self.unavailable(error) from error

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def transport(self) -> httpx2.AsyncHTTPTransport:
        """Return a new transport; see `StreamLink`."""
        return httpx2.AsyncHTTPTransport(uds=str(self._path))

    def base_url(self) -> str:
        """Return the URL without a path."""
        return "http://recorder"

    def signed(self, target: str, headers: Mapping[str, str]) -> dict[str, str]:
        """Return the signed headers of a GET; see `StreamLink`."""
        return signed_headers(self._signer, "GET", target, headers)

    def check(self, response: httpx2.Response) -> None:
        """Accept the answer: the socket's path says who it is."""

    def unavailable(self, error: Exception) -> DaemonUnavailableError:
        """Return an error as people are told of it."""
        path = self._path
        if isinstance(error, TimeoutError | httpx2.TimeoutException):
            return DaemonUnavailableError(
                f"The daemon at {path} did not answer in time: see `recorder calls list` and its log."
            )
        if isinstance(error, NobodyThereError | httpx2.ConnectError):
            if not path.exists():
                return DaemonUnavailableError(
                    f"No daemon is running here ({path} is missing): start it with `recorder up`.",
                    nobody_listens=True,
                )
            return DaemonUnavailableError(
                f"The daemon's socket {path} does not answer: start it with `recorder up`, as a user who may open it.",
                nobody_listens=isinstance(error.__cause__, ConnectionRefusedError),
            )
        return DaemonUnavailableError(
            f"The daemon at {path} broke off its answer: see `recorder calls list` and its log."
        )


def signed_headers(
    signer: Signer | None, method: str, target: str, headers: Mapping[str, str], content: bytes = b""
) -> dict[str, str]:
    """Return headers with the signature of the actor for this machine's daemon, if they name one.

    Raises:
        DaemonUnavailableError: The signing key cannot be read; nothing was sent.
    """
    actor = headers.get(ACTOR_HEADER)
    if not actor or signer is None:
        return dict(headers)
    try:
        signature = signer.sign(Said(method=method, target=target, actor=actor, content=content))
    except (OSError, KeyProblemError) as error:
        raise DaemonUnavailableError(NOT_SIGNED.format(error)) from error
    return {**headers, SIGNATURE_HEADER: signature}
