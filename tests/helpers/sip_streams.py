"""A peer on raw TCP or TLS that listens, connects, and says exactly what it is told; framing of its own."""

import socket
import ssl
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.helpers import sip_process
from tests.helpers.recorder_home import HANGS_S

HOST = "127.0.0.1"


def tls_context(certificate: tuple[str, str] | None, ca: Path | str, *, is_server: bool) -> ssl.SSLContext:
    """Return a context of the peer's: it verifies, by ``ca``, but not the name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if is_server else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(str(ca))
    if certificate is not None:
        context.load_cert_chain(*certificate)
    context.verify_mode = ssl.CERT_NONE if is_server else ssl.CERT_REQUIRED
    return context


def first_of(buffer: bytes) -> tuple[bytes, bytes]:
    """Return the first message of what came, or b"" while it is not whole, and the rest."""
    head, end, rest = buffer.partition(b"\r\n\r\n")
    if not end or not head.strip():
        return b"", buffer
    lengths = (line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    length = int(next(lengths))
    return (head + end + rest[:length], rest[length:]) if len(rest) >= length else (b"", buffer)


class StreamPeer(sip_process.Peer):
    """A user agent over TCP, or over TLS when it has contexts; one dialog, one connection at a time.

    Attributes:
        listener: Where it is reached; ``port`` is its port.
        connections: How many it took.
    """

    def __init__(
        self,
        remote: tuple[str, int],
        *,
        connecting: ssl.SSLContext | None = None,
        accepting: ssl.SSLContext | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(remote)
        self.socket.close()
        self.is_tls = connecting is not None or accepting is not None
        self.over, self.contact_end = ("TLS", ";transport=tls") if self.is_tls else ("TCP", ";transport=tcp")
        self.connecting, self.accepting = connecting, accepting
        self.listener = socket.create_server((HOST, port))
        self.port = self.listener.getsockname()[1]
        self.connection: socket.socket | None = None
        self.connections = 0
        self._buffer = b""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drop()
        self.listener.close()

    def connect(self) -> socket.socket:
        """Connect to the other side."""
        self.drop()
        made = socket.create_connection(self.remote, timeout=HANGS_S)
        if self.connecting is not None:
            made = self.connecting.wrap_socket(made)
        self.connection = made
        return made

    def accept(self, timeout_s: float = HANGS_S) -> socket.socket:
        """Take a new connection of the other side; the old one is dropped when it is there."""
        self.listener.settimeout(timeout_s)
        taken, _ = self.listener.accept()
        self.drop()
        if self.accepting is not None:
            taken.settimeout(timeout_s)
            taken = self.accepting.wrap_socket(taken, server_side=True)
        self.connection, self.connections = taken, self.connections + 1
        return taken

    def drop(self) -> None:
        """Cut the connection."""
        connection, self.connection, self._buffer = self.connection, None, b""
        if connection is not None:
            connection.close()

    def send(self, data: bytes) -> None:
        self.last = data
        if self.connection is None:
            self.connect()
        assert self.connection is not None
        self.connection.sendall(data)

    def read(self, timeout_s: float = HANGS_S) -> bytes:
        """Return the bytes that come next; b"" when the other side has closed."""
        assert self.connection is not None
        self.connection.settimeout(timeout_s)
        try:
            return self.connection.recv(65536)
        except (ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""

    def receive(self, timeout_s: float = HANGS_S) -> Any:
        if self.connection is None:
            self.accept(timeout_s)
        deadline = time.monotonic() + timeout_s
        while True:
            message, self._buffer = first_of(self._buffer)
            if message:
                return self._message(message)
            data = self.read(max(0.05, deadline - time.monotonic()))
            assert data, "the other side closed the connection"
            self._buffer += data

    def _pass_over(self, repeat: sip_process.Message) -> None:
        is_success = repeat.status // 100 == 2 and repeat.method == "INVITE"
        assert is_success, f"on streams only a 2xx without ACK is sent again, and this was: {repeat}"

    def closed(self, timeout_s: float = HANGS_S) -> bytes:
        """Wait until the other side closes; returns what it said before."""
        said, deadline = self._buffer, time.monotonic() + timeout_s
        while data := self.read(max(0.05, deadline - time.monotonic())):
            said += data
        return said

    def __enter__(self) -> Self:
        return self
