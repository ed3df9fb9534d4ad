"""The section ``[mail]``: how people are told by mail. Pure."""

from dataclasses import dataclass

from recorder.common.smtp_options import SmtpSecurity, SmtpServer, is_mail_address, login_problem, parse_smtp
from recorder.common.web_addresses import plain_address
from recorder.rules.weekly import Weekday


@dataclass(frozen=True, slots=True, kw_only=True)
class MailOptions:
    """How people are told by mail.

    Attributes:
        smtp: ``HOST:PORT`` of the server that takes the mail; None: people are told in the console only.
        security: How it is spoken to.
        ca: A file with the certificates that its must come from; None is the system's.
        user: Account there, None where it takes mail without one.
        password_file: Its password, first line of a file with mode 0600.
        sender: Address that mails are from.
        console_url: Where people find the console, ``https://...``; None: mails have no link.
        weekly_on: The day on which the data protection officer gets the figures of the week; None is never.
    """

    smtp: str | None = None
    security: SmtpSecurity = SmtpSecurity.STARTTLS
    ca: str | None = None
    user: str | None = None
    password_file: str | None = None
    sender: str | None = None
    console_url: str | None = None
    weekly_on: Weekday | None = Weekday.MONDAY

    @property
    def problem(self) -> tuple[str, str] | None:
        """Return what cannot work - a key and a sentence - or None."""
        try:
            if self.smtp is not None:
                parse_smtp(self.smtp)
        except ValueError as error:
            return "smtp", str(error)
        if self.smtp is not None and self.sender is None:
            return "smtp", "smtp needs sender: the address that mails are from"
        if self.sender is not None and not is_mail_address(self.sender):
            return "sender", f"{self.sender!r} is no address of a mail"
        if self.console_url is not None and plain_address(self.console_url) is None:
            return "console_url", f"{self.console_url!r} is no address of a console: write https://HOST"
        return login_problem(self.user, self.password_file, self.security)

    @property
    def server(self) -> SmtpServer | None:
        """Return who takes the mail; None: nobody does. Only of a section that was checked."""
        if self.smtp is None:
            return None
        host, port = parse_smtp(self.smtp)
        return SmtpServer(
            host=host, port=port, security=self.security, ca=self.ca, user=self.user, password_file=self.password_file
        )
