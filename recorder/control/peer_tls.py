"""Mutual TLS between the machines of a site: contexts, and who a certificate names.

Every certificate is signed by the site's authority. Its subject names role (OU) and name (CN) of its owner, and its
subjectAltName has the name too. TLS is 1.3 only, and both sides always show a certificate.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recorder.config.node_options import PeerFiles
from sip.options import TlsOptions
from sip.tls import TlsFilesError, load

NODE, CONSOLE = "node", "console"
"""Roles of a certificate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsPeer:
    """The owner of a verified certificate."""

    role: str
    name: str


def peer_of(certificate: Mapping[str, Any] | None) -> TlsPeer | None:
    """Return who a verified certificate names; None if it is none of the site's machines.

    Args:
        certificate: As from `ssl.SSLSocket.getpeercert`.
    """
    subject = {key: value for part in (certificate or {}).get("subject", ()) for key, value in part}
    role, name = subject.get("organizationalUnitName", ""), subject.get("commonName", "")
    names = {value for kind, value in (certificate or {}).get("subjectAltName", ()) if kind == "DNS"}
    if role not in (NODE, CONSOLE) or not name or name not in names:
        return None
    return TlsPeer(role=role, name=name)


class SiteTls:
    """The TLS contexts of one machine; its files are read again when they change.

    Args:
        files: Certificate, key and authority.
        revoked: The authority's list of revoked certificates; used if the file exists.

    Attributes:
        expires_at: When the certificate expires.
    """

    def __init__(self, files: PeerFiles, revoked: Path | None = None) -> None:
        self._files = files
        self._revoked = revoked
        self._mark: object = None
        self._server: ssl.SSLContext
        self._client: ssl.SSLContext
        self.expires_at: datetime = datetime.max.replace(tzinfo=UTC)
        self.refresh()

    @property
    def server(self) -> ssl.SSLContext:
        """Return the context for connections from others; it requires their certificate."""
        return self._server

    @property
    def client(self) -> ssl.SSLContext:
        """Return the context for connections to others."""
        return self._client

    def refresh(self) -> bool:
        """Read the files again if one of them has changed; the old contexts stay if they cannot be used.

        Returns:
            Whether they have changed.

        Raises:
            TlsFilesError: A file is missing or cannot be used; the message says which.
        """
        mark = tuple(map(_mark, (self._files.certificate, self._files.key, self._files.ca, self._revoked)))
        if mark == self._mark:
            return False
        options = TlsOptions(certificate=self._files.certificate, private_key=self._files.key, ca=self._files.ca)
        contexts = load(options)
        for context in (contexts.accepting_known, contexts.connecting):
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            if self._revoked is not None and self._revoked.exists():
                _check_revoked(context, self._revoked)
        contexts.accepting_known.num_tickets = 0  # a ticket would let a revoked certificate resume a session
        self._server, self._client, self.expires_at = (
            contexts.accepting_known, contexts.connecting, contexts.expires_at
        )  # fmt: skip
        self._mark = mark
        return True


def _check_revoked(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_verify_locations(path)
    except (OSError, ssl.SSLError) as error:
        raise TlsFilesError(f"{path} is no list of revoked certificates in PEM: copy it again") from error
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF


def _mark(path: str | Path | None) -> object:
    try:
        found = None if path is None else Path(path).stat()
    except OSError:
        return None
    return None if found is None else (found.st_ino, found.st_mtime_ns, found.st_size)
