"""Where a call goes, and whether it must get through whatever else happens. Pure."""

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network

from recorder.rules.written_numbers import without_separators
from sip.options import Address
from sip.sdes import Srtp

MAX_MEDIA_NETWORKS = 30
"""Networks that the media of a SIPREC peer may come from, its own included; a media leg takes two more."""


class PeerNotice(enum.StrEnum):
    """Who sees to it that both parties of a peer's sessions are told."""

    NONE = "none"
    ATTESTED = "peer-attested"
    """The peer plays the notice, and somebody answers for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A system that may send us calls; its networks decide, not what its messages claim.

    ``is_inside`` peers (the PBX) say truly which extension is calling; a trunk's callers may claim anything.
    ``calls_per_s`` and ``requests_per_s`` bound what each address of it may send beside dialogs that stand.
    ``max_calls`` bounds its calls in progress, recorded and passed ones each; None is four fifths of what all may have.
    With ``any_port`` its requests inside calls may come from any port of its addresses.
    ``srtp`` says whether the audio that it offers has to be encrypted; optional is as it offers it.
    ``auth_user`` and ``auth_password_file`` answer its challenges (401, 407) to our requests.
    ``tls_names`` are the names that its certificate may carry besides the one it is dialled by; with ``tls_only`` it is
    heard over TLS alone, with ``requires_certificate`` only where it shows such a certificate. With ``large_over_tcp``
    requests that are too large for UDP go to it over TCP.

    Attributes:
        siprec: It is a SIPREC client: its recording sessions are taken (RFC 7866).
        notice: Whether it plays the notice in its sessions; without that nothing of them is recorded.
        notice_owner: Who answers for it.
        notice_date: Since when, ``YYYY-MM-DD``.
        all_sessions_nominated: Sessions that name no nominated extension are recorded as well.
        siprec_service: The service whose rules hold for those.
        media_networks: Where its media may come from beside its networks and what its session descriptions name.
    """

    name: str
    networks: tuple[str, ...]
    is_inside: bool = True
    calls_per_s: float = 100.0
    requests_per_s: float = 100.0
    max_calls: int | None = None
    any_port: bool = False
    srtp: Srtp = Srtp.OPTIONAL
    auth_user: str | None = None
    auth_password_file: str | None = None
    tls_names: tuple[str, ...] = ()
    tls_only: bool = False
    requires_certificate: bool = False
    large_over_tcp: bool = False
    siprec: bool = False
    notice: PeerNotice = PeerNotice.NONE
    notice_owner: str = ""
    notice_date: str = ""
    all_sessions_nominated: bool = False
    siprec_service: str = ""
    media_networks: tuple[str, ...] = ()

    def most_calls(self, of_all: int) -> int:
        """Return how many calls it may have in progress, of those that all peers together may have."""
        return self.max_calls if self.max_calls is not None else -(-of_all * 4 // 5)

    @property
    def is_attested(self) -> bool:
        """Tell whether somebody answers for the notice."""
        return self.notice is PeerNotice.ATTESTED

    @property
    def media_from(self) -> tuple[str, ...]:
        """Return the networks that its media may come from, without those that lie in others."""
        parsed = [ip_network(network, strict=False) for network in (*self.networks, *self.media_networks)]
        v4 = collapse_addresses(one for one in parsed if isinstance(one, IPv4Network))
        v6 = collapse_addresses(one for one in parsed if isinstance(one, IPv6Network))
        return tuple(map(str, (*v4, *v6)))

    @property
    def problem(self) -> tuple[str, str] | None:
        """Return the key that is wrong about its recording sessions and a sentence that says how, or None."""
        if self.is_attested and not self.notice_owner.strip():
            return "notice_owner", f"peer {self.name!r} plays the notice, so notice_owner must say who answers for that"
        if self.is_attested and not _is_date(self.notice_date):
            return "notice_date", f"peer {self.name!r} plays the notice, so notice_date must say since when: 2026-11-01"
        if self.all_sessions_nominated and not self.siprec_service:
            return "siprec_service", f"siprec_service must name the service whose rules peer {self.name!r} follows"
        try:
            count = len(self.media_from)
        except ValueError as error:
            return "media_networks", f"media_networks: {error}"
        if self.siprec and count > MAX_MEDIA_NETWORKS:
            return "media_networks", f"peer {self.name!r} has {count} networks, at most {MAX_MEDIA_NETWORKS} for SIPREC"
        return None

    def has(self, host: str) -> bool:
        """Tell whether an IP literal lies in one of the peer's networks."""
        address = ip_address(host.split("%", 1)[0])
        return any(address in network for network in self._parsed() if network.version == address.version)

    def _parsed(self) -> Iterable[IPv4Network | IPv6Network]:
        return (ip_network(network, strict=False) for network in self.networks)


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One way out. The first route whose conditions all hold is taken.

    Attributes:
        name: For logs and error messages.
        peer: Name of the peer the call came from, or None for any.
        number: Prefix of the dialled number, "" for any.
        targets: Tried in order; the next one when one does not answer.
        strip: Digits taken off the front of the number.
        prefix: Put in front of what is left.
        srtp: Whether we offer its targets encrypted audio; optional is as the caller has it.
        transfers: Transfers and redirections may take it.
        transfer_allow: What they may dial on it although it is denied; see `recorder.rules.transfer_targets`.
    """

    name: str
    targets: tuple[Address, ...]
    peer: str | None = None
    number: str = ""
    strip: int = 0
    prefix: str = ""
    follow_redirects: bool = False
    srtp: Srtp = Srtp.OFF
    transfers: bool = True
    transfer_allow: tuple[str, ...] = ()

    def dialled(self, number: str) -> str:
        """Return the number to be dialled on this route."""
        return self.prefix + number[self.strip :]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyNumbers:
    """Numbers that are passed through before any rule, notice, limit or fault is looked at."""

    numbers: tuple[str, ...] = ("999", "112", "18000")
    access_prefixes: tuple[str, ...] = ("9", "0", "+44", "0044", "+")

    def has(self, number: str) -> bool:
        """Tell whether a dialled number is an emergency number, bare or behind one access prefix, however written."""
        plain = without_separators(number)
        return any(plain == prefix + known for known in self.numbers for prefix in ("", *self.access_prefixes))


def find_peer(peers: Iterable[Peer], host: str) -> Peer | None:
    """Return the first peer whose networks hold the address that a request came from."""
    return next((peer for peer in peers if peer.has(host)), None)


def find_route(routes: Iterable[Route], *, peer: str | None, number: str) -> Route | None:
    """Return the first route that takes a number from a peer, or None: the call is answered 404."""
    for route in routes:
        if route.peer in (None, peer) and number.startswith(route.number):
            return route
    return None


class NumberKind(enum.Enum):
    """What is known of a number that somebody is to be called by."""

    OURS = "a nominated extension or a mailbox"
    EMERGENCY = "an emergency number"
    UNKNOWN = "any other"


def routes_to_transfer_target(
    routes: Sequence[Route],
    *,
    peer: str | None,
    number: str,
    kind: NumberKind,
    leads_inside: Callable[[Route], bool],
) -> tuple[Route, ...]:
    """Return the routes by which somebody is called into a call that stands, in the order in which they are tried.

    Whoever asks for a transfer is a peer inside, and its route may lead to the trunk, for calls out. A number that is
    inside must not be dialled there.

    Args:
        routes: All of them.
        peer: Name of the peer that asks, or None.
        number: Who is to be called, as that peer writes it.
        kind: What is known of it.
        leads_inside: Tells whether a route's targets are peers inside.

    Returns:
        The route of the peer that asks, unless the number may be inside: then one that leads there comes first, with
        the number as it is. A short number may be either, so that the other route follows (see `UNKNOWN_THERE`).
    """
    own = find_route(routes, peer=peer, number=number)
    by_peer = () if own is None else (own,)
    inward = [route for route in routes if leads_inside(route)]
    may_be_inside = kind is NumberKind.OURS or (kind is NumberKind.UNKNOWN and _is_short(number))
    if own in inward or not inward or not may_be_inside:
        return by_peer
    chosen = next((route for route in inward if number.startswith(route.number)), inward[0])
    inside = replace(chosen, strip=0, prefix="")  # its rules are for numbers as another peer writes them
    return (inside,) if kind is NumberKind.OURS else (inside, *by_peer)


def _is_short(number: str) -> bool:
    """Tell whether a number may be an extension: three to six digits, none of them a trunk prefix."""
    return 3 <= len(number) <= 6 and number.isascii() and number.isdigit() and not number.startswith("0")


UNKNOWN_THERE = frozenset({404, 410, 484, 604})
"""Final answers by which a target says that it does not know a number: another route may lead to it."""


def in_order(targets: tuple[Address, ...], dead: frozenset[Address]) -> tuple[Address, ...]:
    """Return targets with those that answer OPTIONS first; dead ones stay as a last resort."""
    return tuple(t for t in targets if t not in dead) + tuple(t for t in targets if t in dead)


FAILOVER = frozenset({408, 500, 501, 502, 503, 504})
"""Final answers that speak of the target, not of the person called: the next target is tried."""
