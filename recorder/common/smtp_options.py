"""Settings of a mail server, and the syntax of mail addresses. Pure."""

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

_SMTP_PORT = 587
_PORTS = range(1, 65536)
_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?", re.ASCII
)
MOST_ADDRESS_CHARACTERS = 254
"""RFC 5321 section 4.5.3.1.3, less the angle brackets."""


class SmtpSecurity(StrEnum):
    """How the connection to a mail server is secured."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """A mail server.

    Attributes:
        port: Its port, in [1, 65535].
        security: How the connection is secured; the certificate is always verified.
        ca: File of CA certificates for it; None for the system's.
        user: Account there; None if it needs none.
        password_file: Its password, first line of a file with mode 0600.
    """

    host: str
    port: int
    security: SmtpSecurity = SmtpSecurity.STARTTLS
    ca: str | None = None
    user: str | None = None
    password_file: str | None = None


def is_mail_address(text: str) -> bool:
    """Tell whether a text is one plain mail address, which cannot form a header or a list."""
    return len(text) <= MOST_ADDRESS_CHARACTERS and _ADDRESS.fullmatch(text) is not None


def parse_smtp(text: str) -> tuple[str, int]:
    """Return host and port of a mail server.

    Raises:
        ValueError: It is not one; a sentence.
    """
    sentence = f"{text!r} is not a mail server: write HOST:PORT"
    try:
        parts = urlsplit(f"//{text}")
        port = _SMTP_PORT if parts.port is None else parts.port
    except ValueError as error:
        raise ValueError(sentence) from error
    if not parts.hostname or parts.path or parts.username or port not in _PORTS:
        raise ValueError(sentence)
    return parts.hostname, port


def login_problem(
    user: str | None, password_file: str | None, security: SmtpSecurity, *, prefix: str = ""
) -> tuple[str, str] | None:
    """Return the key and a sentence about mail server credentials that cannot work, or None.

    Args:
        user: Account there.
        password_file: File with its password.
        security: How the connection is secured.
        prefix: Prefix of the keys in the section.
    """
    if user is not None and password_file is None:
        return f"{prefix}user", f"{prefix}user needs {prefix}password_file"
    if user is not None and security is SmtpSecurity.NONE:
        return f"{prefix}security", f"{prefix}security is 'none': a password would be sent in the clear"
    return None
