"""Servers that heads of the audit log are told to: syslog by UDP, TCP and TLS, and mail. Real sockets."""

import queue
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from benchmarks.ports import free_port

_MESSAGE = re.compile(
    r"<(?P<priority>\d{1,3})>1 (?P<time>\S+) (?P<host>\S+) (?P<program>\S+) (?P<process>\S+) (?P<id>\S+) "
    r"(?P<data>-|(?:\[.*?\])+) (?P<text>.*)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Message:
    """One syslog message, taken apart as RFC 5424 section 6 says."""

    priority: int
    time: str
    host: str
    program: str
    id: str
    text: str


def parse_message(content: bytes) -> Message:
    """Take a message apart; fails if it is none."""
    found = _MESSAGE.fullmatch(content.decode())
    assert found is not None, content
    fields = found.groupdict()
    return Message(
        int(fields["priority"]), fields["time"], fields["host"], fields["program"], fields["id"], fields["text"]
    )


class Certificates:
    """An authority of the test's own, and a certificate of it for a host."""

    def __init__(self, folder: Path, host: str = "127.0.0.1", *, file: str = "ca.pem") -> None:
        authority = trustme.CA()
        self.ca = folder / file
        authority.cert_pem.write_to_path(str(self.ca))
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(host).configure_cert(self.context)


class Syslog:
    """What a server was told."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.heard: queue.Queue[Message] = queue.Queue()

    def next(self, timeout_s: float = 10.0) -> Message:
        """Return the next message."""
        return self.heard.get(timeout=timeout_s)


@contextmanager
def udp_syslog() -> Iterator[Syslog]:
    """Take messages by UDP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        server = Syslog(listener.getsockname()[1])

        def run() -> None:
            while content := listener.recv(65536):
                server.heard.put(parse_message(content))

        with _running(run):
            try:
                yield server
            finally:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
                    last.sendto(b"", ("127.0.0.1", server.port))


@contextmanager
def tcp_syslog(context: ssl.SSLContext | None = None) -> Iterator[Syslog]:
    """Take messages by TCP, or by TLS, each counted in octets."""
    ending = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Syslog(listener.getsockname()[1])

        def run() -> None:
            while not ending.is_set():
                plain, _ = listener.accept()
                with plain:
                    plain.settimeout(10)
                    try:
                        connection = context.wrap_socket(plain, server_side=True) if context else plain
                        with connection:
                            _take(connection.makefile("rb"), server)
                    except OSError:
                        continue  # a client that does not trust us, or the end

        with _running(run):
            try:
                yield server
            finally:
                ending.set()
                socket.create_connection(("127.0.0.1", server.port), 5).close()


def _take(stream: Any, server: Syslog) -> None:
    with stream:
        while digits := _until_blank(stream):
            server.heard.put(parse_message(stream.read(int(digits))))


def _until_blank(stream: Any) -> bytes:
    digits = b""
    while (one := stream.read(1)) not in (b" ", b""):
        digits += one
    return digits


@contextmanager
def _running(run: Any) -> Iterator[None]:
    thread = threading.Thread(target=run, name="syslog")
    thread.start()
    try:
        yield
    finally:
        thread.join(10)
        assert not thread.is_alive()


class Mailbox:
    """What a mail server took: envelope and content."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], str]] = []
        self.refused: set[str] = set()
        self.port = 0

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:  # noqa: N802
        if address in self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append((list(envelope.rcpt_tos), envelope.content.decode()))
        return "250 OK"


@contextmanager
def mail_server(context: ssl.SSLContext | None, *, password: str = "") -> Iterator[Mailbox]:
    """Take mails after STARTTLS, and after a password if there is one; without a context, in the clear."""
    mailbox = Mailbox()

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        is_right = data.login == b"recorder" and data.password == password.encode()
        return AuthResult(success=is_right, handled=is_right)

    controller = Controller(
        mailbox, hostname="127.0.0.1", port=free_port(), tls_context=context, require_starttls=context is not None,
        auth_required=bool(password), authenticator=check, auth_require_tls=True,
    )  # fmt: skip
    controller.start()
    mailbox.port = controller.port
    try:
        yield mailbox
    finally:
        controller.stop()
