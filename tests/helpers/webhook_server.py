"""A real HTTPS server that takes webhooks, or answers as it is told: slowly, wrongly, or not at all."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.helpers.anchor_servers import Certificates

OK = b"HTTP/1.1 204 No Content\r\n\r\n"
Answer = Callable[[ssl.SSLSocket], None]


@dataclass
class Taken:
    """One request."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class WebhookServer:
    """What it took, and how it answers.

    Attributes:
        port: On 127.0.0.1.
        ca: File of its authority.
        answer: Bytes that it sends, or what it does instead.
    """

    port: int
    ca: Path
    answer: bytes | Answer = OK
    taken: list[Taken] = field(default_factory=list)


@contextmanager
def webhook_server(folder: Path, *, host: str = "127.0.0.1") -> Iterator[WebhookServer]:
    """Serve with a certificate for a host name, each connection on a thread of its own."""
    certificates = Certificates(folder, host, file=f"ca-of-{host}.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = WebhookServer(port=listener.getsockname()[1], ca=certificates.ca)
        threads: list[threading.Thread] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    plain, _ = listener.accept()
                    threads.append(
                        threading.Thread(target=_serve, args=(server, certificates.context, plain), daemon=True)
                    )
                    threads[-1].start()

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join(10)
            for thread in threads:
                thread.join(10)


def _serve(server: WebhookServer, context: ssl.SSLContext, plain: socket.socket) -> None:
    plain.settimeout(10)
    with contextlib.suppress(OSError), plain, context.wrap_socket(plain, server_side=True) as connection:
        head, _, body = _until(connection, b"", b"\r\n\r\n")
        line, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(65536)
        server.taken.append(Taken(line, headers, body))
        answer = server.answer
        if isinstance(answer, bytes):
            connection.sendall(answer)
        else:
            answer(connection)


def _until(connection: ssl.SSLSocket, content: bytes, end: bytes) -> tuple[bytes, bytes, bytes]:
    while end not in content:
        more = connection.recv(65536)
        if not more:
            raise ConnectionResetError
        content += more
    return content.partition(end)
