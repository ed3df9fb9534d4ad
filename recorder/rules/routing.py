"""Where a call goes, and which calls must get through regardless of any limit or fault. Pure."""

import enum
import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_address, ip_network
from typing import Annotated

from annotated_types import Ge

from recorder.common.ranges import AtLeastOne, OverZero
from recorder.rules.written_numbers import without_separators
from sip.options import Address
from sip.sdes import Srtp

MAX_MEDIA_NETWORKS = 30
"""Networks that a SIPREC peer's media may come from, its own included. A media leg adds two more."""


class PeerNotice(enum.StrEnum):
    """Who plays the notice to both parties of a peer's recording sessions."""

    NONE = "none"
    ATTESTED = "peer-attested"
    """The peer plays it, and a named person answers for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A system that may send calls to the recorder. Its networks identify it, not the contents of its messages.

    Peers with ``is_inside`` (the PBX) are trusted to name the calling extension; the callers of a trunk may claim
    anything. ``calls_per_s`` and ``requests_per_s`` limit what each of its addresses may send outside established
    dialogs. ``max_calls`` limits its calls in progress, recorded and passed-through calls each; None is four fifths of
    the limit for all peers. With ``any_port`` its requests inside calls may come from any port of its addresses.
    ``srtp`` says whether the audio that it offers must be encrypted; optional accepts both. ``auth_user`` and
    ``auth_password_file`` answer its challenges (401, 407). ``tls_names`` are names that its certificate may carry
    besides the one that is dialled. With ``tls_only`` it may use TLS only; with ``requires_certificate`` it must show
    such a certificate. With ``large_over_tcp`` requests too large for UDP are sent to it over TCP.

    Attributes:
        siprec: It is a session recording client (RFC 7866): its recording sessions are accepted.
        notice: Whether it plays the notice in its sessions; otherwise nothing of them is recorded.
        notice_owner: Who answers for that.
        notice_date: Since when, ``YYYY-MM-DD``.
        all_sessions_nominated: Sessions that name no nominated extension are recorded too.
        siprec_service: The service whose rules apply to those.
        media_networks: Where its media may come from, besides its networks and the addresses of its session
            descriptions.
    """

    name: str
    networks: tuple[str, ...]
    is_inside: bool = True
    calls_per_s: OverZero = 100.0
    requests_per_s: OverZero = 100.0
    max_calls: AtLeastOne | None = None
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
        """Return how many calls it may have in progress, given the limit for all peers together."""
        return self.max_calls if self.max_calls is not None else -(-of_all * 4 // 5)

    @property
    def is_attested(self) -> bool:
        """Tell whether a named person answers for the notice."""
        return self.notice is PeerNotice.ATTESTED

    @property
    def media_from(self) -> tuple[str, ...]:
        """Return the networks that its media may come from, overlapping ones merged."""
        parsed = [ip_network(network, strict=False) for network in (*self.networks, *self.media_networks)]
        v4 = collapse_addresses(one for one in parsed if isinstance(one, IPv4Network))
        v6 = collapse_addresses(one for one in parsed if isinstance(one, IPv6Network))
        return tuple(map(str, (*v4, *v6)))

    @property
    def problem(self) -> tuple[str, str] | None:
        """Return the key that is wrong about its recording sessions, with a sentence; or None."""
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
        """Tell whether an IP address, as text, is in one of the peer's networks."""
        return _is_in(host.split("%", 1)[0], self.networks)


@functools.lru_cache(maxsize=4096)
def _is_in(host: str, networks: tuple[str, ...]) -> bool:
    """Tell whether an address is in one of some networks. Asked a dozen times in a call, of few addresses."""
    address = ip_address(host)
    parsed = (ip_network(network, strict=False) for network in networks)
    return any(address in network for network in parsed if network.version == address.version)


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One way out. The first route whose conditions all hold is used.

    Attributes:
        peer: Name of the peer that the call came from; None for any.
        number: Prefix of the dialled number, "" for any.
        targets: Tried in order, until one answers.
        strip: Digits removed from the start of the number.
        prefix: Digits put before the rest.
        srtp: Whether encrypted audio is offered to its targets; optional does as the caller does.
    transfers: Whether transfers and redirections may use it.
        follow_redirects: Whether redirections (3xx) by its targets are followed.
        transfer_allow: Denied numbers that they may dial on it all the same; see `recorder.rules.transfer_targets`.
    """

    name: str
    targets: tuple[Address, ...]
    peer: str | None = None
    number: str = ""
    strip: Annotated[int, Ge(0)] = 0
    prefix: str = ""
    follow_redirects: bool = False
    srtp: Srtp = Srtp.OFF
    transfers: bool = True
    transfer_allow: tuple[str, ...] = ()

    def dialled(self, number: str) -> str:
        """Return the number that is dialled on this route."""
        return self.prefix + number[self.strip :]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyNumbers:
    """Numbers that are passed through before any rule, notice, limit or fault is checked."""

    numbers: tuple[str, ...] = ("999", "112", "18000")
    access_prefixes: tuple[str, ...] = ("9", "0", "+44", "0044", "+")

    def has(self, number: str) -> bool:
        """Tell whether a dialled number, in any spelling, is an emergency number, bare or after one access prefix."""
        return without_separators(number) in _spellings(self.numbers, self.access_prefixes)


@functools.lru_cache(maxsize=8)
def _spellings(numbers: tuple[str, ...], access_prefixes: tuple[str, ...]) -> frozenset[str]:
    """Return emergency numbers, bare and after each access prefix. Asked eight times in a call."""
    return frozenset(prefix + known for known in numbers for prefix in ("", *access_prefixes))


def find_peer(peers: Iterable[Peer], host: str) -> Peer | None:
    """Return the first peer with the source address of a request in its networks."""
    return next((peer for peer in peers if peer.has(host)), None)


def find_route(routes: Iterable[Route], *, peer: str | None, number: str) -> Route | None:
    """Return the first route that takes a number from a peer, or None: the call is answered 404."""
    for route in routes:
        if route.peer in (None, peer) and number.startswith(route.number):
            return route
    return None


class NumberKind(enum.Enum):
    """What is known of the number of a transfer target."""

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
    """Return the routes by which a transfer target is called, in the order in which they are tried.

    A transfer is asked for by a peer inside, whose route may lead to the trunk, for calls out. An inside number must
    not be dialled there.

    Args:
        routes: All routes.
        peer: Name of the peer that asks, or None.
        number: The target, as that peer writes it.
        kind: What is known of the number.
        leads_inside: Tells whether a route's targets are peers inside.

    Returns:
        The route of the peer that asks. If the number may be inside, a route that leads inside comes first, with the
        number unchanged. A short number may be either; then the peer's own route follows (see `UNKNOWN_THERE`).
    """
    own = find_route(routes, peer=peer, number=number)
    by_peer = () if own is None else (own,)
    inward = [route for route in routes if leads_inside(route)]
    may_be_inside = kind is NumberKind.OURS or (kind is NumberKind.UNKNOWN and _is_short(number))
    if own in inward or not inward or not may_be_inside:
        return by_peer
    chosen = next((route for route in inward if number.startswith(route.number)), inward[0])
    inside = replace(chosen, strip=0, prefix="")  # strip and prefix are meant for numbers of another peer
    return (inside,) if kind is NumberKind.OURS else (inside, *by_peer)


def _is_short(number: str) -> bool:
    """Tell whether a number may be an extension: three to six digits without a trunk prefix."""
    return 3 <= len(number) <= 6 and number.isascii() and number.isdigit() and not number.startswith("0")


UNKNOWN_THERE = frozenset({404, 410, 484, 604})
"""Final responses of a target that does not know the number: another route may lead to it."""


def in_order(targets: tuple[Address, ...], dead: frozenset[Address]) -> tuple[Address, ...]:
    """Return targets with those that answer OPTIONS first; the others stay as a last resort."""
    return tuple(t for t in targets if t not in dead) + tuple(t for t in targets if t in dead)


FAILOVER = frozenset({408, 500, 501, 502, 503, 504})
"""Final responses about the target, not the person called: the next target is tried."""
