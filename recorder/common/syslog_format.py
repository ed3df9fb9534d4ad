"""The form of syslog messages (RFC 5424) and of their frames in a stream. Pure."""

import re

AUDIT = 13
"""RFC 5424 section 6.2.1: facility log audit."""
ALERT, WARNING, NOTICE = 1, 4, 5
"""Severities, RFC 5424 section 6.2.1."""

_APPLICATION = "recorder"
_UNPRINTABLE = re.compile(r"[^!-~]")


def message(severity: int, at: str, host: str, rest: str, *, kind: str, process: str = "-") -> bytes:
    """Return a message of the audit facility, without framing.

    Args:
        severity: One of the severities.
        at: RFC 3339, or ``-``.
        host: Name of this machine; what a header must not have is left out.
        rest: Structured data, and the text; ASCII without line ends.
        kind: MSGID, printable ASCII; cut to 32 characters.
        process: PROCID.
    """
    sender = _UNPRINTABLE.sub("", host)[:255] or "-"
    return f"<{AUDIT * 8 + severity}>1 {at} {sender} {_APPLICATION} {process} {kind[:32] or '-'} {rest}".encode("ascii")


def framed(sent: bytes) -> bytes:
    """Return a message with its length before it: octet counting, RFC 6587 section 3.4.1, RFC 5425 section 4.3."""
    return b"%d %s" % (len(sent), sent)
