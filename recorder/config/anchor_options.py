"""The section ``[anchors]``: where heads of the audit log are anchored. Pure."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from recorder.common.ranges import OverZero
from recorder.common.smtp_options import SmtpSecurity, SmtpServer, login_problem, parse_smtp

DEFAULT_PORTS = {"udp": 514, "tcp": 601, "tls": 6514}
"""RFC 5426, RFC 6587 and RFC 5425."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogServer:
    """A syslog server for RFC 5424 over ``udp``, ``tcp`` or ``tls``."""

    transport: str
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorOptions:
    """The section ``[anchors]``.

    Attributes:
        every_s: Time between anchors, seconds.
        syslog: ``udp://HOST:PORT``, ``tcp://`` or ``tls://``.
        syslog_ca: File of CA certificates for a ``tls://`` server; None for the system's.
        folder: An existing folder on another machine, such as a share where nothing can be changed.
        mail_to: Addresses; empty for no mail.
        smtp: ``HOST:PORT`` of the mail server.
        smtp_security: How the connection is secured.
        smtp_ca: File of CA certificates for the mail server; None for the system's.
        smtp_user: Account there; None if it needs none.
        smtp_password_file: Its password, first line of a file with mode 0600.
    """

    every_s: OverZero = 3600.0
    syslog: str | None = None
    syslog_ca: str | None = None
    folder: str | None = None
    mail_to: tuple[str, ...] = ()
    mail_from: str | None = None
    smtp: str | None = None
    smtp_security: SmtpSecurity = SmtpSecurity.STARTTLS
    smtp_ca: str | None = None
    smtp_user: str | None = None
    smtp_password_file: str | None = None

    @property
    def is_any(self) -> bool:
        """Tell whether heads are anchored at all."""
        return bool(self.syslog or self.folder or self.mail_to)

    @property
    def problem(self) -> tuple[str, str] | None:
        """Return the key and a sentence about a setting that cannot work, or None."""
        try:
            if self.syslog is not None:
                parse_syslog(self.syslog)
        except ValueError as error:
            return "syslog", str(error)
        try:
            if self.smtp is not None:
                parse_smtp(self.smtp)
        except ValueError as error:
            return "smtp", str(error)
        if self.folder is not None and not self.folder.startswith("/"):
            return "folder", f"folder must be an absolute path, /mnt/anchors, not {self.folder!r}"
        if self.mail_to and (self.smtp is None or self.mail_from is None):
            return "mail_to", "mail_to needs smtp and mail_from: the mail server, and the sender's address"
        for address in (*self.mail_to, *filter(None, [self.mail_from])):
            if address.count("@") != 1 or not address.isascii() or not address.isprintable() or " " in address:
                return "mail_to" if address in self.mail_to else "mail_from", f"{address!r} is not a mail address"
        return login_problem(self.smtp_user, self.smtp_password_file, self.smtp_security, prefix="smtp_")

    @property
    def smtp_server(self) -> SmtpServer:
        """Return the mail server; only of a checked section that has one."""
        assert self.smtp is not None
        host, port = parse_smtp(self.smtp)
        return SmtpServer(
            host=host, port=port, security=self.smtp_security, ca=self.smtp_ca, user=self.smtp_user,
            password_file=self.smtp_password_file,
        )  # fmt: skip


def parse_syslog(url: str) -> SyslogServer:
    """Parse the address of a syslog server.

    Raises:
        ValueError: It is not one; a sentence.
    """
    sentence = f"{url!r} is not a syslog server: write udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(sentence) from error
    if (
        parts.scheme not in DEFAULT_PORTS
        or not parts.hostname
        or parts.path.strip("/")
        or parts.query
        or parts.username
    ):
        raise ValueError(sentence)
    return SyslogServer(transport=parts.scheme, host=parts.hostname, port=port or DEFAULT_PORTS[parts.scheme])
