"""Notification mails: what happened and where to look. They hold no details of a call, and no reasons."""

import hashlib
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from recorder.common.smtp import printable
from recorder.notifications.kinds import WORDING, Notification

_DOMAIN = "recorder.invalid"
_NO_REPLY = "The call recorder sent this email. Do not reply to it: nobody reads the replies."


def mail_of(
    told: Notification, address: str, *, sender: str, site: str, console_url: str | None, now: datetime
) -> EmailMessage:
    """Return the mail of a notification.

    Args:
        told: The notification.
        address: Recipient.
        sender: Sender.
        site: Name of the council.
        console_url: Address of the console, or None.
        now: Date of the mail.
    """
    wording = WORDING[told.kind]
    lines = [wording.sentence, ""]
    if told.text:
        lines += [told.text, ""]
    if told.subject:
        lines += [f"Reference: {told.subject}", ""]
    lines += [_where(wording.path, console_url), "", _NO_REPLY]
    mail = _mail(wording.subject, lines, address, sender=sender, site=site, now=now)
    mail["Message-ID"] = _id_of(told)
    return mail


def trial(address: str, *, sender: str, site: str, now: datetime) -> EmailMessage:
    """Return a test mail."""
    lines = ["This email was sent by `recorder mail test`. It shows that the recorder can send emails."]
    mail = _mail("This is a test", lines, address, sender=sender, site=site, now=now)
    mail["Message-ID"] = make_msgid(domain=_DOMAIN)
    return mail


def _id_of(told: Notification) -> str:
    """Return the same Message-ID for each sending of one notification, so that a mailbox keeps one of two copies."""
    digest = hashlib.sha256(f"{told.account}/{told.key}".encode()).hexdigest()
    return f"<{digest[:40]}@{_DOMAIN}>"


def _where(path: str, console_url: str | None) -> str:
    if console_url is None:
        return f"Sign in to the recorder's console and go to {path}."
    return f"{console_url.rstrip('/')}{path}"


def _mail(subject: str, lines: list[str], address: str, *, sender: str, site: str, now: datetime) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = f"[{printable(site)} call recorder] {subject}"
    message["From"] = sender
    message["To"] = address
    message["Date"] = format_datetime(now)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join(lines) + "\n")
    return message
