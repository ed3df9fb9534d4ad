"""Header policy: which headers are copied from one leg to the other, and which identities a peer outside gets. Pure.

All other headers stay on their leg: Via, Record-Route, Contact, User-Agent, Server and others that describe one side's
network (docs/protocol-support.md).
"""

import re
from collections.abc import Iterable

from sip.events import Header
from sip.message import RawMessage, split_values

MARKER = "X-Recorder-Via"
"""The recorder's header against loops; never passed on unchanged."""

_PASSED_ON = re.compile(
    r"p-asserted-identity|remote-party-id|privacy|diversion|history-info|alert-info|reason|user-to-user|x-(?!fs-).+",
    re.IGNORECASE,
)
"""Extension headers too, except FreeSWITCH's own (``X-FS-Support`` and others): they say what the sender supports, so
the recorder would be taken for a FreeSWITCH."""
_STAYING = frozenset({
    "Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Contact", "Content-Type", "Content-Length", "Allow",
    "Supported", "User-Agent", "Server",
})  # fmt: skip
"""Names of almost every message, which need not be matched."""
_IDENTITY = {"p-asserted-identity", "remote-party-id", "privacy"}
_SPLIT = {"diversion", "history-info"}


def passed_on(message: RawMessage) -> tuple[Header, ...]:
    """Return the headers that are passed on with a call, in order; each entry of the history on its own."""
    return tuple(
        (name, part)
        for name, value in message.headers
        if name not in _STAYING and _PASSED_ON.fullmatch(name) and name.lower() != MARKER.lower()
        for part in (split_values(value) if name.lower() in _SPLIT else (value,))
    )


def identity_in(headers: Iterable[Header]) -> tuple[Header, ...]:
    """Return the headers that name a party, or say whether the name may be shown (RFC 3325, RFC 3323)."""
    return tuple((name, value) for name, value in headers if name.lower() in _IDENTITY)


def without_private(headers: Iterable[Header]) -> tuple[Header, ...]:
    """Return the headers that a peer outside may get: no identity that asks for privacy (RFC 3325 section 7)."""
    headers = tuple(headers)
    is_private = any(
        name.lower() == "privacy" and {"id", "user"} & {word.strip().lower() for word in value.split(";")}
        for name, value in headers
    )
    if not is_private:
        return headers
    return tuple((name, value) for name, value in headers if name.lower() not in _IDENTITY - {"privacy"})
