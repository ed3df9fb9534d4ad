"""A connection to a syslog server over TLS (RFC 5425). Blocks.

Syslog has no acknowledgement: a write succeeds before the server has read anything. So messages count as received only
when the server has closed the connection in answer to our close, and its system has acknowledged our last byte. A
server that ends before it has read everything has its system reset the connection instead (RFC 9293 section 3.6.1).
"""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterable
from pathlib import Path

from recorder.common.connection_errors import reason_of
from recorder.common.syslog_format import framed
from recorder.config.syslog_options import SyslogOptions
from storage.errors import KeyProblemError
from storage.key_files import read_secret

TIMEOUT_S = 10.0
"""How long each step may take: resolving is the system's, connecting, handshake, each write, the server's close."""

_CLOSED = 7
"""TCP_CLOSE of linux/tcp.h: closed by both sides and acknowledged, or reset."""
_RESET = "the server ended the connection before it had read everything"
_NAP_S = 0.002


class SyslogError(Exception):
    """The server did not take the messages; a sentence that says where and why."""


def send(options: SyslogOptions, messages: Iterable[bytes], *, timeout_s: float = TIMEOUT_S) -> None:
    """Send messages in order on one connection; on return the server has read them all.

    Args:
        options: A checked section with a server.
        messages: Without framing.
        timeout_s: How long each step may take.

    Raises:
        SyslogError: None, some or all of them were received: send them again.
    """
    server = options.address
    assert server is not None
    where = f"syslog tls://{server.host}:{server.port}"
    try:
        context = _context(options)
        with socket.create_connection((server.host, server.port), timeout_s) as plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with context.wrap_socket(plain, server_hostname=server.host) as secured:
                secured.sendall(b"".join(map(framed, messages)))
                wait_until_read(secured, timeout_s)
    except TimeoutError as error:
        raise SyslogError(f"{where}: no answer within {timeout_s:g} s") from error
    except (OSError, ValueError, KeyProblemError) as error:
        raise SyslogError(f"{where}: {reason_of(error)}") from error


def wait_until_read(connection: ssl.SSLSocket, timeout_s: float) -> None:
    """Close our side, and wait until the server has closed its own after reading everything.

    Raises:
        OSError: The connection was reset, or the server did not close it.
    """
    plain: socket.socket = connection
    with contextlib.suppress(ssl.SSLZeroReturnError, ssl.SSLEOFError):  # some servers end without the close of TLS
        plain = connection.unwrap()
    plain.shutdown(socket.SHUT_WR)  # fails if it was reset by now
    while plain.recv(4096):
        pass
    deadline = time.monotonic() + timeout_s
    while _state(plain) != _CLOSED:
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(_NAP_S)
    if problem := plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        raise OSError(problem, _RESET)


def _state(connection: socket.socket) -> int:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def _context(options: SyslogOptions) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=options.ca)
    if options.certificate is not None and options.key is not None:
        read_secret(Path(options.key))  # refuses a key that others can read
        context.load_cert_chain(options.certificate, options.key)
    return context
