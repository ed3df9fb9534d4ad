"""Which headers cross from one leg to the other, and what a peer outside may know of who is there. Pure.

What is not here stays on its leg: Via, Record-Route, Contact, User-Agent, Server and everything else that tells of one
side's network (docs/protocol-support.md).
"""

import re
from collections.abc import Iterable

from sip.events import Header
from sip.message import RawMessage, split_values

MARKER = "X-Recorder-Via"
"""Our own header against loops; never passed on as it came."""

_PASSED_ON = re.compile(
    r"p-asserted-identity|remote-party-id|privacy|diversion|history-info|alert-info|reason|user-to-user|x-(?!fs-).+",
    re.IGNORECASE,
)
"""Extension headers too, but for FreeSWITCH's own (``X-FS-Support`` and its like): they say what the next system
understands, and whoever hands them on is taken for a FreeSWITCH."""
_IDENTITY = {"p-asserted-identity", "remote-party-id", "privacy"}
_SPLIT = {"diversion", "history-info"}


def passed_on(message: RawMessage) -> tuple[Header, ...]:
    """Return the headers that go on with a call, in order; each entry of the history on its own."""
    return tuple(
        (name, part)
        for name, value in message.headers
        if _PASSED_ON.fullmatch(name) and name.lower() != MARKER.lower()
        for part in (split_values(value) if name.lower() in _SPLIT else (value,))
    )


def identity_in(headers: Iterable[Header]) -> tuple[Header, ...]:
    """Return those of some headers that say who somebody is, and whether that may be told (RFC 3325, RFC 3323)."""
    return tuple((name, value) for name, value in headers if name.lower() in _IDENTITY)


def without_private(headers: Iterable[Header]) -> tuple[Header, ...]:
    """Return headers as a peer outside may have them: no identity that asks for privacy (RFC 3325 section 7)."""
    headers = tuple(headers)
    is_private = any(
        name.lower() == "privacy" and {"id", "user"} & {word.strip().lower() for word in value.split(";")}
        for name, value in headers
    )
    if not is_private:
        return headers
    return tuple((name, value) for name, value in headers if name.lower() not in _IDENTITY - {"privacy"})
