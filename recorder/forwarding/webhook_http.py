"""Posts one delivery to a webhook. Blocks; never follows a redirect, never reads a body.

The standard library's client is used because it lets us choose the address that is connected to: the name is resolved
once, its addresses are checked, and the connection goes to one of those.
"""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlsplit

from recorder.common.connection_errors import reason_of
from recorder.config.webhook_options import WebhookOptions
from recorder.forwarding.network_rules import allowed

TIMEOUT_S = 8.0
"""How long connecting, sending and the answer may take together, seconds; resolving the name is the system's."""
_USER_AGENT = "council-call-recorder"

Resolve = Callable[[str, int], Sequence[str]]


class WebhookError(Exception):
    """A delivery was not accepted; the message is a sentence without the URL's path, which may hold a secret.

    Args:
        sentence: Why.
        status: The HTTP status, if there was an answer.
    """

    def __init__(self, sentence: str, *, status: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a name, by the system's resolver. Raises OSError."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def post(
    target: WebhookOptions, body: bytes, headers: Mapping[str, str],
    *, timeout_s: float = TIMEOUT_S, resolve: Resolve = resolve,
) -> int:  # fmt: skip
    """Post a body; return the status of an answer that accepts it, 200 to 299.

    Args:
        target: A checked target.
        body: JSON.
        headers: Further headers.
        timeout_s: How long it may take, without resolving the name.
        resolve: Returns the addresses of a name.

    Raises:
        WebhookError: It was not accepted.
    """
    parts = urlsplit(target.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    where = f"webhook {target.name} ({target.host}:{port})"
    try:
        addresses = allowed_addresses(target, resolve(target.host, port))
        connection = _Connection(target, port, addresses, timeout_s)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request(
                "POST", path, body, {"content-type": "application/json", "user-agent": _USER_AGENT, **headers}
            )
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            if connection.is_expired:
                raise WebhookError(f"{where}: no answer within {timeout_s:g} s") from error
            raise
        finally:
            connection.close()
    except TimeoutError as error:
        raise WebhookError(f"{where}: no answer within {timeout_s:g} s") from error
    except http.client.HTTPException as error:  # its text may quote what the server sent
        raise WebhookError(f"{where}: the answer is not HTTP ({type(error).__name__})") from error
    except (OSError, ValueError) as error:
        raise WebhookError(f"{where}: {reason_of(error)}") from error
    if not 200 <= status < 300:
        more = "; redirects are not followed" if 300 <= status < 400 else ""
        raise WebhookError(f"{where}: it answered {status}{more}", status=status)
    return status


def allowed_addresses(target: WebhookOptions, addresses: Sequence[str]) -> list[str]:
    """Return those addresses of a target's name that may be connected to, at least one.

    Raises:
        WebhookError: There is none.
    """
    found = allowed(addresses, networks=target.networks, is_local=target.is_local)
    if not found:
        raise WebhookError(
            f"webhook {target.name}: {target.host} resolves to {', '.join(addresses) or 'nothing'}, which is not "
            "allowed; if it is inside, add its network to `networks` of that [[webhook]]"
        )
    return found


class _Connection(http.client.HTTPConnection):
    """A connection to addresses that were checked, which ends itself when its time is over."""

    def __init__(self, target: WebhookOptions, port: int, addresses: Sequence[str], timeout_s: float) -> None:
        super().__init__(target.host, port, timeout=timeout_s)
        is_https = urlsplit(target.url).scheme == "https"
        self._tls = ssl.create_default_context(cafile=target.ca) if is_https else None
        self._addresses = addresses
        self._timeout_s = timeout_s
        self._ending = threading.Timer(timeout_s, self._expire)
        self._ending.daemon = True
        self.is_expired = False

    def connect(self) -> None:
        """Connect to the first address that answers."""
        self._ending.start()
        self.sock = self._first_that_answers()
        if self._tls is not None:
            # Without the handshake, so that `_expire` has the socket of TLS while it lasts.
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self.host, do_handshake_on_connect=False)
        if self.is_expired:  # it may have looked for the socket before there was one
            raise TimeoutError
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.do_handshake()

    def _first_that_answers(self) -> socket.socket:
        deadline = time.monotonic() + self._timeout_s
        for number, address in enumerate(self._addresses, 1):
            try:
                return socket.create_connection((address, self.port), max(deadline - time.monotonic(), 0.001))
            except OSError:
                if number == len(self._addresses) or self.is_expired:
                    raise
        raise AssertionError("it has no addresses")

    def close(self) -> None:
        """Close the connection."""
        self._ending.cancel()
        super().close()

    def _expire(self) -> None:
        """End it while another thread waits for it: a server may send one byte now and then."""
        self.is_expired = True
        if self.sock is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)
