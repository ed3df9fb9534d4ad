"""The section ``[mail]``: notifications by mail. Pure."""

from dataclasses import dataclass

from recorder.common.smtp_options import SmtpSecurity, SmtpServer, is_mail_address, login_problem, parse_smtp
from recorder.common.web_addresses import plain_address
from recorder.rules.weekly import Weekday


@dataclass(frozen=True, slots=True, kw_only=True)
class MailOptions:
    """Settings of notifications by mail.

    Attributes:
        smtp: ``HOST:PORT`` of the mail server; None for notifications in the console only.
        security: How the connection is secured.
        ca: File of CA certificates for the server; None for the system's.
        user: Account there; None if it needs none.
        password_file: Its password, first line of a file with mode 0600.
        sender: Address of the sender.
        console_url: Address of the console, ``https://...``; None for mails without a link.
        weekly_on: The day on which the data protection officer gets the weekly figures; None for never.
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
        """Return the key and a sentence about a setting that cannot work, or None."""
        try:
            if self.smtp is not None:
                parse_smtp(self.smtp)
        except ValueError as error:
            return "smtp", str(error)
        if self.smtp is not None and self.sender is None:
            return "smtp", "smtp needs sender: the address of the sender"
        if self.sender is not None and not is_mail_address(self.sender):
            return "sender", f"{self.sender!r} is not a mail address"
        if self.console_url is not None and plain_address(self.console_url) is None:
            return "console_url", f"{self.console_url!r} is not the address of a console: write https://HOST"
        return login_problem(self.user, self.password_file, self.security)

    @property
    def server(self) -> SmtpServer | None:
        """Return the mail server, or None. Only of a checked section."""
        if self.smtp is None:
            return None
        host, port = parse_smtp(self.smtp)
        return SmtpServer(
            host=host, port=port, security=self.security, ca=self.ca, user=self.user, password_file=self.password_file
        )
