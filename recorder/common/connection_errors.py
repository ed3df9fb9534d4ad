"""Why a connection to another machine failed, in words."""

import smtplib
import ssl


def reason_of(error: Exception) -> str:
    """Return the reason of an error of a connection, TLS, HTTP or SMTP, for a sentence."""
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        return f"{error.smtp_code} {said.decode(errors='replace') if isinstance(said, bytes) else said}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not valid: {error.verify_message}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
