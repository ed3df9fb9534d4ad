"""Sends a head of the audit log to another machine: by syslog, by mail, or to a folder on a share.

Each target blocks, and raises AnchorError with a sentence. What it sends contains `storage.heads.Head.to_line`, so
`recorder audit verify --anchors FILE` can read it from a syslog file, a mailbox or the folder.
"""

import contextlib
import os
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path
from typing import Protocol

from recorder.common.connection_errors import reason_of
from recorder.common.smtp import MailError, printable, send_mail
from recorder.common.syslog_format import NOTICE, framed, message
from recorder.config.anchor_options import AnchorOptions, SyslogServer, parse_syslog
from storage.heads import Head
from storage.rows import time_to_json

NAMES = ("syslog", "folder", "mail")
"""Names of the targets."""
_REFUSED_AFTER_S = 0.2
"""How long to wait for a report that a UDP port is closed, seconds."""


class AnchorError(Exception):
    """A head could not be anchored; the message says where and why."""


class Target(Protocol):
    """A place where heads are anchored."""

    @property
    def name(self) -> str:
        """Return the name for the table of anchors and health."""

    def send(self, head: Head, *, timeout_s: float) -> None:
        """Anchor a head that has its number, time and node. Raises AnchorError."""


def targets_of(options: AnchorOptions, *, site: str) -> list[Target]:
    """Return the configured targets.

    Args:
        options: A checked section.
        site: Name of the council, for the subject of mails.
    """
    found: list[Target] = []
    if options.syslog is not None:
        found.append(Syslog(server=parse_syslog(options.syslog), ca=options.syslog_ca))
    if options.folder is not None:
        found.append(Folder(path=Path(options.folder)))
    if options.mail_to:
        found.append(MailTarget(options=options, site=site))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Syslog:
    """A syslog server. UDP gives no confirmation; with TCP and TLS a lost connection is noticed."""

    server: SyslogServer
    ca: str | None = None
    name: str = "syslog"

    def send(self, head: Head, *, timeout_s: float) -> None:
        """Send one message."""
        server = self.server
        sent = syslog_message(head)
        try:
            if server.transport == "udp":
                self._send_datagram(sent, timeout_s)
            else:
                self._send_stream(framed(sent), timeout_s)
        except (OSError, ValueError) as error:
            where = f"{server.transport}://{server.host}:{server.port}"
            raise AnchorError(f"syslog {where}: {reason_of(error)}") from error

    def _send_datagram(self, sent: bytes, timeout_s: float) -> None:
        server = self.server
        family, kind, protocol, _, address = socket.getaddrinfo(server.host, server.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as sender:
            sender.settimeout(min(timeout_s, _REFUSED_AFTER_S))
            sender.connect(address)
            sender.send(sent)
            with contextlib.suppress(TimeoutError):
                sender.recv(1)

    def _send_stream(self, frame: bytes, timeout_s: float) -> None:
        """Send one frame."""
        server = self.server
        with socket.create_connection((server.host, server.port), timeout_s) as plain, self._secured(plain) as sender:
            sender.sendall(frame)
            if isinstance(sender, ssl.SSLSocket):
                with contextlib.suppress(ssl.SSLZeroReturnError, ssl.SSLEOFError):
                    sender.unwrap()
            else:
                sender.shutdown(socket.SHUT_WR)
                with contextlib.suppress(TimeoutError):
                    sender.recv(1)  # a server that refuses it resets the connection

    @contextlib.contextmanager
    def _secured(self, plain: socket.socket) -> Iterator[socket.socket]:
        if self.server.transport != "tls":
            yield plain
            return
        context = ssl.create_default_context(cafile=self.ca)
        with context.wrap_socket(plain, server_hostname=self.server.host) as secured:
            yield secured


def syslog_message(head: Head) -> bytes:
    """Return a head as one RFC 5424 message, without framing."""
    at = time_to_json(head.at)
    assert at is not None
    return message(NOTICE, at, socket.gethostname(), f"- {head.to_line()}", kind="audit-head", process=str(os.getpid()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder on a share where this machine can add files but not change them. One file for each head."""

    path: Path
    name: str = "folder"

    def send(self, head: Head, *, timeout_s: float) -> None:
        """Write one read-only file. The folder is never created, because the share may not be mounted."""
        assert head.at is not None
        assert head.number is not None
        path = self.path / f"audit-head-{head.node}-{head.number:012d}-{head.at:%Y%m%dT%H%M%S%fZ}.json"
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o444)
            with os.fdopen(descriptor, "wb") as file:
                file.write(head.to_line().encode("ascii") + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise AnchorError(f"folder {self.path}: {reason_of(error)}; is the share mounted?") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class MailTarget:
    """One or several mailboxes."""

    options: AnchorOptions
    site: str
    name: str = "mail"

    def send(self, head: Head, *, timeout_s: float) -> None:
        """Send one mail, which must be accepted for all addresses."""
        options = self.options
        try:
            send_mail(options.smtp_server, self._message(head), options.mail_to, timeout_s=timeout_s)
        except MailError as error:
            raise AnchorError(str(error)) from error

    def _message(self, head: Head) -> EmailMessage:
        assert head.at is not None
        message = EmailMessage()
        message["Subject"] = f"Audit log of {printable(self.site)}: head {head.number}"
        message["From"] = self.options.mail_from
        message["To"] = ", ".join(self.options.mail_to)
        message["Date"] = format_datetime(head.at)
        message["Message-ID"] = make_msgid(domain="recorder.invalid")
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(
            "Keep this mail. It shows later that nothing up to this entry of the call recorder's\n"
            "audit log was changed or cut off: recorder audit verify --anchors FILE\n\n"
            f"{head.to_line()}\n",
            cte="7bit",
        )
        return message
