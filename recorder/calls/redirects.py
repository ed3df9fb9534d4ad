"""The targets of a 3xx response, and which of them a call may follow (RFC 3261 section 8.1.3.4). Pure."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sip.events import Header
from sip.message import is_ambiguous_user, is_ip, split_values, strip_quoted, user_part
from sip.options import Address, TransportKind

MOST = 5
"""Most redirections that one call follows; more are a loop."""

_URI = re.compile(r"\s*sip:(?:[^@<>]*@)?(\[[0-9A-Fa-f:.]+\]|[^\s:;?>\[\]]+)(?::(\d{1,5}))?([^>]*)", re.IGNORECASE)
_QUALITY = re.compile(r";\s*q\s*=\s*([01](?:\.\d{1,3})?)", re.IGNORECASE)
_TRANSPORT = re.compile(r";\s*transport\s*=\s*(\w+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirection:
    """An address and user part to dial instead."""

    target: Address
    user: str


def redirections(headers: Iterable[Header]) -> list[Redirection]:
    """Return the targets in the Contact headers of a 3xx, best first; others than SIP URIs with an IP are left out.

    Host names are left out because only IP addresses can be compared with the networks of the peers.
    """
    contacts = [part for name, value in headers if name.lower() == "contact" for part in split_values(value)]
    ranked = sorted(contacts, key=lambda contact: -_quality(contact))
    return [found for contact in ranked if (found := _redirection(contact)) is not None]


def _redirection(contact: str) -> Redirection | None:
    bare = strip_quoted(contact)
    match = _URI.match(bare, bare.find("<") + 1)  # searching it from each place would take quadratic time
    if match is None or not is_ip(match.group(1)) or not user_part(contact) or is_ambiguous_user(contact):
        return None
    port = int(match.group(2) or 5060)
    transport = _TRANSPORT.search(match.group(3))
    try:
        kind = TransportKind(transport.group(1).lower()) if transport else TransportKind.UDP
    except ValueError:
        return None
    if not 0 < port < 65536:
        return None
    return Redirection(
        target=Address(host=match.group(1).strip("[]"), port=port, transport=kind), user=user_part(contact)
    )


def _quality(contact: str) -> float:
    match = _QUALITY.search(strip_quoted(contact).rpartition(">")[2])
    return float(match.group(1)) if match else 1.0


@dataclass(slots=True)
class RedirectHistory:
    """The redirections that one call has followed."""

    seen: set[Redirection] = field(default_factory=set)

    def next(self, headers: Iterable[Header], is_peer: Callable[[str], bool]) -> Redirection | None:
        """Return the next target: a peer that was not tried yet; None if there is none or MOST were followed."""
        if len(self.seen) >= MOST:
            return None
        for found in redirections(headers):
            if found not in self.seen and is_peer(found.target.host):
                self.seen.add(found)
                return found
        return None
