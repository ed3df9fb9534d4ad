"""Where heads of the audit log are noted off this machine, as it is configured. Pure."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from recorder.common.smtp_options import SmtpSecurity, SmtpServer, login_problem, parse_smtp

DEFAULT_PORTS = {"udp": 514, "tcp": 601, "tls": 6514}
"""RFC 5426, RFC 6587 and RFC 5425."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogServer:
    """A server that takes RFC 5424 by ``udp``, ``tcp`` or ``tls``."""

    transport: str
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorOptions:
    """The section ``[anchors]``.

    Attributes:
        every_s: From one anchor to the next.
        syslog: ``udp://HOST:PORT``, ``tcp://`` or ``tls://``.
        syslog_ca: A file with the certificates that a ``tls://`` server's must come from; None is the system's.
        folder: One that lies elsewhere and is there already, such as a share that nothing can be changed on.
        mail_to: Addresses; empty is no mail.
        mail_from: Address.
        smtp: ``HOST:PORT`` of the server that takes the mail.
        smtp_security: How it is spoken to.
        smtp_ca: A file with the certificates that its must come from; None is the system's.
        smtp_user: Account there, None where it takes mail without one.
        smtp_password_file: Its password, first line of a file with mode 0600.
    """

    every_s: float = 3600.0
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
        """Tell whether heads are noted anywhere."""
        return bool(self.syslog or self.folder or self.mail_to)

    @property
    def problem(self) -> tuple[str, str] | None:
        """Return what cannot work - a key and a sentence - or None."""
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
            return "folder", f"folder must be a whole path, /mnt/anchors, not {self.folder!r}"
        if self.mail_to and (self.smtp is None or self.mail_from is None):
            return "mail_to", "mail_to needs smtp and mail_from: who takes the mail, and who it is from"
        for address in (*self.mail_to, *filter(None, [self.mail_from])):
            if address.count("@") != 1 or not address.isascii() or not address.isprintable() or " " in address:
                return "mail_to" if address in self.mail_to else "mail_from", f"{address!r} is no address of a mail"
        return login_problem(self.smtp_user, self.smtp_password_file, self.smtp_security, prefix="smtp_")

    @property
    def smtp_server(self) -> SmtpServer:
        """Return who takes the mail; only where there is one, in a section that was checked."""
        assert self.smtp is not None
        host, port = parse_smtp(self.smtp)
        return SmtpServer(
            host=host, port=port, security=self.smtp_security, ca=self.smtp_ca, user=self.smtp_user,
            password_file=self.smtp_password_file,
        )  # fmt: skip


def parse_syslog(url: str) -> SyslogServer:
    """Read where a syslog server is.

    Raises:
        ValueError: That is no address of one; a sentence.
    """
    sentence = f"{url!r} is no syslog server: write udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT"
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
