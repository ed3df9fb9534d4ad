"""Where a call goes, and whether it must get through whatever else happens. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from sip.events import Address
from sip.sdes import Srtp


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A system that may send us calls; its networks decide, not what its messages claim.

    ``is_inside`` peers (the PBX) say truly which extension is calling; a trunk's callers may claim anything.
    ``calls_per_s`` and ``requests_per_s`` bound what each address of it may send beside dialogs that stand.
    ``srtp`` says whether the audio that it offers has to be encrypted; optional is as it offers it.
    ``auth_user`` and ``auth_password_file`` answer its challenges (401, 407) to our requests.
    ``tls_names`` are the names that its certificate may carry besides the one it is dialled by; with ``tls_only`` it is
    heard over TLS alone, with ``requires_certificate`` only where it shows such a certificate. With ``large_over_tcp``
    requests that are too large for UDP go to it over TCP.
    """

    name: str
    networks: tuple[str, ...]
    is_inside: bool = True
    calls_per_s: float = 100.0
    requests_per_s: float = 100.0
    srtp: Srtp = Srtp.OPTIONAL
    auth_user: str | None = None
    auth_password_file: str | None = None
    tls_names: tuple[str, ...] = ()
    tls_only: bool = False
    requires_certificate: bool = False
    large_over_tcp: bool = False

    def has(self, host: str) -> bool:
        """Tell whether an IP literal lies in one of the peer's networks."""
        address = ip_address(host.split("%", 1)[0])
        return any(address in network for network in self._parsed() if network.version == address.version)

    def _parsed(self) -> Iterable[IPv4Network | IPv6Network]:
        return (ip_network(network, strict=False) for network in self.networks)


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
    """

    name: str
    targets: tuple[Address, ...]
    peer: str | None = None
    number: str = ""
    strip: int = 0
    prefix: str = ""
    srtp: Srtp = Srtp.OFF

    def dialled(self, number: str) -> str:
        """Return the number to be dialled on this route."""
        return self.prefix + number[self.strip :]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmergencyNumbers:
    """Numbers that are passed through before any rule, notice, limit or fault is looked at."""

    numbers: tuple[str, ...] = ("999", "112", "18000")
    access_prefixes: tuple[str, ...] = ("9", "0", "+44", "0044", "+")

    def has(self, number: str) -> bool:
        """Tell whether a dialled number is an emergency number, bare or behind one access prefix."""
        return any(number == prefix + known for known in self.numbers for prefix in ("", *self.access_prefixes))


def find_peer(peers: Iterable[Peer], host: str) -> Peer | None:
    """Return the first peer whose networks hold the address that a request came from."""
    return next((peer for peer in peers if peer.has(host)), None)


def find_route(routes: Iterable[Route], *, peer: str | None, number: str) -> Route | None:
    """Return the first route that takes a number from a peer, or None: the call is answered 404."""
    for route in routes:
        if route.peer in (None, peer) and number.startswith(route.number):
            return route
    return None


def in_order(targets: tuple[Address, ...], dead: frozenset[Address]) -> tuple[Address, ...]:
    """Return targets with those that answer OPTIONS first; dead ones stay as a last resort."""
    return tuple(t for t in targets if t not in dead) + tuple(t for t in targets if t in dead)


FAILOVER = frozenset({408, 500, 501, 502, 503, 504})
"""Final answers that speak of the target, not of the person called: the next target is tried."""
