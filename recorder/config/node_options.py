"""The section ``[node]``: a site with several recorders. Pure."""

import re
from dataclasses import dataclass

from sip.message import is_ip
from sip.options import Address

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not bound


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerFiles:
    """Files for mutual TLS between the machines of a site, PEM."""

    certificate: str
    key: str
    ca: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """The section ``[node]``.

    Attributes:
        name: This node's name; None if this machine is no node of a site with several.
        listen: Address and TCP port of the control API over mutual TLS.
        advertised: Where the console reaches it; None is ``listen``.
        certificate: PEM file with this machine's certificate and its chain.
        key: PEM file with its key, mode 0600.
        ca: PEM file with the certificate of the site's authority.
        console_certificate: The certificate of console and command line; None is ``certificate``.
        console_key: PEM file with its key.
    """

    name: str | None = None
    listen: Address | None = None
    advertised: Address | None = None
    certificate: str | None = None
    key: str | None = None
    ca: str | None = None
    console_certificate: str | None = None
    console_key: str | None = None

    @property
    def problem(self) -> tuple[str, str] | None:
        """Return the key and a sentence about a setting that cannot work, or None."""
        if self.name is not None and not _NAME.fullmatch(self.name):
            return "name", f"name must be at most 40 of a-z, 0-9 and -, not {self.name!r}"
        for key, other in (("certificate", "key"), ("console_certificate", "console_key")):
            if (getattr(self, key) is None) != (getattr(self, other) is None):
                return (other if getattr(self, key) is None else key), f"{key} and {other} belong together: give both"
        if self.certificate is not None and self.ca is None:
            return "certificate", "certificate needs ca: the file with the certificate of the site's authority"
        if self.console_certificate is not None and self.ca is None:
            return "console_certificate", "console_certificate needs ca: the file with the site's authority"
        if (self.name is None) != (self.listen is None):
            return "name" if self.listen is None else "listen", "name and listen belong together: give both"
        return self._address_problem() if self.listen is not None else None

    def _address_problem(self) -> tuple[str, str] | None:
        assert self.listen is not None
        if not is_ip(self.listen.host):
            return "listen", f"listen must be IP:PORT, 10.1.2.3:7443, not {str(self.listen)!r}"
        if self.listen.host in _WILDCARDS and self.advertised is None:
            return "listen", "advertised must say where the console reaches this node when listen is a wildcard"
        if self.certificate is None:
            return "name", "a node needs certificate, key and ca, for the control API over mutual TLS"
        return None

    @property
    def address(self) -> str:
        """Return where the console reaches this node, HOST:PORT. Only of a checked section of a node."""
        return str(self.advertised or self.listen)

    @property
    def server_files(self) -> PeerFiles | None:
        """Return the files of the control API, or None if this machine is no node."""
        if self.name is None or self.certificate is None or self.key is None or self.ca is None:
            return None
        return PeerFiles(certificate=self.certificate, key=self.key, ca=self.ca)

    @property
    def console_files(self) -> PeerFiles | None:
        """Return the files with which console and command line reach nodes, or None if they reach this machine only."""
        certificate = self.console_certificate or self.certificate
        key = self.console_key or self.key
        if certificate is None or key is None or self.ca is None:
            return None
        return PeerFiles(certificate=certificate, key=key, ca=self.ca)
