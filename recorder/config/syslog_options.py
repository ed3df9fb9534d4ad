"""The section ``[syslog]``: where the entries of the audit log are sent. Pure."""

from dataclasses import dataclass

from recorder.config.anchor_options import SyslogServer, parse_syslog


@dataclass(frozen=True, slots=True, kw_only=True)
class SyslogOptions:
    """The section ``[syslog]``.

    Attributes:
        server: ``tls://HOST:PORT``; None sends nothing.
        ca: File of CA certificates for the server; None for the system's.
        certificate: PEM file with our certificate and its chain, for a server that asks for one; None for none.
        key: PEM file with its key, mode 0600.
    """

    server: str | None = None
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None

    @property
    def problem(self) -> tuple[str, str] | None:
        """Return the key and a sentence about a setting that cannot work, or None."""
        if self.server is not None:
            try:
                transport = parse_syslog(self.server).transport
            except ValueError:
                transport = ""
            if transport != "tls":
                return "server", f"{self.server!r} is not a syslog server over TLS: write tls://HOST:PORT"
        if (self.certificate is None) != (self.key is None):
            return "certificate" if self.key is None else "key", "certificate and key belong together: give both"
        return None

    @property
    def address(self) -> SyslogServer | None:
        """Return host and port of the server, or None. Only of a checked section."""
        return None if self.server is None else parse_syslog(self.server)
