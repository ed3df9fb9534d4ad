"""Sends mail, by default over STARTTLS or TLS with a verified certificate. Blocks; one connection per mail."""

import contextlib
import smtplib
import ssl
from collections.abc import Iterator, Sequence
from email.message import EmailMessage
from pathlib import Path

from recorder.common.connection_errors import reason_of
from recorder.common.smtp_options import SmtpSecurity, SmtpServer
from storage.errors import KeyProblemError
from storage.key_files import read_secret

_PERMANENT = range(500, 600)
"""Permanent failures (RFC 5321 section 4.2.1): the same mail must not be tried again unchanged."""


class MailError(Exception):
    """A mail was not accepted; a sentence.

    Args:
        sentence: Where and why.
        is_refused: The server will never accept this mail: no such mailbox.
    """

    def __init__(self, sentence: str, *, is_refused: bool = False) -> None:
        super().__init__(sentence)
        self.is_refused = is_refused


def send_mail(server: SmtpServer, message: EmailMessage, to: Sequence[str], *, timeout_s: float) -> None:
    """Send one mail, which must be accepted for all addresses.

    Args:
        server: The mail server.
        message: The complete mail.
        to: Addresses.
        timeout_s: How long each step may take.

    Raises:
        MailError: It was not accepted.
    """
    where = f"mail by {server.host}:{server.port}"
    try:
        with _connected(server, timeout_s) as connection:
            if server.user is not None:
                connection.login(server.user, _password(server))
            refused = connection.send_message(message, to_addrs=list(to))
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        sentence = f"{where}: {', '.join(sorted(error.recipients))} refused"
        raise MailError(sentence, is_refused=all(code in _PERMANENT for code in codes)) from error
    except smtplib.SMTPDataError as error:
        raise MailError(f"{where}: {reason_of(error)}", is_refused=error.smtp_code in _PERMANENT) from error
    except (OSError, smtplib.SMTPException, KeyProblemError, UnicodeError) as error:
        raise MailError(f"{where}: {reason_of(error)}") from error
    if refused:
        raise MailError(f"{where}: {', '.join(sorted(refused))} refused")


def printable(text: str) -> str:
    """Return a text without characters that could end a header and begin another."""
    return "".join(c for c in text if c.isprintable())


@contextlib.contextmanager
def _connected(server: SmtpServer, timeout_s: float) -> Iterator[smtplib.SMTP]:
    context = ssl.create_default_context(cafile=server.ca)
    if server.security is SmtpSecurity.TLS:
        connection: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, timeout=timeout_s, context=context)
    else:
        connection = smtplib.SMTP(server.host, server.port, timeout=timeout_s)
    with connection:
        if server.security is SmtpSecurity.STARTTLS:
            connection.starttls(context=context)
        yield connection


def _password(server: SmtpServer) -> str:
    assert server.password_file is not None
    lines = read_secret(Path(server.password_file)).decode(errors="replace").splitlines()
    if not lines:
        raise KeyProblemError(f"{server.password_file} is empty")
    return lines[0]
