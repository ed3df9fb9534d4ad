"""TLS for SIP: makes contexts from files, and checks names in certificates (RFC 5922). Knows neither sockets nor sippy.

When we connect, the peer's certificate is always verified, and its name compared with the target's. Whether a peer that
connects to us must show a certificate depends on its rule. Verification cannot be turned off, and TLS never falls back
to plain text.
"""

import ipaddress
import re
import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from Crypto.Util.asn1 import DerObject, DerSequence

from sip.options import TlsOptions

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_VERSION_TAG = 0xA0


class TlsFilesError(Exception):
    """Certificate, key or authorities cannot be used; the message says which file, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsContexts:
    """The TLS contexts; replaced as a whole when the files are renewed.

    Attributes:
        accepting: For peers that need no certificate.
        accepting_known: For peers that must show a certificate.
        connecting: For connections that we make.
        expires_at: When our certificate expires.
    """

    accepting: ssl.SSLContext
    accepting_known: ssl.SSLContext
    connecting: ssl.SSLContext
    expires_at: datetime


def load(options: TlsOptions) -> TlsContexts:
    """Make the contexts from the files.

    Raises:
        TlsFilesError: A file is missing, damaged, or does not belong to the others.
    """
    expires_at = expiry(Path(options.certificate))
    accepting, accepting_known = (_context(options, ssl.PROTOCOL_TLS_SERVER) for _ in range(2))
    accepting_known.verify_mode = ssl.CERT_REQUIRED
    connecting = _context(options, ssl.PROTOCOL_TLS_CLIENT)
    connecting.check_hostname = False  # `is_named` checks by RFC 5922 instead, before anything is sent
    connecting.verify_mode = ssl.CERT_REQUIRED
    for context in (accepting_known, connecting):
        _trust(context, options.ca)
    return TlsContexts(
        accepting=accepting, accepting_known=accepting_known, connecting=connecting, expires_at=expires_at
    )


def expiry(certificate: Path) -> datetime:
    """Return when the first certificate of a PEM file expires.

    Raises:
        TlsFilesError: There is none.
    """
    try:
        first = _CERTIFICATE.search(certificate.read_text(errors="replace"))
        if first is None:
            raise ValueError("no block")
        return _not_after(ssl.PEM_cert_to_DER_cert(first.group()))
    except OSError as error:
        raise TlsFilesError(f"{certificate}: {error.strerror}") from error
    except (ValueError, IndexError, TypeError) as error:
        raise TlsFilesError(f"{certificate} holds no certificate in PEM") from error


def _not_after(der: bytes) -> datetime:
    """Return notAfter of a certificate (RFC 5280 section 4.1.2.5); `ssl` gives it for verified peers only."""
    body = DerSequence().decode(DerSequence().decode(der)[0])
    has_version = isinstance(body[0], bytes) and body[0][0] == _VERSION_TAG
    end = DerObject().decode(DerSequence().decode(body[4 if has_version else 3])[1])
    text = end.payload.decode("ascii").removesuffix("Z")
    if len(text) == len("yymmddhhmmss"):
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def days_left(expires_at: datetime, now: datetime) -> int:
    """Return the whole days until a certificate expires; negative if it has."""
    return (expires_at - now.astimezone(UTC)).days


def identities(certificate: Mapping[str, Any]) -> frozenset[str]:
    """Return the identities of a verified certificate, in lower case (RFC 5922 section 7.1).

    These are the SIP URIs of the subjectAltName, or without any its DNS names, and its IP addresses; the common name
    only if there is no subjectAltName. ``certificate`` is as from `ssl.SSLSocket.getpeercert`.
    """
    names: tuple[tuple[str, str], ...] = certificate.get("subjectAltName", ())
    addresses = {value.strip().lower() for kind, value in names if kind == "IP Address"}
    uris = [value.strip().lower() for kind, value in names if kind == "URI"]
    domains = {uri[4:].split(";")[0] for uri in uris if uri.startswith("sip:") and "@" not in uri}
    if not domains:
        domains = {value.lower() for kind, value in names if kind == "DNS"}
    if not names:
        subject = certificate.get("subject", ())
        domains = {value.lower() for part in subject for key, value in part if key == "commonName"}
    return frozenset(domains | {_plain_ip(address) for address in addresses})


def is_named(certificate: Mapping[str, Any], names: Collection[str]) -> bool:
    """Tell whether a certificate has one of the names; wildcards do not match (RFC 5922 section 7.2)."""
    return bool(identities(certificate) & {_plain_ip(name.lower().rstrip(".")) for name in names})


def why_refused(error: BaseException) -> str:
    """Return why TLS failed, for the log: one phrase, without text of the peer."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {(error.reason or type(error).__name__).lower().replace('_', ' ')}"
    if isinstance(error, (TimeoutError, ConnectionAbortedError)):  # asyncio raises the latter for the handshake
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__


def _plain_ip(name: str) -> str:
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name


def _context(options: TlsOptions, protocol: int) -> ssl.SSLContext:
    def no_passphrase() -> str:
        raise TlsFilesError(f"{options.private_key} has a passphrase: give a key without one, with mode 0600")

    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(options.certificate, options.private_key, no_passphrase)
    except ssl.SSLError as error:
        why = "do not belong together" if error.reason == "KEY_VALUES_MISMATCH" else "cannot be used as PEM"
        raise TlsFilesError(f"{options.certificate} and {options.private_key} {why}") from error
    except OSError as error:
        raise TlsFilesError(f"{options.private_key}: {error.strerror}") from error
    return context


def _trust(context: ssl.SSLContext, ca: str | None) -> None:
    try:
        if ca is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise TlsFilesError(f"{ca} holds no certificates in PEM") from error
    except OSError as error:
        raise TlsFilesError(f"{ca}: {error.strerror}") from error
